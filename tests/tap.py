"""What the groups of tests share: running netc, cases in two jobs, verdict files.

A case is a name and a function that returns nothing if all is well, raises Failure(why) or Skip(why). A compiler that
dies from a signal, ends with 70 (a defect), or is complained about by a sanitizer fails its case whatever was expected.
"""

import ctypes
import difflib
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
NETC = BUILD / "netc"
SANITISED = BUILD / "san" / "netc"  # with ASan, UBSan and the leak check: what the file tests run
UPDATE = os.environ.get("UPDATE") == "1"
ALL = os.environ.get("ALL") == "1"
# Out of the compiler's own table: clang's flags for each target of this architecture, (architecture, flags) for the others.
TARGETS, FOREIGN = {}, {}
for row in re.findall(r"^TARGET\((.*)\)$", (ROOT / "compiler/targets/targets.def").read_text(), re.M):
    name, isa, helpers, arch, flags, summary = re.findall(r'"([^"]*)"', row)
    if arch in ("", platform.machine()):
        TARGETS[name] = flags
    else:
        FOREIGN[name] = (arch, flags)
CASES_FAILED = 3  # how a group ends that ran to its end: any other code but 0 means that it broke
JOBS = int(os.environ.get("TEST_JOBS", "2"))


# What is started in a shell's background ignores Ctrl-C, and so would all that is started here, whatever signal a test sends.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def as_a_user():
    """For preexec_fn: permissions count for root, too."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, from the next program on


class Failure(Exception):
    pass


class Skip(Exception):
    pass


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


def run(command, cwd=ROOT, timeout=120, stdin=b"", env=None, binary=False):
    """Runs to the end; a signal, a defect or a sanitizer's report is a failure by itself."""
    command = [str(part) for part in command]
    shown = " ".join(command).replace(str(ROOT) + "/", "")
    environment = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1", **(env or {}))
    try:
        done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, timeout=timeout, env=environment)
    except subprocess.TimeoutExpired:
        raise Failure(f"`{shown}` took longer than {timeout} s")
    except FileNotFoundError:
        raise Failure(f"{command[0].replace(str(ROOT) + '/', '')} is not there (did it compile?)")
    err = done.stderr.decode(errors="replace")
    out = done.stdout if binary else done.stdout.decode(errors="replace")
    if done.returncode < 0 or done.returncode >= 128:
        raise Failure(f"`{shown}` died with code {done.returncode}\n{err[-2000:]}")
    report = re.search(r"ERROR: (Address|Leak)Sanitizer.*|runtime error: .*", err)
    if report:
        raise Failure(f"`{shown}`: {report.group(0)}\n{err[-4000:]}")
    if done.returncode == 70 and not (env or {}).get("NETC_FAIL_ALLOC"):
        raise Failure(f"`{shown}` ended with 70, a defect of netc\n{err[-2000:]}")
    return Result(done.returncode, out, err)


def netc(*arguments, binary=SANITISED, **options):
    return run([binary, *arguments], **options)


def sysroot(arch):
    """Headers and libraries of an architecture that this machine is not."""
    path = Path(os.environ.get("NETC_SYSROOT") or BUILD / "sysroot" / arch)
    if not (path / "usr/include/stdio.h").exists():
        raise Skip(f"no {arch} libraries in {path} (`make sysroot-{arch}`)")
    return path


def clang_flags(target):
    """With which clang takes the C of a target; a target of another architecture needs its sysroot."""
    if target in TARGETS:
        return TARGETS[target].split()
    arch, flags = FOREIGN[target]
    return [f"--target={arch}-linux-gnu", f"--sysroot={sysroot(arch)}", *flags.split()]


def emulator(target):
    """What stands before a program of a target of another architecture."""
    arch = FOREIGN[target][0]
    program = shutil.which(f"qemu-{arch}") or shutil.which(f"qemu-{arch}-static")
    if not program:
        raise Skip(f"qemu-{arch} is missing (Debian's qemu-user)")
    return [program, "-L", sysroot(arch)]


def expect_done(result, what):
    if result.code != 0:
        raise Failure(f"{what} ended with {result.code}\n{result.err[-3000:]}")
    return result


def lacks(result):
    """Did a built program end because this processor has not what its target needs?"""
    return result.code != 0 and re.search(r"this processor|not supported|lacks", result.err)


def parameter_shapes(text):
    """{name: shape} of what `netc show --params` prints."""
    return {name: [int(n) for n in shape.split(",")] for name, shape in re.findall(r"^(\S+)\s+\[([\d, ]+)\]", text, re.M)}


def parameter_count(text):
    """The same, counted as networks' sizes are published: without running statistics."""
    return sum(math.prod(shape) for name, shape in parameter_shapes(text).items() if not name.endswith((".running_mean", ".running_var")))


def arguments_of(path):
    """A line `# args: -D width=8` among the first five of a test file: what is added to the command."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line, _ in zip(lines, range(5)):
            match = re.match(r"\s*[#;]\s*args:\s*(.*)", line)
            if match:
                return match.group(1).split()
    return []


def verdict(path, text, compare=None):
    """Is `text` what stands in the file `path`? compare(text) picks the part of both that counts."""
    compare = compare or (lambda whole: whole)
    if UPDATE:
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return
    if not path.exists():
        raise Failure(f"no verdict: {path.relative_to(ROOT)} is missing (UPDATE=1 writes it)")
    wanted, got = compare(path.read_text()).splitlines(), compare(text).splitlines()
    if wanted != got:
        shown = difflib.unified_diff(wanted, got, "verdict", "now", lineterm="", n=2)
        raise Failure(f"differs from {path.name}\n" + "\n".join(list(shown)[:60]))


def diagnostics(text):
    """Places and names of checks of printed diagnostics, one a line: what verdicts compare, wordings are free."""
    found = re.findall(r"^(\S.*?): (error|warning): .*  \[(\w+)\]$|^(\.\.\. and \d+ more \w+)$", text, re.M)
    return "\n".join(more or f"{place}: {kind} [{check}]" for place, kind, check, more in found)


def leave_out(what):
    """What a group does with ALL=1 only: tests/run.sh says it, so that nobody takes a part for the whole."""
    if not ALL:
        print(f"left out: {what}", flush=True)


def main(cases):
    """Runs (name, function) pairs, two at a time, prints a line each in their order; exits."""

    def attempt(case):
        name, function = case
        try:
            function()
            return f"ok {name}"
        except Skip as skip:
            return f"skip {name} - {skip}"
        except Failure as failure:
            first, _, details = str(failure).partition("\n")
            return f"not ok {name} - {first}" + "".join(f"\n    {line}" for line in details.splitlines())
        except Exception:  # a fault of the test itself
            return f"not ok {name} - the test broke" + "".join(f"\n    {l}" for l in traceback.format_exc().splitlines())

    failed = False
    with ThreadPoolExecutor(JOBS) as pool:
        for line in pool.map(attempt, cases):
            failed |= line.startswith("not ok")
            print(line, flush=True)
    sys.exit(CASES_FAILED if failed else 0)
