"""Published networks with synthetic weights and input, against logits of their original definitions in float64 (logits.tsv).

Weights and input are filled by the rule at the top of compiler/weights/synthetic.c. ImageNet's networks run at 72 x 72, where odd
maps exercise the ceil and pad rules. Single logits are compared relative to the mean |logit|, `sum` and `sum_abs` relative to
sum_abs: 1e-6 in the interpreter, 2e-4 in float32 programs. A program gives the same bits for one thread and two.
Every network runs in the interpreter, the smallest of each family as a program of every target; ALL=1: all of both.

The rows of resnet152, resnetblur50, wide_resnet101_2, resnext101_32x4d, resnext29_16x64d, seresnext101_32x4d, senet154,
legacy_senet154, ecaresnet50d and skresnet34 were printed by tests/peers/models.py, from timm's definitions; that script gives the other
rows of its networks, too, which were made from the authors' and torchvision's.

So were those of resnest269, resnest50_fast_1s2x40d, res2net50_26w_6s, res2net101_v1b, eca_botnext26ts_256, halonet50ts,
lambda_resnet26rpt_256 and sebotnet33ts_256, and those of aa_resnet50 and sasa_resnet50 from tests/peers/papers.py.

Parameters and multiply-adds of these and of papers' variants are what tests/tables compares.
"""

import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from golden import build_fashion, networks  # and with it the path to what the next two import
import heads
import layers
from tap import ALL, BUILD, ROOT, TARGETS, Failure, Skip, expect_done, leave_out, main, run

SMALLEST = ["resnet18", "resnetblur50", "resnext50_32x4d", "seresnet18", "ecaresnet50d", "skresnet18", "res2net50_14w_8s", "resnest14d",
            "cotnet50", "botnet26t_256", "halonet26t", "lambda_resnet26t"]
OUT = BUILD / "tests" / "nets"


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
cases = []
for net in networks(OUT):
    cases.append((f"nets/{net.name} parameters", net.check_parameters))
    cases.append((f"nets/{net.name} interpreter", net.check_interpreter))
for net in networks(OUT):
    if ALL or net.name in SMALLEST:
        for target in TARGETS:
            cases.append((f"nets/{net.name} {target}", lambda net=net, target=target: net.check_program(target)))
for net in sorted(path.stem for path in (ROOT / "netdefs/fashion").glob("*.safetensors")):
    cases.append((f"nets/fashion_{net} classifies", lambda net=net: check_demo(net)))
    cases.append((f"nets/fashion_{net} in batches", lambda net=net: check_batch(net)))
leave_out(f"programs of all networks but {len(SMALLEST)}, heads on whole backbones")
cases += heads.cases(OUT)
cases += layers.cases(OUT)
main(cases)
