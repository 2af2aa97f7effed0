"""Loop IR: a kernel x.loop, its verdict beside it.

    x.err   diagnostics of the reader or the verifier (places and names of checks count)
    x.out   what the interpreter computes: every element of the out buffers, inputs filled with small integers

What is read is printed, and what is printed is read again and must give the same text.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import Failure, UPDATE, diagnostics, expect_done, main, netc, verdict


def check_errors(path):
    got = netc("loop", path.name, cwd=HERE)
    if got.code != 1 or got.out:
        raise Failure(f"netc loop ended with {got.code}, expected diagnostics and 1\n{got.out}{got.err}")
    verdict(path.with_suffix(".err"), got.err, diagnostics)


def check_values(path):
    text = expect_done(netc("loop", path.name, cwd=HERE), "netc loop").out
    again = expect_done(netc("loop", "-", cwd=HERE, stdin=text.encode()), "netc loop of what was printed").out
    if text != again:
        raise Failure("reading what was printed gives another text\n" + again)
    got = expect_done(netc("loop", "--eval", path.name, cwd=HERE), "netc loop --eval")
    verdict(path.with_suffix(".out"), got.out)


def check(path):
    if path.with_suffix(".err").exists():
        check_errors(path)
    elif path.with_suffix(".out").exists() or not UPDATE:
        check_values(path)
    else:
        check_values(path) if netc("loop", path.name, cwd=HERE).code == 0 else check_errors(path)


main([(f"loop/{path.stem}", lambda path=path: check(path)) for path in sorted(HERE.glob("*.loop"))])
