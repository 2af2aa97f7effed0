"""Exports that cannot be: an exit code, a line that says what is wrong, no file, and an older one untouched."""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.append(str(HERE.parent / "torch"))
import safetensors_numpy
from tap import NETC, SANITISED, Failure, as_a_user, expect_done, netc

SMALL = """import "blocks/common.net"
net small(classes = 3)
{
    input pixels [3, 9, 9]
    output logits = pixels |> first: batch_norm |> conv1: conv(5, 3) |> relu |> global_avg_pool |> flatten |> fc: linear(classes)
}
"""
OLD = b"an older model\n"


class Folder:
    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="netc-export-"))
        self.write("small.net", SMALL)
        self.write("old.onnx", OLD)
        return self

    def __exit__(self, *_):
        os.chmod(self.path, 0o700)
        shutil.rmtree(self.path)

    def write(self, name, content):
        (self.path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def refused(self, *arguments, says, check=None, code=1, lines=1, binary=SANITISED, seconds=60, **options):
        before = sorted(os.listdir(self.path))
        done = subprocess.run([binary, "export", *map(str, arguments)], cwd=self.path, capture_output=True, text=True,
                              timeout=seconds, **options)
        if done.returncode != code or done.stdout or not re.search(says, done.stderr) or (check and f"[{check}]" not in done.stderr):
            raise Failure(f"netc export {' '.join(map(str, arguments))} ended with {done.returncode}\n{done.stdout}{done.stderr}"[:2000])
        if lines and len(re.findall("error: ", done.stderr)) != lines:
            raise Failure(f"not {lines} error\n{done.stderr[:1000]}")
        if sorted(os.listdir(self.path)) != before or (self.path / "old.onnx").read_bytes() != OLD:
            raise Failure(f"left behind: {sorted(set(os.listdir(self.path)) - set(before))}")


def usage():
    with Folder() as folder:
        folder.refused("small.net", "-o", "x.onnx", says="--weights and --output are needed", code=2)
        folder.refused("small.net", "--weights=synthetic", says="--weights and --output are needed", code=2)
        folder.refused("small.net", "--weights=synthetic", "-o", "x.onnx", "--batch=0", says="--batch takes a whole number", code=2)
        folder.refused("small.net", "--weights=synthetic", "-o", "x.onnx", "--target=scalar", says="unknown option", code=2)


def output():
    with Folder() as folder:
        small = ("small.net", "--weights=synthetic", "-o")
        folder.refused(*small, "nowhere/x.onnx", says="^nowhere/x.onnx: error: cannot be written: No such file", check="build_write")
        folder.refused(*small, ".", says="it is a directory", check="build_write")
        folder.refused(*small, "/dev/full", says="it is no ordinary file", check="build_write")
        full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        folder.refused(*small, "old.onnx", says="^old.onnx: error: cannot be written: File too large", check="build_write", preexec_fn=full, binary=NETC)
        os.chmod(folder.path, 0o500)
        folder.refused(*small, "x.onnx", says="^x.onnx: error: cannot be written: Permission denied", check="build_write", preexec_fn=as_a_user)


def weights():
    with Folder() as folder:
        shapes = {"first.weight": [3], "first.bias": [3], "first.running_mean": [3], "first.running_var": [3], "conv1.weight": [5, 3, 3, 3],
                  "fc.weight": [3, 5], "fc.bias": [3]}
        tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
        safetensors_numpy.save(str(folder.path / "whole"), tensors)
        safetensors_numpy.save(str(folder.path / "short"), {name: t for name, t in tensors.items() if name != "fc.bias"})
        folder.refused("small.net", "--weights=short", "-o", "old.onnx", says="parameter fc.bias is not in the file", check="weights_missing")
        folder.refused("small.net", "-D", "classes=4", "--weights=whole", "-o", "old.onnx", says="fc", check="weights_shape", lines=2)
        folder.refused("small.net", "--weights=whole", "-o", "whole", says="it is the checkpoint", check="build_write")
        folder.refused("small.net", "--weights=none", "-o", "x.onnx", says="none")


def after_passes():
    """Graph IR behind a pass has what ONNX cannot say: told by operator and place."""
    with Folder() as folder:
        for name, says in (("fold_batch_norm", r"folded.ir:\d+:\d+: error: scale_shift \(\S+\) cannot be written as ONNX"),
                           ("fuse_epilogues", r"folded.ir:\d+:\d+: error: \w+ \(\S+\) cannot be written as ONNX"),
                           ("choose_layout", "cannot be written as ONNX")):
            folder.write("folded.ir", expect_done(netc("show", folder.path / "small.net", f"--ir=after:{name}"), "netc show").out)
            folder.refused("folded.ir", "--weights=synthetic", "-o", "old.onnx", says=says, check="export_operator")
        folder.write("read.ir", expect_done(netc("show", folder.path / "small.net", "--ir"), "netc show").out)
        expect_done(netc("export", folder.path / "read.ir", "--weights=synthetic", "-o", folder.path / "x.onnx"), "netc export of graph IR")


def sizes():
    """More than a message of protobuf can have is told before anything is worked out."""
    with Folder() as folder:
        folder.write("large.net", "net large() { input x [30000] output y = x |> a: linear(17000) |> b: linear(3000) }")
        folder.refused("large.net", "--weights=synthetic", "-o", "old.onnx", says="large cannot be written as ONNX: .*2147483647 bytes",
                       check="export_size", seconds=20)
        folder.write("windows.net", "net windows() { input x [1, 3, 3] output y = x |> w: taps }\n"
                                    "block x |> taps() { return x |> unfold(1, stride = 40000, pad = 40000) }")
        folder.refused("windows.net", "--weights=synthetic", "-o", "old.onnx",
                       says=r"windows.net:2:\d+: error: unfold \(w.unfold\) cannot be written as ONNX: the padded input", check="export_operator")


def bad_input():
    return [("bad/usage", usage), ("bad/output", output), ("bad/weights", weights), ("bad/after_passes", after_passes), ("bad/sizes", sizes)]
