"""Pictures: decoded, resized, cropped and normalised by the runtime as by Pillow and torchvision, to the last bit.

A case is a function test_* of formats, damage or tensors, which ask a sanitised harness (harness.c) through a pipe;
`run.py NAME...` runs some. The judges are Debian's: Pillow 9.4, which uses the same libjpeg-turbo, and torchvision
0.14.
"""

import os
import sys

import judge  # finds tap.py
import damage
import formats
import tap
import tensors


def test_aarch64():
    """Another processor's multiply-adds and libjpeg-turbo: some of the cases once more, emulated."""
    emulator = tap.emulator("aarch64")
    program = judge.build("aarch64", judge.OUT / "aarch64", "-O2", "-fuse-ld=lld", "-l:libomp.so.5")
    cases = ("jpeg_cmyk", "jpeg_colour_spaces", "png_gray", "real", "resize_random", "steps", "recipe_v1", "recipe_lua")
    command = " ".join(map(str, [*emulator, program]))
    got = tap.run([sys.executable, __file__, *cases], env={"PICTURES_HARNESS": command})
    judge.check(got.code == 0 and got.out.count("\nok ") == len(cases) - 1, f"not as here\n{got.out}{got.err}")


if __name__ == "__main__":
    try:
        if "PICTURES_HARNESS" not in os.environ:
            judge.build("scalar", judge.OUT, *judge.SANITISED)
    except tap.Failure as failure:
        print(f"not ok pictures/compile - {failure}")
        sys.exit(tap.CASES_FAILED)
    cases = [(name.removeprefix("test_"), function) for module in (formats, damage, tensors, sys.modules["__main__"])
             for name, function in vars(module).items() if name.startswith("test_")]
    tap.main([(f"pictures/{name}", function) for name, function in cases if not sys.argv[1:] or name in sys.argv[1:]])
