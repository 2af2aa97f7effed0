"""The examples in the documents are tests.

    ```net                    a whole file: every net in it is checked, without a warning
    ```net error CHECK        `netc check` ends with 1 and tells this check and no other
    ```net file=NAME          a whole file that later examples of this document may import
    ```net file=netdefs/...   the same text as that file of the tree
    ```console                `$ netc check ...`: the places and names below it are what is printed (only in README.md)

The tables of grammar/LANGUAGE.md are compared with the tables of the compiler: named checks (UPDATE=1 rewrites them) and operators.
"""

import re
import shlex
import shutil
from pathlib import Path

from tap import BUILD, ROOT, UPDATE, Failure, diagnostics, expect_done, netc

DOCUMENTS = ["grammar/LANGUAGE.md", "README.md", "CONTRIBUTING.md"]
NETDEFS = ROOT / "netdefs"


def fences(text, language):
    """(line, words behind the language, content) of every fenced block."""
    for match in re.finditer(rf"^```{language}\b *([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def nets_of(text):
    return re.findall(r"^net\s+(\w+)", text, re.M)


def check_valid(path, text):
    expect_done(netc("show", "--ast", path.name, cwd=path.parent), "netc show --ast")
    for net in nets_of(text):
        done = expect_done(netc("check", "-I", NETDEFS, f"{path.name}:{net}", cwd=path.parent), f"netc check {path.name}:{net}")
        if done.err:
            raise Failure(f"netc check {path.name}:{net} warns\n{done.err}")


def check_invalid(path, check):
    got = netc("check", "-I", NETDEFS, path.name, cwd=path.parent)
    told = re.findall(r": error: .*  \[(\w+)\]$", got.err, re.M)
    if got.code != 1 or set(told) != {check}:
        raise Failure(f"ended with {got.code} and told {', '.join(told) or 'nothing'}, the document says {check}\n{got.err}")


def check_same(text, name):
    if text != (ROOT / name).read_text():
        raise Failure(f"differs from {name}")


def example(document, folder, line, words, text):
    named = re.search(r"file=(\S+)", words)
    path = folder / (named.group(1) if named else f"line_{line}.net")
    name = f"lang/{document}:{line}"
    if named and named.group(1).startswith("netdefs/"):
        return name, lambda: check_same(text, named.group(1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if words.startswith("error "):
        return name, lambda: check_invalid(path, words.split()[1])
    return name, lambda: check_valid(path, text)


def check_console(text):
    """The diagnostics below each `$ netc check ARGUMENTS` of a console block; `broken.net` is the one of tests/lang/readme."""
    for command, printed in re.findall(r"^\$ (netc check [^\n]*)\n((?:[^$\n][^\n]*\n)*)", text, re.M):
        got = netc(*shlex.split(command)[1:], cwd=ROOT / "tests/lang/readme", binary=BUILD / "san/netc")
        if diagnostics(got.err) != diagnostics(printed):
            raise Failure(f"`{command}` prints\n{got.err}")


# ---- tables ----

def language_checks():
    """The rows of checks.def that a .net file can meet."""
    rows = (ROOT / "compiler/base/checks.def").read_text()
    rows = rows[:rows.index("/* graph: what graph_verify asserts */")]
    found = re.findall(r'^CHECK\((\w+), "((?:[^"\\]|\\.)*)"\)', rows, re.M)
    return [(name, says.replace('\\"', '"').replace("\\\\", "\\")) for name, says in found if not name.startswith("graph_text")]


def check_table_of_checks():
    path = ROOT / "grammar/LANGUAGE.md"
    text = path.read_text()
    table = "".join(f"| `{name}` | {says} |\n" for name, says in language_checks())
    match = re.search(r"(<!-- made from checks.def[^\n]*-->\n.*?\| --- \| --- \|\n)(.*?)(?=\n<!-- end -->)", text, re.S)
    if UPDATE:
        path.write_text(text[:match.start(2)] + table.rstrip("\n") + text[match.end(2):])
    elif match.group(2) + "\n" != table:
        raise Failure("its table of checks is not that of checks.def (UPDATE=1 rewrites it)")


def check_table_of_operators():
    text = (ROOT / "grammar/LANGUAGE.md").read_text()
    rows = re.findall(r'^OPERATOR_\w+\((\w+),(.*)\)$', (ROOT / "compiler/front/operators.def").read_text(), re.M)
    missing = []
    for name, rest in rows:
        strings = [string.replace('\\"', '"') for string in re.findall(r'"((?:[^"\\]|\\.)*)"', rest)]
        parameters = strings[-1] if strings else None
        written = f"`{name}" if parameters is None else f"`{name}({parameters})" if parameters else f"`{name}`"
        line = next((line for line in text.splitlines() if line.startswith("|") and written in line), None)
        if line is None:
            missing.append(f"no row has {written}")
    if missing:
        raise Failure("its tables of operators are not operators.def\n" + "\n".join(missing))


def cases():
    for document in DOCUMENTS:
        text = (ROOT / document).read_text() if (ROOT / document).exists() else ""
        folder = BUILD / "tests/lang" / Path(document).stem
        shutil.rmtree(folder, ignore_errors=True)
        for line, words, content in fences(text, "net"):
            yield example(document, folder, line, words, content)
        if document == "README.md":
            for line, _, content in fences(text, "console"):
                yield f"lang/{document}:{line}", lambda content=content: check_console(content)
    yield "lang/LANGUAGE.md lists the named checks", check_table_of_checks
    yield "lang/LANGUAGE.md lists the operators", check_table_of_operators
