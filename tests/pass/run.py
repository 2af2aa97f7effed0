"""Graph passes, each alone: x.ir is read, one pass runs, the result is x.PASS.ir beside it.

PASS `read` runs none: what is read is printed. Several passes in turn are joined by `+`; the target is x86-64-v4 unless
a line `; args: --target=NAME` says otherwise. x.err is for a graph that must be refused.
Every verdict is read and printed once more and must stay as it is.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import Failure, arguments_of, diagnostics, expect_done, main, netc, verdict


def check_errors(path):
    got = netc("pass", "read", path.name, cwd=HERE)
    if got.code != 1 or got.out:
        raise Failure(f"netc pass read ended with {got.code}, expected diagnostics and 1\n{got.out}{got.err}")
    verdict(path.with_suffix(".err"), got.err, diagnostics)


def check_pass(path, result):
    name = result.name.split(".")[-2]
    got = expect_done(netc("pass", name, "--target=x86-64-v4", *arguments_of(path), path.name, cwd=HERE), f"netc pass {name}")
    verdict(result, got.out)
    again = expect_done(netc("pass", "read", "-", cwd=HERE, stdin=got.out.encode()), "netc pass read of what was printed")
    if again.out != got.out:
        raise Failure("reading what was printed gives another text\n" + again.out)


def no_verdict(path):
    raise Failure(f"no verdict: make an empty {path.stem}.PASS.ir and run with UPDATE=1")


cases = []
for path in sorted(HERE.glob("*.ir")):
    if path.name.count(".") > 1:
        continue
    results = sorted(HERE.glob(path.stem + ".*.ir"))
    if path.with_suffix(".err").exists():
        cases.append((f"pass/{path.stem}", lambda path=path: check_errors(path)))
    elif not results:
        cases.append((f"pass/{path.stem}", lambda path=path: no_verdict(path)))
    for result in results:
        cases.append((f"pass/{result.stem}", lambda path=path, result=result: check_pass(path, result)))
main(cases)
