"""Published networks and their golden values: what the tests of networks and of other processors share."""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "torch")]
import synthetic
from tap import BUILD, FOREIGN, NETC, Failure, Skip, emulator, expect_done, lacks, netc, parameter_count, run


def judge(got, golden, tolerance):
    """Numbers of a row of a table: y_0, y_1, y_last, where it has them, relative to the mean magnitude, the sums to sum_abs."""
    got, total = got.astype(np.float64).ravel(), float(golden["sum_abs"])
    if not np.isfinite(got).all():
        raise Failure("values that are not finite")
    found = {"y_0": got[0], "y_1": got[1], "y_last": got[-1], "sum": got.sum(), "sum_abs": np.abs(got).sum()}
    for what in found.keys() & golden.keys():
        value, wanted, scale = found[what], float(golden[what]), total / got.size if what.startswith("y_") else total
        if not abs(value - wanted) <= tolerance * scale:
            raise Failure(f"{what} is {value:.9e}, not {wanted:.9e}: off by {abs(value - wanted) / scale:.1e}")


class Network:
    """A row of logits.tsv; `out` is where its programs and tensors go while they are needed."""

    def __init__(self, row, out):
        self.out = out
        self.name, shape, self.params, *golden = row.split("\t")
        self.golden = dict(zip(("y_0", "y_1", "y_last", "sum", "sum_abs"), golden))
        self.shape = [int(n) for n in shape.split("x")]
        self.file = f"netdefs/{self.name}.net"
        self.options = ["-D", f"image={self.shape[1]}"] if self.shape[1] != 32 else []

    def judge(self, path, tolerance):
        judge(np.load(path), self.golden, tolerance)

    def check_parameters(self):
        done = expect_done(netc("show", "--params", self.file, *self.options, binary=NETC), "netc show --params")
        total = parameter_count(done.out)
        if total != int(self.params):
            raise Failure(f"{total} parameters, {self.params} were published")

    def check_interpreter(self):
        path = self.out / f"{self.name}.npy"
        expect_done(netc("run", self.file, *self.options, "--weights=synthetic", "--input=synthetic", "--output", path,
                         binary=NETC, timeout=1200), "the interpreter")
        self.judge(path, 1e-6)
        path.unlink()

    def check_program(self, target):
        program = self.out / f"{self.name}__{target}"
        files = [program.with_suffix(suffix) for suffix in (".1.npy", ".2.npy", ".in.npy")]
        one, two, pixels = files
        np.save(pixels, synthetic.network_input(self.shape).astype(np.float32))
        before = emulator(target) if target in FOREIGN else []
        try:
            expect_done(netc("build", self.file, *self.options, "--weights=synthetic", f"--target={target}", "-o", program,
                             binary=NETC, timeout=600), "netc build")
            first = run([*before, program, f"--tensor={pixels}", f"--output={one}", "--threads=1"], timeout=1200)
            if lacks(first):
                raise Skip(f"this processor does not run {target}")
            expect_done(first, "the program")
            self.judge(one, 2e-4)
            expect_done(run([*before, program, f"--tensor={pixels}", f"--output={two}", "--threads=2"], timeout=1200), "with two threads")
            if one.read_bytes() != two.read_bytes():
                raise Failure("one thread and two give different bits")
        finally:
            for path in (program, *files):
                path.unlink(missing_ok=True)


def build_fashion(net, program, *options):
    expect_done(netc("build", f"netdefs/fashion/{net}.net", f"--weights=netdefs/fashion/{net}.safetensors", *options, "-o", program,
                     binary=NETC, timeout=600), "netc build")


def networks(out):
    out.mkdir(parents=True, exist_ok=True)
    return [Network(row, out) for row in (HERE / "logits.tsv").read_text().splitlines()[1:]]
