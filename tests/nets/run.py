"""Published networks with synthetic weights and input, against logits of their original definitions in float64 (logits.tsv).

Weights and input are filled by the rule at the top of compiler/weights/synthetic.c. ImageNet's networks run at 72 x 72, where odd
maps exercise the ceil and pad rules. Single logits are compared relative to the mean |logit|, `sum` and `sum_abs` relative to
sum_abs: 1e-6 in the interpreter, 2e-4 in float32 programs. A program gives the same bits for one thread and two.
Every network runs in the interpreter, the smallest of each family as a program of every target; ALL=1: all of both.
"""

import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "torch")]
import synthetic
from tap import ALL, BUILD, NETC, ROOT, TARGETS, Failure, Skip, expect_done, main, netc, run

SMALLEST = ["resnet18", "resnet50d", "wide_resnet50_2", "resnext50_32x4d", "seresnet18", "seresnext50_32x4d",
            "res2net50_14w_8s", "res2net50_v1b", "resnext29_8x64d"]
OUT = BUILD / "tests" / "nets"
OUT.mkdir(parents=True, exist_ok=True)


class Network:
    def __init__(self, row):
        self.name, shape, self.params, *self.golden = row.split("\t")
        self.shape = [int(n) for n in shape.split("x")]
        self.file = f"netdefs/{self.name}.net"
        self.options = ["-D", f"image={self.shape[1]}"] if self.shape[1] != 32 else []

    def judge(self, path, tolerance):
        got = np.load(path).astype(np.float64).ravel()
        logit_0, logit_1, logit_last, total, total_abs = (float(n) for n in self.golden)
        if not np.isfinite(got).all():
            raise Failure("values that are not finite")
        mean = total_abs / got.size
        for what, value, wanted, scale in (
            ("first logit", got[0], logit_0, mean), ("second logit", got[1], logit_1, mean),
            ("last logit", got[-1], logit_last, mean), ("sum", got.sum(), total, total_abs),
            ("sum of magnitudes", np.abs(got).sum(), total_abs, total_abs)):
            if not abs(value - wanted) <= tolerance * scale:
                raise Failure(f"{what} is {value:.9e}, not {wanted:.9e}: off by {abs(value - wanted) / scale:.1e}")

    def check_parameters(self):
        done = expect_done(netc("show", "--params", self.file, *self.options, binary=NETC), "netc show --params")
        total = 0
        for line in done.out.splitlines():
            match = re.match(r"(\S+)\s+\[([\d, ]+)\]", line)
            if match and not re.search(r"\.(running_mean|running_var)$", match.group(1)):
                total += int(np.prod([int(n) for n in match.group(2).split(",")]))
        if total != int(self.params):
            raise Failure(f"{total} parameters, {self.params} were published")

    def check_interpreter(self):
        path = OUT / f"{self.name}.npy"
        expect_done(netc("run", self.file, *self.options, "--weights=synthetic", "--input=synthetic", "--output", path,
                         binary=NETC, timeout=1200), "the interpreter")
        self.judge(path, 1e-6)
        path.unlink()

    def check_program(self, target):
        program = OUT / f"{self.name}__{target}"
        files = [program.with_suffix(suffix) for suffix in (".1.npy", ".2.npy", ".in.npy")]
        one, two, pixels = files
        np.save(pixels, synthetic.network_input(self.shape).astype(np.float32))
        try:
            expect_done(netc("build", self.file, *self.options, "--weights=synthetic", f"--target={target}", "-o", program,
                             binary=NETC, timeout=600), "netc build")
            first = run([program, f"--tensor={pixels}", f"--output={one}", "--threads=1"], timeout=300)
            if first.code != 0 and re.search(r"this processor|not supported|lacks", first.err):
                raise Skip(f"this processor does not run {target}")
            expect_done(first, "the program")
            self.judge(one, 2e-4)
            expect_done(run([program, f"--tensor={pixels}", f"--output={two}", "--threads=2"], timeout=300), "with two threads")
            if one.read_bytes() != two.read_bytes():
                raise Failure("one thread and two give different bits")
        finally:
            for path in (program, *files):
                path.unlink(missing_ok=True)


def build_fashion(net, program, *options):
    expect_done(netc("build", f"netdefs/fashion/{net}.net", f"--weights=netdefs/fashion/{net}.safetensors", *options, "-o", program,
                     binary=NETC, timeout=600), "netc build")


def check_demo(net):
    """The trained networks on all 10,000 test pictures: what `make demo` shows."""
    if not PICTURES.exists():
        raise Skip(f"{PICTURES} is missing (Debian's dataset-fashion-mnist)")
    program = OUT / f"demo_{net}"
    build_fashion(net, program)
    labels = PICTURES.with_name("t10k-labels-idx1-ubyte.gz")
    got = expect_done(run([program, f"--dataset={PICTURES},{labels}"], timeout=600), "the program")
    line = re.match(r"fashion_\w+  parameters (\d+)  macs \d+  accuracy ([\d.]+) %  \d+ pictures/s$", got.out.splitlines()[0])
    if not line or float(line.group(2)) < 93 or int(line.group(1)) >= 450000:
        raise Failure(got.out.splitlines()[0])
    program.unlink()


def check_batch(net):
    """An image has the same bits alone and in a batch, also in a last batch that is not full."""
    rng, out = np.random.default_rng(7), []
    pixels = OUT / f"batch_{net}.npy"
    np.save(pixels, rng.standard_normal((7, 1, 28, 28)).astype(np.float32))
    for batch in (1, 4):
        program, result = OUT / f"batch_{net}_{batch}", OUT / f"batch_{net}_{batch}.npy"
        build_fashion(net, program, f"--batch={batch}")
        expect_done(run([program, f"--tensor={pixels}", f"--output={result}"]), "the program")
        out.append(result.read_bytes())
        program.unlink()
        result.unlink()
    pixels.unlink()
    if out[0] != out[1]:
        raise Failure("batch 1 and batch 4 give different bits")


PICTURES = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
networks = [Network(row) for row in (HERE / "logits.tsv").read_text().splitlines()[1:]]
cases = []
for net in networks:
    cases.append((f"nets/{net.name} parameters", net.check_parameters))
    cases.append((f"nets/{net.name} interpreter", net.check_interpreter))
for net in networks:
    if ALL or net.name in SMALLEST:
        for target in TARGETS:
            cases.append((f"nets/{net.name} {target}", lambda net=net, target=target: net.check_program(target)))
for net in ("resnext", "res2net"):
    cases.append((f"nets/fashion_{net} classifies", lambda net=net: check_demo(net)))
    cases.append((f"nets/fashion_{net} in batches", lambda net=net: check_batch(net)))
main(cases)
