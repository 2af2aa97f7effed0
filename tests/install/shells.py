"""Completion in the real shells: a line is typed on a terminal, Tab inserts all candidates, and the shell itself says
which words it has now. What is typed and what must come is one table for bash, zsh and fish."""

import os
import pty
import re
import select
import shutil
import time
from pathlib import Path

from tap import ROOT, SANITISED, Failure, Skip, expect_done, netc, run

COMPLETION = ROOT / "share/completion"
# A folder with these files; `q c.net` has a net of two parameters, `two.net` two nets.
FILES = {"q c.net": "# About it.\nnet one(width = 4, sizes = [1, 2]) { }\n",
         "two.net": "net left() { }\nnet right() { }\n", "plain.net": "", "other.txt": "",
         "w.safetensors": "", "v.pth": "", "a.rename": "", "x.npy": "", "g.ir": "", "sub/": None, "nets/mine.net": "net mine(depth = 3) { }\n"}
# What is typed, with Tab behind it; what the last word may become. "..." : these, among others.
LINES = [
    ("netc sh", ["show"]),
    ("netc --v", ["--version"]),
    ("netc build --tar", ["--target="]),
    ("netc build --target=", ["--target=native", "--target=scalar", "--target=x86-64-v3", "..."]),
    ("netc build --target sc", ["scalar"]),
    ("netc build --kind=s", ["--kind=static", "--kind=shared", "--kind=source"]),
    ("netc show --ir=after:fuse", ["--ir=after:fuse_epilogues"]),
    ("netc show --ir=after:low", ["--ir=after:lower"]),
    ("netc show --para", ["--params"]),
    ("netc show 'q c.net' -D ", ["width=", "sizes="]),
    ("netc show -D wid=3 two.net --define=", ["--define="]),
    ("netc show resnet50 -D class", ["classes="]),
    ("netc show two.net:", ["two.net:left", "two.net:right"]),
    ("netc show resnext50", ["resnext50_32x4d"]),
    ("netc show -I nets min", ["mine"]),
    ("netc show --import-dir=nets mine -D ", ["depth="]),
    ("netc check pl", ["plain.net"]),
    ("netc check q", ["q c.net"]),
    ("netc check g", ["g.ir"]),
    ("netc check oth", ["other.txt"]),  # no file that fits: any
    ("netc build --weights=w", ["--weights=w.safetensors"]),
    ("netc build --weights sy", ["synthetic"]),
    ("netc pack --weights=v", ["--weights=v.pth"]),
    ("netc run --checkpoint", ["--checkpoint-key="]),
    ("netc build --rename=caffe_r", ["--rename=caffe_resnet"]),
    ("netc build --rename a", ["a.rename"]),
    ("netc run --input=", ["--input=synthetic", "--input=x.npy", "..."]),
    ("netc compare resnet18 resnext50", ["resnext50_32x4d"]),
    ("netc compare resnet18 resnet34,class", ["resnet34,classes="]),
    ("netc compare resnext50_32x4d,cardinality=8,wid", ["resnext50_32x4d,cardinality=8,width="]),
    ("netc compare resnet18,image=64 -D class", ["classes="]),
    ("netc build -o oth", ["other.txt"]),
    ("netc pass read+fold", ["read+fold_batch_norm"]),
    ("netc pass read g", ["g.ir"]),
    ("netc nonsense x", ["x"]),
]
SETUP = {
    "bash": r"""PS1= PS2=; bind 'set enable-bracketed-paste off'; bind '"\t": insert-completions'; source {file}""",
    "zsh": r"""PS1= PS2= RPS1=; unset zle_bracketed_paste; bindkey -e
        fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D
        zle -C all-matches complete-word _generic; bindkey '^I' all-matches
        zstyle ':completion:all-matches::::' completer _all_matches _complete; zstyle ':completion:*' insert true""",
}
COMMAND = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
FILE = {"bash": "netc.bash", "zsh": "_netc", "fish": "netc.fish"}


def make_folder(path):
    for name, text in FILES.items():
        target = path / name
        if text is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    return path


def environment(home):
    return {"PATH": f"{SANITISED.parent}:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


class Terminal:
    def __init__(self, command, folder, home):
        try:
            self.child, self.descriptor = pty.fork()
        except OSError as error:
            raise Skip(f"no terminal can be opened: {error}")
        if self.child == 0:
            os.chdir(folder)
            os.execve(shutil.which(command[0]), command, environment(home))

    def send(self, text):
        os.write(self.descriptor, text.encode())

    def read_to(self, mark, seconds=20):
        got, end = b"", time.monotonic() + seconds
        while mark not in got:
            if not select.select([self.descriptor], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure(f"the shell did not answer in {seconds} s: {got[-500:]!r}")
            got += os.read(self.descriptor, 65536)
        return got.decode(errors="replace")

    def close(self):
        os.close(self.descriptor)
        os.kill(self.child, 9)
        os.waitpid(self.child, 0)


def on_terminal(shell, folder, home):
    """For each line the words behind the one before the last."""
    terminal = Terminal(COMMAND[shell], folder, home)
    try:
        setup = SETUP[shell].format(file=COMPLETION / FILE[shell], folder=COMPLETION)
        terminal.send("; ".join(setup.split("\n")) + "; stty -echo cols 4000; printf 'READ''Y\\n'\n")
        terminal.read_to(b"READY\r\n")
        for line, _ in LINES:
            terminal.send(line + "\t\x01printf '\\001<%s>' \x05; printf 'DO''NE\\n'\n")  # Tab, home, printf, end
            yield re.findall(r"\x01<([^\x01]*)>", terminal.read_to(b"DONE\r\n"))
    finally:
        terminal.close()


def check_terminal(shell, folder, home):
    wrong = []
    for (line, wanted), words in zip(LINES, on_terminal(shell, folder, home)):
        typed = re.sub(r"'[^']*'", "quoted", line).split(" ")
        got = [word.rstrip("/") for word in words[len(typed) - 1:]]
        if shell == "bash":  # what stands before = and : is done already: it is there once
            done = re.match(r".*[=:]|", typed[-1]).group(0)
            got = got[:1] + [done + word for word in got[1:]]
        wrong += compare(line, wanted, got)
    if wrong:
        raise Failure("\n".join(["it offers something else", *wrong]))


def compare(line, wanted, got):
    among = wanted[-1] == "..."
    if among and set(wanted[:-1]) <= set(got) or sorted(wanted) == sorted(got):
        return []
    return [f"`{line}`: {got}, expected {wanted}"]


def check_fish(folder, home):
    wrong = []
    for line, wanted in LINES:
        question = f"source {COMPLETION / FILE['fish']}; complete -C \"{line}\""
        done = run([shutil.which("fish"), "--private", "-c", question], cwd=folder, env=environment(home))
        got = [row.split("\t")[0].rstrip("/") for row in expect_done(done, "fish").out.splitlines()]
        # fish leaves the word as it is where nothing fits
        wrong += compare(line, wanted, got or [line.split(" ")[-1]])
    if wrong:
        raise Failure("\n".join(["it offers something else", *wrong]))


def check_shell(shell, scratch):
    if not shutil.which(shell):
        raise Skip(f"{shell} is not installed")
    folder, home = make_folder(scratch / shell), scratch / f"{shell}-home"
    home.mkdir(exist_ok=True)
    check_fish(folder, home) if shell == "fish" else check_terminal(shell, folder, home)


def offered(*words):
    return [line.split("\t")[0] for line in expect_done(netc("--complete", *words), "netc --complete").out.splitlines()]


def check_options():
    """All that --help lists is offered, and nothing else."""
    commands = re.findall(r"^  (\w+) ", expect_done(netc("--help"), "netc --help").out, re.M)
    if not commands or [word for word in offered("") if word[0] != "-"] != commands:
        raise Failure(f"commands: {offered('')}, --help lists {commands}")
    for command in commands:
        shown = expect_done(netc(command, "--help"), "--help").out
        listed = re.findall(r"^  (?:-(\w), |    )--([\w-]+)(\[?=?)", shown, re.M)
        wanted = {f"--{name}{'=' if sign == '=' else ''}" for _, name, sign in listed}
        wanted |= {f"-{short}" for short, _, _ in listed if short}
        wanted |= {f"--{name}=" for _, name, sign in listed if sign == "[="}
        if set(offered(command, "-")) != wanted:
            raise Failure(f"{command}: offered and listed differ in {set(offered(command, '-')) ^ wanted}")


def cases(scratch):
    yield "install/completion offers what --help lists", check_options
    for shell in FILE:
        yield f"install/completion in {shell}", lambda shell=shell: check_shell(shell, scratch)
