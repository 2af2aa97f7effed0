"""netc as a tool that is installed: where its files go, that they are found, names of networks, --version, the man
page, completion in the shells, colours in editors."""

import filecmp
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import editors
import pages
import shells
from tap import ALL, BUILD, NETC, ROOT, Failure, Skip, expect_done, main, netc, run

SCRATCH = BUILD / "tests/install.scratch"
PREFIX = "/opt/net works"
TINY = ("--weights=synthetic", "--target=scalar")
OWN = """import "blocks/common.net"
net own(classes = 10)
{
    input pixels [3, 8, 8]
    output logits = pixels |> conv_norm(4, 3) |> relu |> global_avg_pool |> flatten |> fc: linear(classes)
        labels "labels/cifar10.txt"
}
"""


def fresh(name):
    path = SCRATCH / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def make(target, stage, prefix=PREFIX, folder=ROOT):
    """As a user runs it, with files that nobody else may read unless make says otherwise."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "SANITIZE", "PREFIX", "DESTDIR")}
    built = ["-o", "all"] if folder == ROOT else []  # make test has built it, perhaps with other flags
    command = ["make", "-j2", *built, "SKIP_DEPS=1", target, f"PREFIX={prefix}", f"DESTDIR={stage}"]
    done = subprocess.run(command, cwd=folder, env=environment, umask=0o077, capture_output=True, text=True,
                          timeout=600)
    return done.returncode, done.stdout, done.stderr


def install(stage, **options):
    code, out, err = make("install", stage, **options)
    if code or err:
        raise Failure(f"make install ended with {code}\n{out}{err}")
    return Path(f"{stage}{options.get('prefix', PREFIX)}")


def tree(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


WHERE = ["bin/netc", "share/man/man1/netc.1", "share/bash-completion/completions/netc",
         "share/zsh/site-functions/_netc", "share/fish/vendor_completions.d/netc.fish",
         "share/vim/vimfiles/syntax/netc.vim", "share/vim/vimfiles/ftdetect/netc.vim",
         "share/netc/editors/netc.tmLanguage.json", "share/doc/netc/grammar/LANGUAGE.md",
         "share/doc/netc/grammar/CHECKPOINTS.md", "share/doc/netc/LICENSE",
         *(f"share/netc/tests/torch/{name}.py" for name in ("train_fashion", "net_torch", "safetensors_numpy", "synthetic"))]


def check_files():
    """Twice, into a folder with blanks and a quote, under umask 077; everything that netc needs is there."""
    stage = fresh("it's a stage")
    root = install(stage)
    first = tree(root)
    if install(stage) != root or tree(root) != first:
        raise Failure("installed twice it is something else")
    listed = subprocess.run(["git", "ls-files", "netdefs", "runtime"], cwd=ROOT, capture_output=True, text=True)
    needed = [f"share/netc/{name}" for name in listed.stdout.split() if "_study/" not in name] if listed.returncode == 0 else []
    missing = [name for name in WHERE + needed if name not in first]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)}")
    for path in [root, *root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = 0o755 if path.is_dir() or path.parent.name == "bin" else 0o644
        if mode != wanted:
            raise Failure(f"{path.relative_to(root)} has mode {mode:o}, not {wanted:o}")
    traces = [name for name in first if str(ROOT).encode() in (root / name).read_bytes() and name != "bin/netc"]
    if traces:
        raise Failure(f"these know where they were made: {', '.join(traces)}")


def check_uninstall():
    """It takes away what install brought, and nothing else; a later install what an earlier one had more."""
    stage = fresh("gone")
    root = install(stage)
    (root / "share/netc/netdefs/mine.net").write_text("")
    (root / "bin/other").write_text("")
    runtime, listed = root / "share/netc/runtime/of_the_last_version.c", root / "share/netc/installed"
    runtime.write_text("")
    with open(listed, "a") as more:
        more.write("share/netc/runtime/of_the_last_version.c\nshare/netc/old/\n")
    (root / "share/netc/old").mkdir()
    install(stage)
    if runtime.exists() or (root / "share/netc/old").exists():
        raise Failure("what only an earlier version had is still there")
    for _ in range(2):
        code, out, err = make("uninstall", stage)
        if code or err or tree(root) != ["bin/other", "share/netc/netdefs/mine.net"]:
            raise Failure(f"make uninstall ended with {code}: {tree(root)}\n{out}{err}")
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir())
    if left != ["bin", "share", "share/netc", "share/netc/netdefs"]:
        raise Failure(f"empty folders are left: {left}")


def check_refused():
    code, out, err = make("install", "", prefix="/dev/null/netc")
    if code == 0 or "not all of it could be written to /dev/null/netc" not in err:
        raise Failure(f"ended with {code}: {out}{err}")


def built(program, folder, *arguments):
    """What `netc build --emit-c` of another netc writes: folder of files."""
    out = fresh(folder)
    expect_done(netc("build", *TINY, f"--emit-c={out}", *arguments, binary=program, cwd=SCRATCH / "user"), "netc build")
    return out


def check_moved():
    """Moved, and called through a link from elsewhere: everything is found, and the C is the same."""
    stage = fresh("first place")
    root = install(stage)
    place = fresh("moved") / "new place"
    root.rename(place)
    shutil.rmtree(stage)
    user = fresh("user")
    (user / "own.net").write_text(OWN)
    (user / "link").symlink_to(place / "bin/netc")
    program = user / "link"
    expect_done(netc("check", "own.net", binary=program, cwd=user), "netc check")
    version = expect_done(netc("--version", binary=program, cwd="/"), "netc --version").out
    if f"files: {place}/share/netc\n" not in version:
        raise Failure(f"its files are elsewhere: {version}")
    for arguments in (["own.net"], ["fashion/resnext"]):
        ours, theirs = built(NETC, "ours", *arguments), built(program, "theirs", *arguments)
        if tree(ours) != tree(theirs) or filecmp.cmpfiles(ours, theirs, tree(ours), shallow=False)[1:] != ([], []):
            raise Failure(f"the installed netc writes other C for {arguments[0]}")
    expect_done(netc("build", "own.net", *TINY, "-o", "own", binary=program, cwd=user), "netc build")
    info = expect_done(run([user / "own", "--info"]), "own --info").out
    if "own" not in info:
        raise Failure(f"own --info says {info}")
    env = {"NETC_PYTHON": "/bin/echo"}  # which tells what it is to run where PyTorch's version is expected
    swept = expect_done(netc("sweep", "own.net", "--train", "--json", binary=program, cwd=user, env=env), "netc sweep").out
    if f"-B {place}/share/netc/tests/torch/train_fashion.py --check" not in swept:
        raise Failure(f"netc sweep --train runs another script\n{swept[:2000]}")
    if shutil.which("man"):
        page = expect_done(run(["man", "-w", "netc"], env={"MANPATH": str(place / "share/man")}), "man -w netc").out
        if page.strip() != str(place / "share/man/man1/netc.1"):
            raise Failure(f"man finds {page}")


def check_alone():
    """A netc that was copied without its files says where it looked."""
    folder = fresh("alone/bin")
    shutil.copy(NETC, folder / "netc")
    (folder / "own.net").write_text(OWN)
    got = run([folder / "netc", "check", "own.net"], cwd=folder)
    if got.code != 1 or not re.search(r"\[import_missing\]\n(.*\n)*.*share/netc/netdefs .* is not there", got.err):
        raise Failure(f"netc check ended with {got.code}\n{got.err}")
    (folder / "plain.net").write_text("net plain() { input x [2, 4, 4] output y = x |> c: conv(2, 3) }")
    got = run([folder / "netc", "build", *TINY, "plain.net"], cwd=folder)
    if got.code != 1 or not re.search(r"share/netc/runtime.*\[build_runtime\]", got.err) or (folder / "plain").exists():
        raise Failure(f"netc build ended with {got.code}\n{got.err}")


def check_names():
    folder = fresh("names")
    (folder / "nets").mkdir()
    (folder / "nets/resnet50.net").write_text(OWN.replace("own", "mine"))
    (folder / "resnet50").write_bytes(b"\x7fELF, the program of a build before")

    def shown(*arguments):
        got = expect_done(netc("show", *arguments, cwd=folder), "netc show")
        return got.out.splitlines()[-1].split(":")[0]

    for arguments, wanted in [(["resnet50"], "resnet50"), (["resnet50:resnet50"], "resnet50"),
                              (["-I", "nets", "resnet50"], "mine"), (["nets/resnet50.net"], "mine"),
                              (["fashion/resnext"], "fashion_resnext"), (["-D", "image=64", "resnet18"], "resnet18")]:
        if shown(*arguments) != wanted:
            raise Failure(f"netc show {' '.join(arguments)} shows {shown(*arguments)}, not {wanted}")
    for name, says in [("./resnet50", "^./resnet50:1:1: error"), ("resnet50:none", "net_unknown"),
                       ("resnet5", "a network `resnet50`"), ("netdefs/resnet18.net", "a network `resnet18`"),
                       ("qwertyuiop", "netc list"), ("nothing.net", "file_read")]:
        got = netc("check", name, cwd=folder)
        if got.code != 1 or not re.search(says, got.err):
            raise Failure(f"netc check {name} ended with {got.code} and does not say {says}\n{got.err}")
    listed = expect_done(netc("list", "-I", "nets", cwd=folder), "netc list").out
    names = re.findall(r"^\S+", listed, re.M)
    if names != sorted(set(names)) or not {"resnet50", "fashion/res2net"} <= set(names) or "blocks/common" in names:
        raise Failure(f"netc list says\n{listed}")


def check_version():
    folder = fresh("version")
    stand_in = folder / "clang"
    stand_in.write_text("#!/bin/sh\n[ \"$1\" = -dumpversion ] && echo 18.1.0 || echo \"stand-in version 18.1.0\"\n")
    stand_in.chmod(0o755)

    def clang(**environment):
        lines = expect_done(netc("--version", env=environment), "netc --version").out.splitlines()
        if len(lines) != 4 or lines[3] != "MIT licence, no warranty" or lines[2] != f"files: {ROOT}":
            raise Failure(f"netc --version says {lines}")
        return lines[1]

    started = time.monotonic()
    netc("--version", binary=NETC)
    if time.monotonic() - started > 2:
        raise Failure("netc --version takes more than two seconds")
    for environment, wanted in [({"PATH": str(folder)}, f"{folder}/clang, stand-in version 18.1.0"),
                                ({"PATH": "/nonexistent"}, "clang was not found"),
                                ({"NETC_CC": str(stand_in)}, "stand-in version 18.1.0"),
                                ({"NETC_CC": "no-such"}, "NETC_CC is 'no-such'"),
                                ({"NETC_CC": "/bin/false"}, "/bin/false"),
                                ({"TMPDIR": "/nonexistent"}, "no temporary directory")]:
        if wanted not in clang(**environment):
            raise Failure(f"with {environment}: {clang(**environment)}")


def check_clone():
    """From a clean clone, without what is built here."""
    if not ALL:
        raise Skip("builds netc once more: ALL=1")
    clone = fresh("clone") / "netc"
    expect_done(run(["git", "clone", "-q", ROOT, clone]), "git clone")
    root = install(SCRATCH / "clone/root", prefix="/usr", folder=clone)
    expect_done(netc("check", "resnet50", binary=root / "bin/netc", cwd="/"), "netc check")


if __name__ == "__main__":
    fresh(".")
    cases = [("install/files", check_files), ("install/uninstall", check_uninstall),
             ("install/a place that cannot be written", check_refused), ("install/moved", check_moved),
             ("install/alone", check_alone), ("install/names of networks", check_names),
             ("install/version", check_version), ("install/from a clone", check_clone)]
    main(cases + list(pages.cases()) + list(shells.cases(SCRATCH)) + list(editors.cases(SCRATCH)))
