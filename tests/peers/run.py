"""Networks of netdefs/ against timm and torchvision in PyTorch, in float64, with synthetic weights on both sides (models.py).

Of every network, names and shapes of all tensors are those of its checkpoint. What stages give (-D features=true) and the logits are
compared at odd map sizes, with output strides 32, 16 and 8, and with cardinalities and widths that no paper used; a sample as
programs, where 2e-4 of the largest value is allowed, else 1e-9. The networks are cut short (blocks) so that this takes seconds: the
whole ones' logits are in tests/nets. ALL=1 takes every network, and whole.
"""

import re
import sys
import threading
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "torch")]
import safetensors_numpy
import synthetic
from tap import ALL, BUILD, NETC, TARGETS, Failure, Skip, expect_done, lacks, leave_out, main, netc, parameter_shapes, run

from more_cases import BUILT as MORE_BUILT, SAMPLE as MORE

try:
    import models
except ImportError as missing:
    models, WHY = None, f"{missing} (make build/venv/done)"

OUT = BUILD / "tests" / "peers"
OUT.mkdir(parents=True, exist_ok=True)
ALONE = threading.Lock()  # models.py replaces functions of PyTorch while it builds
SHORT = {3: [1, 2, 2], 4: [1, 1, 2, 2]}


def judge(function, *arguments, **options):
    if not models:
        raise Skip(WHY)
    with ALONE:
        return getattr(models, function)(*arguments, **options)


def check_tensors(name, library):
    wanted = judge("tensors", name, library)
    got = parameter_shapes(expect_done(netc("show", "--params", f"netdefs/{name}.net", binary=NETC), "netc show --params").out)
    wrong = [f"{key}: netc {got.get(key, 'has none')}, {library} {wanted.get(key, 'has none')}"
             for key in [*wanted, *(key for key in got if key not in wanted)] if got.get(key) != wanted.get(key)]
    if wrong:
        raise Failure(f"{len(wrong)} tensors differ\n" + "\n".join(wrong[:20]))


class Case:
    """A network at an image size, and what differs from its defaults: output_stride, blocks, cardinality, width, classes."""

    def __init__(self, name, image, **options):
        self.name, self.image, self.options = name, image, options
        shown = [f"{key}={value}" for key, value in options.items() if key != "blocks"]
        self.title = " ".join([name, f"image={image}", *shown, *(["cut short"] if "blocks" in options else [])])
        self.path = OUT / re.sub(r"\W+", "_", self.title)
        defines = {"image": image, "features": "true", **options}
        self.words = [f"netdefs/{name}.net", *(word for key, value in defines.items() for word in ("-D", f"{key}={value}"))]

    def wanted(self):
        return judge("run", self.name, self.image, **self.options)

    def compare(self, path, wanted, tolerance):
        got = safetensors_numpy.load(str(path))[0]
        if set(got) != set(wanted):
            raise Failure(f"the outputs are {list(got)}, not {list(wanted)}")
        for name, value in wanted.items():
            if list(got[name][0].shape) != list(value.shape):
                raise Failure(f"{name} has the shape {list(got[name][0].shape)}, not {list(value.shape)}")
            off = np.abs(got[name][0].astype(np.float64) - value).max() / np.abs(value).max()
            if not off <= tolerance:
                raise Failure(f"{name} is off by {off:.1e} of its largest value")

    def check_interpreter(self):
        wanted, path = self.wanted(), self.path.with_suffix(".safetensors")
        expect_done(netc("run", *self.words, "--weights=synthetic", "--input=synthetic", "--output", path, binary=NETC, timeout=1200),
                    "the interpreter")
        self.compare(path, wanted, 1e-9)
        path.unlink()

    def check_program(self, target):
        wanted = self.wanted()
        program, pixels, values = (Path(f"{self.path}_{target}{end}") for end in ("", ".npy", ".safetensors"))
        try:
            np.save(pixels, synthetic.network_input([3, self.image, self.image]).astype(np.float32))
            expect_done(netc("build", *self.words, "--weights=synthetic", f"--target={target}", "-o", program, binary=NETC, timeout=600),
                        "netc build")
            got = run([program, f"--tensor={pixels}", f"--output={values}"], timeout=600)
            if lacks(got):
                raise Skip(f"this processor does not run {target}")
            expect_done(got, "the program")
            self.compare(values, wanted, 2e-4)
        finally:
            for path in (program, pixels, values):
                path.unlink(missing_ok=True)


# At 97, stages have 25, 13, 7 and 4 rows; at 72, 18, 9, 5 and 3.
FOUR, THREE = {"blocks": [1, 1, 2, 2]}, {"blocks": [1, 2, 2]}
SAMPLE = [
    Case("resnet18", 97, output_stride=8, **FOUR),
    Case("resnet50", 97, **FOUR),
    Case("resnet50d", 97, output_stride=8, **FOUR),
    Case("resnet50_gn", 72, output_stride=16, **FOUR),
    Case("resnetblur50", 72, **FOUR),
    Case("resnetblur50", 97, output_stride=8, **FOUR),
    Case("wide_resnet50_2", 72, output_stride=16, cardinality=3, width=33, **FOUR),
    Case("resnext50_32x4d", 72, output_stride=16, **FOUR),
    Case("resnext50_32x4d", 97, output_stride=8, cardinality=5, width=7, **FOUR),
    Case("resnext29_8x64d", 33, output_stride=2, cardinality=3, **THREE),
    Case("resnext29_8x64d", 33, output_stride=1, cardinality=2, width=20, **THREE),
    Case("resnext29_16x64d", 31, cardinality=2, **THREE),
    Case("seresnet18", 72, output_stride=16, **FOUR),
    Case("seresnext50_32x4d", 72, output_stride=8, cardinality=7, width=12, classes=11, **FOUR),
    Case("senet154", 72, output_stride=8, **FOUR),
    Case("senet154", 97, output_stride=16, cardinality=6, width=10, **FOUR),
    Case("legacy_seresnet50", 97, output_stride=16, **FOUR),
    Case("legacy_senet154", 97, output_stride=8, **FOUR),
    Case("ecaresnet50d", 97, output_stride=16, **FOUR),
    Case("skresnet18", 97, output_stride=8, **FOUR),
    Case("skresnet50", 72, output_stride=16, **FOUR),
    Case("skresnext50_32x4d", 97, output_stride=8, cardinality=6, width=5, **FOUR),
]
BUILT = ["resnet50d", "skresnet18"]

SAMPLE += [Case(name, image, **options) for name, image, options in MORE]

cases = []
for name in models.NETWORKS if models else ["networks"]:
    origin = "our modules" if models and name in models.papers.NETWORKS else "timm"
    cases.append((f"peers/{name} tensors of {origin}", lambda name=name, origin=origin: check_tensors(name, origin)))
    if models and name in models.TORCHVISION:
        cases.append((f"peers/{name} tensors of torchvision", lambda name=name: check_tensors(name, "torchvision")))
whole = []
if ALL and models:
    for name in models.NETWORKS:
        if name in models.ATTENTION + models.papers.NETWORKS:
            whole.append(Case(name, 256, tables=256) if name == "aa_resnet50" else Case(name, 256))
            continue
        sizes = ((33, 2), (33, 1)) if name in models.CIFAR else ((72, 16), (72, 8))
        whole += [Case(name, sizes[0][0] + 1), *(Case(name, image, output_stride=stride) for image, stride in sizes)]


def built(case):
    return case not in whole and (case.name in BUILT or (case.name, case.image) in MORE_BUILT)


for case in SAMPLE + whole:
    cases.append((f"peers/{case.title} interpreter", case.check_interpreter))
    for target in TARGETS if ALL and case not in whole else ["native"] if built(case) else []:
        cases.append((f"peers/{case.title} {target}", lambda case=case, target=target: case.check_program(target)))
leave_out("stage outputs and output strides of whole networks; programs of all but a few")
main(cases)
