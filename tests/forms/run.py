"""The three forms of a ResNeXt block (Xie et al. 2017, figure 3) are one program: netdefs/figure3.net written as paths that are added
(a), paths that are joined (b) and groups (c), with the same weights.

What may differ: the banner, the names in comments, and what belongs to the checkpoint and the command, its digest and `-D form=`.
"""

import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "torch"))
import safetensors_numpy
from tap import ALL, BUILD, FOREIGN, NETC, TARGETS, Failure, expect_done, main, netc, parameter_shapes, verdict

OUT = BUILD / "tests" / "forms"
OUT.mkdir(parents=True, exist_ok=True)
NET = "netdefs/figure3.net"
# Whole networks: the paper's, wide paths, odd ones (3 channels in 5 paths), dilated ones.
SIZES = {
    "small": "cardinality=4 width=8 blocks=[1,2,1,1] image=32 classes=5",
    "odd": "cardinality=5 width=3 blocks=[1,1,1,1] image=40 classes=3",
    "wide": "cardinality=3 width=24 blocks=[1,1,1,1] image=32 classes=4",
    "dilated": "cardinality=4 width=4 blocks=[1,1,1,2] image=32 classes=4 output_stride=8 features=true",
    "resnext50_32x4d": "",
}
FORMS = "abc"


def options(form, size):
    return [NET, f'-Dform="{form}"', *(f"-D{word}" for word in SIZES[size].split())]


def shapes(form, size):
    return parameter_shapes(expect_done(netc("show", "--params", *options(form, size), binary=NETC), "netc show --params").out)


def split(name, value, wanted):
    """The parameters conv2.0.weight, conv2.1.weight ... of a path form, out of (c)'s conv2.weight."""
    if name in wanted:
        return {name: value}
    layer, leaf = name.rsplit(".", 1)
    paths = [f"{layer}.{i}.{leaf}" for i in range(sum(bool(re.fullmatch(re.escape(layer) + r"\.\d+\." + leaf, n)) for n in wanted))]
    axis = 1 if layer.endswith("conv3") else 0
    return dict(zip(paths, np.split(value, len(paths), axis)))


def checkpoints(size):
    """A file of safetensors for each form: (c)'s parameters from dice, the others' cut out of them."""
    dice = np.random.default_rng(len(size))
    values = {name: dice.uniform(0.5 if name.endswith("var") else -1, 1, shape).astype("<f4") / max(1, np.prod(shape[1:])) ** 0.5
              for name, shape in shapes("c", size).items()}
    files = {}
    for form in FORMS:
        wanted, own = shapes(form, size), {}
        for name, value in values.items():
            own.update(split(name, value, wanted))
        if {name: list(value.shape) for name, value in own.items()} != wanted:
            raise Failure(f"form {form} of {size} has other parameters than (c) cut into paths")
        files[form] = OUT / f"{size}.{form}.safetensors"
        safetensors_numpy.save(files[form], {name: np.ascontiguousarray(value) for name, value in own.items()})
    return files


def comparable(text):
    text = re.sub(r"\A/\*.*?\*/", "", text, flags=re.S)  # the banner
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r'^(#define \w+_DIGEST\s+)".*"', r"\1", text, flags=re.M)
    return re.sub(r"(\.options = )\".*\"|(\.digest = )0x\w+", r"\1\2", text)


def same_program(size, target, files):
    """The C of all forms, and their packed weights byte for byte."""
    made = {}
    for form in FORMS:
        folder = OUT / f"{size}.{target}.{form}"
        expect_done(netc("build", *options(form, size), f"--weights={files[form]}", f"--target={target}", f"--emit-c={folder}",
                         binary=NETC), f"netc build of form {form}")
        made[form] = {path.name: path for path in sorted(folder.iterdir())}
    for form in "ab":
        if made[form].keys() != made["c"].keys():
            raise Failure(f"form {form} makes other files than (c): {', '.join(made[form])}")
        for name, path in made["c"].items():
            if path.suffix == ".weights":
                if path.read_bytes() != made[form][name].read_bytes():
                    raise Failure(f"{name} of form {form} has other bytes than that of (c)")
            elif comparable(path.read_text()) != comparable(made[form][name].read_text()):
                raise Failure(f"{name} of form {form} differs from that of (c): diff {path} {made[form][name]}")
    for form in FORMS:
        made[form]["figure3.weights"].unlink()
    if "gconv" not in made["c"][f"figure3.c"].read_text():
        raise Failure("there is no grouped convolution in what was made")


def check_c(size):
    files = checkpoints(size)
    some = ["x86-64-v3"] if size == "resnext50_32x4d" else ["x86-64-v3", "x86-64-v4", "scalar"]
    for target in [*TARGETS, *FOREIGN] if ALL else some:
        same_program(size, target, files)


def run(form, size, files, after=None):
    out = OUT / f"{size}.{form}.{after}.npy"
    expect_done(netc("run", *options(form, size), f"--weights={files[form]}", "--input=synthetic", "-o", out,
                     *([f"--after={after}"] if after else []), binary=NETC), f"netc run of form {form}")
    return np.load(out)


def check_values(size):
    """Before the pass the forms differ by the order of sums only, after it they are equal to the last bit."""
    files = checkpoints(size)
    wanted = run("c", size, files)
    if not np.abs(wanted).max() > 0:
        raise Failure("all logits are zero")
    for form in FORMS:
        off = np.abs(run(form, size, files) - wanted).max() / np.abs(wanted).max()
        if not off < 1e-12:
            raise Failure(f"form {form} as it was written is off by {off:.3g} of the largest logit")
        if not np.array_equal(run(form, size, files, "merge_branches"), wanted):
            raise Failure(f"form {form} after merge_branches gives other bits than (c)")


def check_weights_file():
    """What was packed for one form serves the program of another: a file's lines are those of the merged layers."""
    files, packed = checkpoints("small"), {}
    for form in FORMS:
        packed[form] = OUT / f"small.{form}.weights"
        expect_done(netc("pack", *options(form, "small"), f"--weights={files[form]}", "-o", packed[form], binary=NETC), "netc pack")
    program = OUT / "small_c"
    expect_done(netc("build", *options("c", "small"), f"--weights={files['c']}", "-o", program, binary=NETC), "netc build")
    picture, answers = OUT / "small.npy", {}
    np.save(picture, np.random.default_rng(3).uniform(-1, 1, (2, 3, 32, 32)).astype("<f4"))
    for form in FORMS:
        expect_done(netc(f"--tensor={picture}", f"--weights-file={packed[form]}", f"--output={OUT}/small.{form}.npy", binary=program),
                    f"the program of (c) with the weights of ({form})")
        answers[form] = np.load(OUT / f"small.{form}.npy")
    if not (np.array_equal(answers["a"], answers["c"]) and np.array_equal(answers["b"], answers["c"])):
        raise Failure("the program of (c) answers otherwise with the weights of (a) or (b)")


def check_show():
    """netc show says what was merged, and counts the parameters and multiply-adds as they were written."""
    shown = {form: expect_done(netc("show", *options(form, "small")), "netc show").out for form in FORMS}
    totals = {form: re.search(r"^figure3: .*", text, re.M)[0] for form, text in shown.items()}
    if len(set(totals.values())) != 1:
        raise Failure("the forms have other totals\n" + "\n".join(totals.values()))
    if "merge_branches" in shown["c"]:
        raise Failure("something was merged in form (c)")
    for form, note in (("a", "layer1.0.conv3 is the 4 convolutions layer1.0.conv3.0 to layer1.0.conv3.3, added"),
                       ("b", "layer1.0.conv2 is the 4 convolutions layer1.0.conv2.0 to layer1.0.conv2.3, in groups")):
        if note not in shown[form]:
            raise Failure(f"netc show of form {form} does not say: {note}\n{shown[form][-600:]}")


def check_names():
    for arguments, message in (([f'-Dform="d"'], "form is a, b or c, not d"), (['-Dform="a"', "-Dcardinality=1"], "cardinality = 2"),
                               (['-Dform="b"', "-Dwidth=0"], "width 0 leaves 0 channels")):
        got = netc("check", NET, *arguments)
        if got.code != 1 or "[assertion]" not in got.err or message not in got.err:
            raise Failure(f"{arguments} should say: {message}\n{got.err}")


cases = [(f"forms/c/{size}", lambda size=size: check_c(size)) for size in SIZES if size != "dilated" or ALL]
cases += [(f"forms/values/{size}", lambda size=size: check_values(size)) for size in SIZES if size != "resnext50_32x4d" or ALL]
cases += [("forms/weights_file", check_weights_file), ("forms/show", check_show), ("forms/names", check_names)]
main(cases)
