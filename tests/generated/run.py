"""The C of a few networks is committed under generated/ and must come out again byte for byte (UPDATE=1 rewrites it).

generated/list has a line for each: FOLDER, then the arguments of `netc build`.
It compiles without a warning, also for processors that this machine is not.
"""

import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import NETC, ROOT, UPDATE, Failure, clang_flags, expect_done, main, netc, run, verdict

GENERATED = ROOT / "generated"


def check_header(path):
    """For C11 and C++11 alike, alone and twice."""
    for language, compiler in (("c11", "clang-19"), ("c11", "gcc"), ("c++11", "clang-19"), ("c++11", "g++")):
        user = path.with_suffix(".user.c" if language == "c11" else ".user.cc")
        user.write_text(f'#include "{path.name}"\n#include "{path.name}"\n')
        got = run([compiler, f"-std={language}", "-Wall", "-Wextra", "-pedantic", "-Wconversion",
                   "-Wold-style-cast" if language == "c++11" else "-Wstrict-prototypes", "-Werror", "-fsyntax-only", user])
        if got.code != 0 or got.err:
            raise Failure(f"{path.name} does not compile cleanly as {language} by {compiler}\n{got.err[:3000]}")


def check(folder, arguments):
    with tempfile.TemporaryDirectory(prefix="netc-generated-") as temporary:
        expect_done(netc("build", *arguments, f"--emit-c={temporary}/c", binary=NETC), "netc build --emit-c")
        made = {path.name: path for path in sorted(Path(temporary, "c").glob("*.[ch]"))}
        if not made:
            raise Failure("no C came out")
        target = GENERATED / folder
        if UPDATE:
            target.mkdir(parents=True, exist_ok=True)
            for path in set(target.glob("*.[ch]")) - {target / name for name in made}:
                path.unlink()
        surplus = sorted(path.name for path in target.glob("*.[ch]") if path.name not in made)
        if surplus:
            raise Failure(f"no longer made: {', '.join(surplus)}")
        for name, path in made.items():
            verdict(target / name, path.read_text())
            if str(ROOT) in path.read_text():
                raise Failure(f"{name} names a folder of this machine")
        for name, path in made.items():
            if name.endswith(".h"):
                check_header(path)
                continue
            name_of_target = re.search(r"--target=(\S+)", " ".join(arguments)).group(1)
            got = run(["clang-19", "-std=c17", "-fopenmp", "-Wall", "-Wextra", *clang_flags(name_of_target), f"-I{ROOT}/runtime",
                       "-fsyntax-only", path])
            if got.code != 0 or got.err:
                raise Failure(f"{name} does not compile cleanly\n{got.err[:3000]}")


cases = []
if (GENERATED / "list").exists():
    for line in (GENERATED / "list").read_text().splitlines():
        folder, *arguments = line.split("#")[0].split() or [None]
        if folder:
            cases.append((f"generated/{folder}", lambda folder=folder, arguments=arguments: check(folder, arguments)))
if not cases:
    print("not ok generated - generated/list names no network")
main(cases)
