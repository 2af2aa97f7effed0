"""What the cases share: a small network, its parameters, packing a checkpoint and comparing what comes of it."""

import hashlib
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "torch"))
import safetensors_numpy
from tap import BUILD, NETC, SANITISED, Failure, expect_done, run

OUT = BUILD / "tests" / "checkpoints"
OUT.mkdir(parents=True, exist_ok=True)
NET = OUT / "small.net"
NET.write_text("""net small(classes = 3, width = 4)
{
    input pixels [3, 12, 12]
    output logits = pixels |> conv1: conv(width, 3) |> bn1: batch_norm |> relu
        |> layer1: { 0: { conv1: conv(width * 2, 3, groups = 2) |> bn1: batch_norm |> relu } }
        |> global_avg_pool |> flatten |> fc: linear(classes)
}
""")
SHAPES = {"conv1.weight": (4, 3, 3, 3), "bn1.weight": (4,), "bn1.bias": (4,), "bn1.running_mean": (4,), "bn1.running_var": (4,),
          "layer1.0.conv1.weight": (8, 2, 3, 3), "layer1.0.bn1.weight": (8,), "layer1.0.bn1.bias": (8,),
          "layer1.0.bn1.running_mean": (8,), "layer1.0.bn1.running_var": (8,), "fc.weight": (3, 8), "fc.bias": (3,)}
CHECKED = SANITISED if SANITISED.exists() else NETC


def parameters(seed=1):
    dice = np.random.default_rng(seed)
    return {name: dice.uniform(0.5 if name.endswith("var") else -1, 1, shape).astype("<f4") for name, shape in SHAPES.items()}


class Folder:
    """A scratch folder; what a file asks to be made would be made here."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="netc-checkpoints-"))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name, content):
        path = self.path / name
        path.write_bytes(content)
        return path

    def pack(self, file, *options, net=NET, binary=CHECKED, timeout=60):
        return run([binary, "pack", net, f"--weights={file}", "-o", self.path / "packed", *options], cwd=self.path, timeout=timeout)

    def packed(self, file, *options, **more):
        """The weights file that comes of a checkpoint: lines about the digest and the layers, and the numbers."""
        expect_done(self.pack(file, *options, **more), "netc pack")
        content = (self.path / "packed").read_bytes()
        (self.path / "packed").unlink()
        return content

    def same(self, file, values, *options, net=NET, binary=CHECKED):
        """Packed, the file is what a safetensors file of these values is, to the last byte."""
        plain = self.path / "plain.safetensors"
        safetensors_numpy.save(plain, values)
        if self.packed(file, *options, net=net, binary=binary) != self.packed(plain, net=net, binary=binary):
            raise Failure(f"{file.name}: other bytes than from a safetensors file")

    def refused(self, file, check, says="", *options, net=NET, binary=CHECKED):
        """One line that says what is wrong, and nothing is left or was made."""
        before = sorted(self.path.iterdir())
        got = self.pack(file, *options, net=net, binary=binary)
        errors = re.findall(r"^.*error: .*$", got.err, re.M)
        if got.code != 1 or got.out or len(errors) != 1 or f"[{check}]" not in errors[0]:
            raise Failure(f"wanted one line with [{check}], it ended with {got.code}\n{got.err[:2000]}")
        if not re.search(says, errors[0]) or len(errors[0]) > 1000:
            raise Failure(f"it does not say /{says}/: {errors[0][:1000]}")
        if sorted(self.path.iterdir()) != before:
            raise Failure(f"something was left or made: {sorted(self.path.iterdir())}")


def digest(data):
    return hashlib.sha256(data).hexdigest()
