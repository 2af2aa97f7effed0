"""Criterion: every binary that the Makefile built from tests/unit/test_*.c, under ASan and UBSan; a line a test."""

import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tap import BUILD, CASES_FAILED, ROOT


def tests_of(source):
    """Yields (name, None if it passed, else "skip" or why it failed) of each test of one binary."""
    name = source.stem.removeprefix("test_")
    binary = BUILD / "san/unit" / source.stem
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        yield name, "it did not compile"
        return
    report = BUILD / "tests" / f"{source.stem}.tap"
    report.unlink(missing_ok=True)
    # A leak would be printed and pass; the leak gate is the compiler itself run over all files (tests/lang).
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    try:
        done = subprocess.run([binary, "--jobs", "2", f"--tap={report}"], cwd=ROOT, env=environment, capture_output=True,
                              timeout=600, text=True, errors="replace")
        print(done.stderr)
        text = report.read_text(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        yield name, f"no report: {error}"
        return
    results = re.split(r"^(ok|not ok) - (\S+)::(\S+)", text, flags=re.M)[1:]
    for verdict, suite, test, details in zip(*[iter(results)] * 4):
        why = None if verdict == "ok" else " ".join(details.partition("failures:")[2].split())[:400] or "crashed"
        yield f"{name}/{suite}/{test}", "skip" if "# SKIP" in details.split("\n")[0] else why
    if not results or (done.returncode != 0 and "not ok" not in results):
        yield name, f"ended with {done.returncode}"


any_failed = False
for source in sorted((ROOT / "tests/unit").glob("test_*.c")):
    for name, why in tests_of(source):
        if why is None:
            print(f"ok unit/{name}")
        elif why == "skip":
            print(f"skip unit/{name} - disabled")
        else:
            print(f"not ok unit/{name} - {why}")
            any_failed = True
sys.exit(CASES_FAILED if any_failed else 0)
