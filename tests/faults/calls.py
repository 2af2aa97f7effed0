"""Disks that are full and files that cannot be read, at every single system call: strace makes the k-th call fail.

What calls there are is read from a trace of the undisturbed run; those of the loader and of libomp on files of the system are left
out. A call that fails without harm (closing a file that was read) may go unnoticed, then all must be as if undisturbed.
Reads that come short: the shim shortens those of netc, zlib and the picture libraries, stdio is fed through a pipe bit by bit.
"""

import os
import re
import shutil
import subprocess
import threading

from scenes import ALL, INPUTS, NETC, OUT, SHIM, Failure, Scene
from tap import Skip

WRITES = {"write": ["ENOSPC", "EIO", "EINTR"], "writev": ["ENOSPC", "EIO"], "pwrite64": ["ENOSPC", "EIO"], "close": ["ENOSPC", "EIO"],
          "rename": ["ENOSPC", "EACCES"], "renameat": ["ENOSPC"], "renameat2": ["ENOSPC"], "link": ["EACCES"], "linkat": ["EACCES"],
          "mkdir": ["ENOSPC"], "ftruncate": ["ENOSPC"], "fallocate": ["ENOSPC"], "fsync": ["EIO"], "fdatasync": ["EIO"],
          "fchmod": ["EPERM"], "chmod": ["EPERM"], "symlink": ["ENOSPC"]}
READS = {"openat": ["EACCES", "EMFILE"], "read": ["EIO", "EINTR"], "readv": ["EIO"], "pread64": ["EIO"], "lseek": ["EIO"], "dup": ["EMFILE"],
         "fcntl": ["EMFILE"], "newfstatat": ["EIO"], "fstat": ["EIO"], "getdents64": ["EIO"]}
MEMORY = {"mmap": ["ENOMEM"], "clone": ["EAGAIN"], "clone3": ["EAGAIN"], "vfork": ["EAGAIN"], "pipe2": ["EMFILE"],
          "memfd_create": ["EMFILE"]}
GROUPS = {"writes": WRITES, "reads": READS, "resources": MEMORY}
SYSTEM = re.compile(r'[<"](/usr)?/lib|[<"]/etc/|[<"]/proc/|[<"]/sys/|[<"]/dev/(shm|urandom)|AT_FDCWD<[^>]*>, "/(usr/)?(lib|bin)')


def can_trace():
    if not shutil.which("strace"):
        raise Skip("strace is missing")
    done = subprocess.run(["strace", "-o", "/dev/null", "-e", "inject=getppid:error=EIO", "true"], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"strace may not trace here: {done.stderr.strip()[:200]}")


def traced(scene, calls):
    """(call, which of its kind, line of the trace), from where the program itself has begun."""
    log = OUT / f"{scene.path.name}.trace"
    code, *_ = scene.run(before=["strace", "-y", "-o", log, "-e", f"trace=prlimit64,{','.join(calls)}"])
    if code != 0:
        raise Failure(f"{scene.name} ended with {code} under strace")
    scene.lay_out()
    lines = log.read_text(errors="replace").splitlines()
    loaded = next((i for i, line in enumerate(lines) if line.startswith("prlimit64(0, RLIMIT_STACK, NULL")), -1)  # the loader's last
    seen, found = {}, []
    for i, line in enumerate(lines):
        call = re.match(r"(\w+)\(", line)
        if not call:
            continue
        seen[call[1]] = seen.get(call[1], 0) + 1
        if i > loaded and call[1] in calls and not SYSTEM.search(line) and "= -1 " not in line:
            found.append((call[1], seen[call[1]], line))
    return found


def failing(scene, kind):
    can_trace()
    scene.calm_down()
    errors = GROUPS[kind]
    for call, which, line in traced(scene, list(errors)):
        for error in errors[call] if ALL else errors[call][:1]:
            strace = ["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={which}"]
            scene.disturbed(f"{error} at {line[:120]}", before=strace, codes=(1, scene.memory))


# ---- reads and writes that come short ----

def short(scene, most):
    scene.calm_down()
    if not scene.disturbed(f"at most {most} bytes at once", env={"LD_PRELOAD": str(SHIM), "FAULT_SHORT": str(most)}):
        raise Failure(f"{scene.name}: short reads made it fail")


def trickle(scene, *fifos):
    """The same inputs through pipes, a few bytes at a time."""
    scene.calm_down()

    def feed(name):
        content = INPUTS[name]
        with open(scene.path / name, "wb", buffering=0) as pipe:
            for at in range(0, len(content), max(7, len(content) // 300)):
                pipe.write(content[at:at + max(7, len(content) // 300)])

    for name in fifos:
        (scene.path / name).unlink()
        os.mkfifo(scene.path / name)
    feeders = [threading.Thread(target=feed, args=(name,), daemon=True) for name in fifos]
    for feeder in feeders:
        feeder.start()
    done = subprocess.run(scene.command, cwd=scene.path, env=scene.env, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    if done.returncode or done.stderr or not scene.volatile and done.stdout != scene.calm[1]:
        raise Failure(f"through pipes it ended with {done.returncode}\n{done.stderr.decode(errors='replace')[:1000]}")
    for name in scene.outputs:
        if (scene.path / name).read_bytes() != scene.calm[3][name]:
            raise Failure(f"through pipes {name} differs")


def cases(scenes):
    for kind in GROUPS:
        for scene in scenes():
            scene.at(f"{scene.name}_{kind}")
            yield f"{kind}: {scene.name}", lambda s=scene, k=kind: failing(s, k)
    for scene in scenes():
        for most in (1, 4099):
            copy = Scene(f"{scene.name}_short_{most}", scene.command, *scene.outputs, volatile=scene.volatile, stdin=scene.stdin)
            yield f"short: {scene.name}, {most}", lambda s=copy, m=most: short(s, m)
    yield "short: a network through a pipe", lambda: trickle(Scene("pipe_net", [NETC, "show", "small.net"]), "small.net")
    yield "short: tensors through pipes", lambda: trickle(Scene("pipe_tensors", [OUT / "two", "--tensor=pixels:x.npy", "--tensor=bias:b.npy",
                                                          "--output=y.safetensors"], "y.safetensors"), "x.npy", "b.npy")
    yield "short: a data set through pipes", lambda: trickle(Scene("pipe_set", [OUT / "fake", "--dataset=images.gz,labels.gz", "--json"],
                                                            volatile=True), "images.gz", "labels.gz")
