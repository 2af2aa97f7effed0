"""The man page says what --help says: the commands, every option of every command with its argument, and no other."""

import re
import shutil
import subprocess

from tap import ROOT, Failure, Skip, expect_done, netc

PAGE = ROOT / "share/netc.1"


def plain(text):
    """Text of roff, without fonts and escapes."""
    text = re.sub(r"\\f.|\\&|\"", "", text)
    return text.replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", '"')


def paragraphs(text):
    """(tag, body) of every .TP. A macro of two fonts sets its words without blanks between them."""
    for tag, body in re.findall(r"^\.TP\n(.*)\n((?:(?!\.TP|\.S[SH]).*\n)*)", text, re.M):
        if tag.startswith("."):
            macro, words = tag[1:].split(" ", 1)
            parts = [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', words)]
            tag = (" " if len(macro) == 1 else "").join(parts)
        yield plain(tag), body


def sections(text):
    """(heading, subheading) to the text below it."""
    found, heading = {}, ""
    for part in re.split(r"^(?=\.S[SH] )", text, flags=re.M):
        match = re.match(r"\.(S[SH]) (.*)\n", part)
        if match and match.group(1) == "SH":
            heading = match.group(2)
        found[heading, match.group(2) if match and match.group(1) == "SS" else ""] = part
    return found


def options_of_page(text):
    """command to the set of its options, written as --help writes them."""
    options = {}
    for (heading, sub), part in sections(text).items():
        if heading != "OPTIONS":
            continue
        for tag, body in paragraphs(part):
            commands = [sub.removeprefix("netc ")]
            if not sub.startswith("netc "):
                line = re.match(r"\.RI \((.*)\)\n", body)
                if not line:
                    raise Failure(f"{tag}: the commands that have it are not named")
                commands = re.findall(r"\w+", plain(line.group(1)))
            for command in commands:
                options.setdefault(command, set()).add(tag)
    return options


def check_options():
    text = PAGE.read_text()
    listed = re.findall(r"^  (\w+) +((?:\[?[A-Z]\S* ?)*)", expect_done(netc("--help"), "netc --help").out, re.M)
    wanted = [f"{name} {arguments.strip()}".strip() for name, arguments in listed]
    told = [tag for tag, _ in paragraphs(sections(text)["COMMANDS", ""])]
    if sorted(told) != sorted(wanted):
        raise Failure(f"commands: the page has {told}, --help {wanted}")
    page = options_of_page(text)
    for name, _ in listed:
        rows = re.findall(r"^  (-\w, |    )(--\S+)", expect_done(netc(name, "--help"), "--help").out, re.M)
        helped = {short.strip(" ").replace(",", ", ") + long for short, long in rows}
        if page.get(name) != helped:
            raise Failure(f"netc {name}: page and --help differ in {sorted(page.get(name, set()) ^ helped)}")
    if set(page) != {name for name, _ in listed}:
        raise Failure(f"the page has options of {set(page) - {name for name, _ in listed}}")


def check_rest():
    text = PAGE.read_text()
    version = expect_done(netc("--version"), "netc --version").out.splitlines()[0]
    if f'"{version}"' not in text.splitlines()[1]:
        raise Failure(f"the page is not of {version}: {text.splitlines()[1]}")
    table = (ROOT / "runtime/options.c").read_text()
    known = set(re.findall(r'\{"([\w-]+)", (?:required|no|optional)_argument', table))
    program = sections(text)["THE PROGRAM THAT IT BUILDS", ""]
    unknown = set(re.findall(r"--([a-z-]+)", plain(program))) - known
    if not known or unknown:
        raise Failure(f"programs have no --{', --'.join(unknown)}")
    compiler = "".join(path.read_text() for path in (ROOT / "compiler").rglob("*.c"))
    wanted = set(re.findall(r'getenv\("(\w+)"\)', compiler))
    told = {name for tag, _ in paragraphs(sections(text)["ENVIRONMENT", ""]) for name in tag.split(", ")}
    if not wanted or wanted - told:
        raise Failure(f"variables that the page lacks: {wanted - told}")


def check_form():
    tried = 0
    for command in (["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-man", "-ww", "-z", "-Tutf8"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, PAGE], capture_output=True, text=True)
            if done.returncode or done.stdout or done.stderr:
                raise Failure(f"{command[0]} complains\n{done.stdout}{done.stderr}")
            tried += 1
    if not tried:
        raise Skip("neither mandoc nor groff is installed")


def cases():
    yield "install/the man page has every option of --help", check_options
    yield "install/the man page: version, programs, environment", check_rest
    yield "install/the man page has no faults of form", check_form
