"""The runtime and the driver that builds programs.

The programs are made of runtime/*.c, sanitised, and of fake_model.c, a network written by hand whose answers NumPy
repeats exactly. Nothing but picture_fashion needs netc itself; build_fake.c calls its driver. A case is a function test_* of one of
the modules below; `run.py NAME...` runs some.
"""

import sys

import harness  # finds tap.py
import tap
import arrays
import driver
import modes
import pictures
import sets
import watch

if __name__ == "__main__":
    harness.compile_all()
    cases = [(name.removeprefix("test_"), function) for module in (arrays, sets, modes, pictures, watch, driver)
             for name, function in vars(module).items() if name.startswith("test_")]
    tap.main([(f"run/{name}", function) for name, function in cases if not sys.argv[1:] or name in sys.argv[1:]])
