"""Builds that a signal ends at any moment, and builds that run at once and write to the same place."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

from scenes import ALL, EMITTED, NETC, Failure, compare, netc

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
ROUNDS = 200 if ALL else 12


def start(scene, command=None):
    return subprocess.Popen(command or scene.command, cwd=scene.path, env=scene.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def interrupted(scene, number):
    scene.calm_down()
    begin = time.monotonic()
    scene.run()
    usual = time.monotonic() - begin
    scene.lay_out()
    dice, ended, rounds = random.Random(7), 0, 0
    while rounds < ROUNDS or (not ended and rounds < 10 * ROUNDS):
        rounds += 1
        wait = dice.uniform(0, usual) * min(1, ROUNDS / rounds)  # earlier and earlier if none came in time
        running = start(scene)
        time.sleep(wait)
        running.send_signal(number)
        out, said = running.communicate(timeout=60)
        ended += running.returncode == -number
        try:
            judge_interrupted(scene, number, running.returncode, out, said.decode(errors="replace"))
        except Failure as failure:
            scene.lay_out()
            raise Failure(f"{scene.name}, {number.name} after {1000 * wait:.1f} ms of {1000 * usual:.0f}: {failure}")
        if scene.files() != scene.before():
            scene.lay_out()
    if not ended:
        raise Failure(f"{scene.name}: no run was ended by {number.name}")


def judge_interrupted(scene, number, code, out, said):
    if number == signal.SIGKILL:  # nobody can tidy up after that; what stays is seen to be temporary
        for left in [*scene.temporary.iterdir(), *scene.path.rglob("*")]:
            if left.name.endswith(".tmp"):
                left.unlink()
            elif left.name.startswith("netc-"):
                remove_while_written(left)
    if code == 0:
        scene.judge(code, out, said, scene.files(), ())
        return
    scene.judge(None, out, f"error: {code}", scene.files(), (None,))
    if code != -number or said:
        raise Failure(f"ended with {code}\n{said[:1000]}")


def remove_while_written(folder):
    """Its compiler may still be at work."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)
        if not folder.exists():
            return
    raise Failure(f"{folder} is still written to")


# ---- two at once ----

def at_once(scene, other, rounds):
    """Two commands with the same output: at the end it is one of the two, whole, and nobody failed."""
    scene.calm_down()
    first, command = scene.calm[3], scene.command
    scene.command = other
    scene.calm_down()
    second, wanted = scene.calm[3], [scene.calm[3], first]
    if first == second:
        raise Failure("both write the same: this test cannot see anything")
    dice, seen = random.Random(3), set()
    for i in range(rounds):
        pair = []
        for words in dice.sample([command, other], 2):
            pair.append(start(scene, words))
            time.sleep(dice.uniform(0, 0.05))
        for running in pair:
            _, said = running.communicate(timeout=120)
            if running.returncode or said:
                raise Failure(f"round {i}: ended with {running.returncode}\n{said.decode(errors='replace')[:1000]}")
        files = scene.files()
        folders = [{name: content for name, content in files.items() if ("/" in name) == kept} for kept in (False, True)]
        for part in folders:  # what is kept may be of the other one than the program
            if not any(part.items() <= one.items() for one in wanted):
                raise Failure(f"round {i}: {compare(files, wanted)}")
        if set(files) != set(first) or any(scene.temporary.iterdir()):
            raise Failure(f"round {i}: left behind {set(files) - set(first)} {os.listdir(scene.temporary)}")
        seen.add(files == first)


VARIANT = ("-D", "classes=5")
SYNTHETIC = ("build", "small.net", "--weights=synthetic", "--parts=2", "--jobs=1")
PARTS = [*EMITTED, "c/small.kernels.1.c", "c/small.kernels.2.c"]


def pair(name, *arguments, outputs):
    scene = netc(name, *SYNTHETIC, *arguments, outputs=outputs, env={"CLANG_TAKES": "0.01"})
    return scene, [str(NETC), *SYNTHETIC, *VARIANT, *arguments]


def real_programs_at_once():
    """With clang itself: the program that is there at the end runs, and is the one of those that were asked for."""
    scene, other = pair("real_at_once", "-o", "small", outputs=["small"])
    del scene.env["NETC_CC"]
    scene.lay_out()
    running = [start(scene), start(scene, other)]
    for one in running:
        _, said = one.communicate(timeout=300)
        if one.returncode:
            raise Failure(said.decode(errors="replace")[:2000])
    done = subprocess.run([scene.path / "small", "--tensor=p.npy", "--json"], cwd=scene.path, capture_output=True, text=True)
    if done.returncode or not re.match(r'\{"network": "small"', done.stdout):
        raise Failure(f"the program ended with {done.returncode}\n{done.stderr}")
    if sorted(scene.files()) != sorted(scene.before()) or any(scene.temporary.iterdir()):
        raise Failure(f"left behind: {sorted(scene.files())}")


# ---- what was left by a process of the same number ----

def stale_name(scene, *names):
    """In a container all processes have the same few numbers: a name that a killed one left must not be in the way."""
    scene.calm_down()
    script = "".join(f"echo stale > {name}.$$.tmp; " for name in names) + 'exec "$@"'
    done = subprocess.run(["/bin/sh", "-c", script, "sh", *scene.command], cwd=scene.path, env=scene.env, capture_output=True)
    files = {name: content for name, content in scene.files().items() if not name.endswith(".tmp")}
    if done.returncode or (files != scene.calm[3] and not scene.volatile):
        raise Failure(f"ended with {done.returncode}\n{done.stderr.decode(errors='replace')[:1000]}")


def cases(scenes):
    for number in SIGNALS:
        for scene in scenes():
            if scene.outputs or scene.earlier:
                scene.at(f"{scene.name}_{number.name}")
                yield f"interrupted: {scene.name}, {number.name}", lambda s=scene, n=number: interrupted(s, n)
    rounds = 300 if ALL else 15
    for scene, other in (pair("at_once", "-o", "small", outputs=["small"]), pair("at_once_emit", "--emit-c=c", outputs=PARTS),
                         pair("at_once_keep", "-o", "small", "--keep=c", outputs=["small", *PARTS]),
                         pair("at_once_source", "--kind=source", "-o", "s", outputs=[]),
                         pair("at_once_static", "--kind=static", "-o", "l", outputs=["l/libsmall.a", "l/small.h", "l/small.pc"])):
        yield f"at once: {scene.name}", lambda s=scene, o=other: at_once(s, o, rounds)
    yield "at once: real programs", real_programs_at_once
    for scene in scenes():
        if scene.outputs:
            scene.at(f"{scene.name}_stale")
            yield f"stale: {scene.name}", lambda s=scene: stale_name(s, *s.outputs)
