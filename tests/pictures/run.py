"""Pictures: decoded, resized, cropped and normalised by the runtime as by Pillow and torchvision, to the last bit.

A case is a function test_* of formats, damage or tensors, which ask a sanitised harness (harness.c) through a pipe;
`run.py NAME...` runs some. The judges are Debian's: Pillow 9.4, which uses the same libjpeg-turbo, and torchvision
0.14.
"""

import sys

import judge  # finds tap.py
import damage
import formats
import tap
import tensors

if __name__ == "__main__":
    try:
        judge.build()
    except tap.Failure as failure:
        print(f"not ok pictures/compile - {failure}")
        sys.exit(tap.CASES_FAILED)
    cases = [(name.removeprefix("test_"), function) for module in (formats, damage, tensors)
             for name, function in vars(module).items() if name.startswith("test_")]
    tap.main([(f"pictures/{name}", function) for name, function in cases if not sys.argv[1:] or name in sys.argv[1:]])
