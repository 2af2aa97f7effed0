"""Libraries as their callers see them, and folders of C (--kind=source) as somebody without netc sees them.

The callers are here: caller.c, caller.cc, caller.py, errors.c, words.c; $ in them is the network's name, @ the same in
capitals. What they compute must be the bits of the program that netc builds of the same network. `run.py WORD...` runs
the cases whose names have one of the words.
"""

import functools
import sys

import harness  # finds tap.py
import folders
import libraries
import tap

cases = [
    ("from C", libraries.from_c),
    ("from C++", libraries.from_cplusplus),
    ("from Python", libraries.from_python),
    ("README's examples", libraries.examples),
    ("from four threads", libraries.from_threads),
    ("from four threads, watched", libraries.from_threads_watched),
    ("a batch", libraries.batch),
    ("weights outside", libraries.weights_outside),
    ("words of C", libraries.words),
    ("macros", libraries.helper_macros),
    ("a long name", libraries.long_name),
    ("two static", libraries.two_static),
    ("two of one", libraries.two_of_one),
    ("static and shared", libraries.static_and_shared),
    ("in static ones", libraries.in_static),
    ("in shared ones", libraries.in_shared),
    ("what runs anywhere", libraries.runs_anywhere),
    ("folders", libraries.folders),
    ("replaced", libraries.replaced),
    ("source: contents", folders.contents),
    ("source: parts, weights", folders.parts_and_weights),
    ("source: whole or not", folders.whole_or_not),
    ("source: aarch64", folders.foreign),
    ("source: resnext by gcc and clang", folders.compilers),
]
cases += [(f"numbers near zero {target}", functools.partial(libraries.tiny, target))
          for target in harness.runnable(tap.TARGETS)]
cases += [(f"errors {target}", functools.partial(libraries.errors, target)) for target in harness.runnable(tap.TARGETS)]

several = [("fashion/res2net", harness.NATIVE), ("resnet18", harness.NATIVE), ("seresnet18", "scalar")]
if tap.ALL:
    nets = ("fashion/res2net", "resnet18", "seresnet18", "resnext50_32x4d", "res2net50_26w_4s", "resnet50d")
    several = [(net, target) for net in nets for target in harness.runnable(tap.TARGETS)]
for net, target in several:
    trained = ["--weights=netdefs/fashion/res2net.safetensors"]
    options = trained if "/" in net else ["-D", f"image={64 if tap.ALL else 32}", "--weights=synthetic"]
    cases.append((f"source: {net} for {target} by gcc", functools.partial(folders.by_gcc, net, target, *options)))

if __name__ == "__main__":
    wanted = sys.argv[1:] or [""]
    tap.main([(f"libraries/{name}", function) for name, function in cases if any(word in name for word in wanted)])
