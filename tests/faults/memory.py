"""Memory that ends at every allocation: one line and code 70 (netc) or 1 (a built program), nothing left behind.

Twice for netc: NETC_FAIL_ALLOC counts what it takes out of its arenas and gives to jansson, flex and bison; the shim counts all
that malloc() is asked for by whatever library. The shim fails one allocation alone, or that and all after it.
"""

from pathlib import Path

from scenes import ALL, SHIM, Failure

MOST = 60  # runs of a scene unless ALL=1


def steps(total):
    """1 .. total; in short runs every k-th, from another first one for every total."""
    stride = 1 if ALL or total <= MOST else (total + MOST - 1) // MOST
    return range(1 + total % stride, total + 1, stride)


def count(fails):
    """How many allocations there are: the first n of which fails(n) is not true, found by doubling and halving."""
    most = 1
    while fails(most):
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fails(middle) else (least, middle)
    return least


def of_arenas(scene):
    scene.calm_down()
    total = count(lambda n: not scene.disturbed(f"arena allocation {n}", env={"NETC_FAIL_ALLOC": str(n)}, codes=(70,)))
    if total < 100:
        raise Failure(f"{scene.name}: only {total} allocations")
    for n in steps(total):
        if scene.disturbed(f"arena allocation {n}", env={"NETC_FAIL_ALLOC": str(n)}, codes=(70,)):
            raise Failure(f"{scene.name}: allocation {n} did not fail")


def of_malloc(scene, after):
    scene.calm_down()
    log = Path(f"{scene.path}.log")

    def fails(n):
        log.unlink(missing_ok=True)
        env = {"LD_PRELOAD": str(SHIM), "FAULT_ALLOC": f"{n}{after}", "FAULT_LOG": str(log)}
        what = f"malloc {n}{' and all after it' if after else ''}"
        try:
            scene.disturbed(what, env=env, codes=(1, scene.memory))
        except Failure as failure:
            raise Failure(f"{failure}\nasked for by {log.read_text().strip() if log.exists() else 'nobody'}")
        return log.exists()

    total = count(fails)
    if total < 5:
        raise Failure(f"{scene.name}: only {total} allocations")
    for n in steps(total):
        fails(n)


def cases(scenes):
    for scene in scenes():
        if scene.memory == 70:
            yield f"memory: {scene.name}, arenas", lambda s=scene: of_arenas(s)
    for after in ("", "+"):
        for scene in scenes():
            scene.at(f"{scene.name}_malloc{'_on' if after else ''}")
            yield f"memory: {scene.name}, malloc{' from then on' if after else ''}", lambda s=scene, a=after: of_malloc(s, a)
