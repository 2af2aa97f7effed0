"""The language: a .net file here, its verdicts beside it.

    x.err   diagnostics of `netc check x.net` (exit code 1); places and names of checks count, wordings do not
    x.ast   `netc show --ast x.net`        x.ir   `netc show --ir x.net`
    x.plan  `netc show --plan x.net`, in ASCII; with box-drawing characters it is the same drawing

A line `# args: ...` among the first five adds options. Files in folders are what tests import. All runs under ASan, UBSan
and the leak check, also over every file of netdefs/. examples.py adds the examples of the documents.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import examples
from tap import ROOT, UPDATE, Failure, arguments_of, diagnostics, expect_done, main, netc, verdict


def check_errors(path):
    got = netc("check", *arguments_of(path), path.name, cwd=HERE)
    if got.code != 1 or got.out:
        raise Failure(f"netc check ended with {got.code}, expected diagnostics and 1\n{got.out}{got.err}")
    verdict(path.with_suffix(".err"), got.err.replace(f"{ROOT}/", ""), diagnostics)


def check_shown(path, form):
    got = expect_done(netc("show", f"--{form}", *arguments_of(path), path.name, cwd=HERE), f"netc show --{form}")
    verdict(path.with_suffix("." + form), got.out)


def check_plan(path):
    command = ["show", "--plan", *arguments_of(path), path.name]
    plain = expect_done(netc(*command, cwd=HERE, env={"LC_ALL": "C"}), "netc show --plan").out
    boxes = expect_done(netc(*command, cwd=HERE, env={"LC_ALL": "C.UTF-8"}), "netc show --plan").out
    if boxes.translate(str.maketrans("─│┌┐└┘╶╴▪", "-|++++[]#")) != plain or not plain.isascii() or boxes.isascii():
        raise Failure(f"in UTF-8 it is another drawing\n{boxes}")
    if max(map(len, boxes.splitlines())) > 120:
        raise Failure("it is wider than 120 columns")
    verdict(path.with_suffix(".plan"), plain)


def check_file(path):
    wanted = [form for form in ("err", "ast", "ir", "plan") if path.with_suffix("." + form).exists()]
    if not wanted and not UPDATE:
        raise Failure("no verdict: none of .err, .ast, .ir and .plan beside it (UPDATE=1 writes one)")
    if not wanted:
        wanted = ["ir"] if netc("check", *arguments_of(path), path.name, cwd=HERE).code == 0 else ["err"]
    for form in wanted:
        if form == "err":
            check_errors(path)
        elif form == "plan":
            check_plan(path)
        else:
            check_shown(path, form)


def check_library(path):
    shown = path.relative_to(ROOT)
    text = path.read_text()
    expect_done(netc("show", "--ast", shown), "netc show --ast")
    if re.search(r"^net\b", text, re.M):
        for net in re.findall(r"^net\s+(\w+)", text, re.M):
            expect_done(netc("check", f"{shown}:{net}"), f"netc check {shown}:{net}")


def check_coverage():
    """Every named check has a case: a verdict that shows its name, or a unit test that expects it."""
    names = re.findall(r"^CHECK\((\w+),", (ROOT / "compiler/base/checks.def").read_text(), re.M)
    seen = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix in (".err", ".c", ".py", ".sh") and path.is_file():
            seen |= set(re.findall(r"\[(\w+)\]|CHECK_(\w+)|FAULT\((\w+)|\"(\w+)\"", path.read_text(errors="replace")))
    seen = {name for found in seen for name in found}
    missing = [name for name in names if name not in seen]
    if missing:
        raise Failure(f"{len(missing)} of {len(names)} named checks have no case\n" + "\n".join(missing))


cases = [(f"lang/{path.stem}", lambda path=path: check_file(path)) for path in sorted(HERE.glob("*.net"))]
cases += [(str(path.relative_to(ROOT)), lambda path=path: check_library(path))
          for path in sorted((ROOT / "netdefs").rglob("*.net"))]
cases += examples.cases()
cases.append(("lang/every check has a case", check_coverage))
main(cases)
