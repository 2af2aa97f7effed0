"""The feature pyramid and DeepLabV3 against torchvision's own modules in float64, weights and input by the synthetic rule.

Small backbones (one block a stage) in `make test`, those of ResNet-50 with ALL=1; maps of odd and unequal sides.
"""

import warnings

import numpy as np

import synthetic
from tap import ALL, NETC, TARGETS, Failure, expect_done, lacks, netc, parameter_shapes, run

DEPTHS = ([1, 1, 1, 1], [3, 4, 6, 3]) if ALL else ([1, 1, 1, 1],)


def filled(module):
    """The module with synthetic parameters, as the checkpoint's names say."""
    import torch
    state = {name: torch.from_numpy(synthetic.parameter(name, list(value.shape)).astype(np.float64)) if value.is_floating_point() else value
             for name, value in module.state_dict().items()}
    module.double().load_state_dict(state)
    return module.eval()


def backbone(depths, **options):
    from torchvision.models.resnet import Bottleneck, ResNet
    return ResNet(Bottleneck, depths, **options)


def pyramid(depths):
    """torchvision's detectors without what comes after their backbone."""
    import torch
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.ops import FeaturePyramidNetwork
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    class Detector(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Module()
            self.backbone.body = IntermediateLayerGetter(backbone(depths), {f"layer{i}": f"p{i + 1}" for i in range(1, 5)})
            self.backbone.fpn = FeaturePyramidNetwork([256, 512, 1024, 2048], 256, extra_blocks=LastLevelMaxPool())

        def forward(self, x):
            return self.backbone.fpn(self.backbone.body(x))
    return Detector()


def deeplab(depths, output_stride):
    import torch
    from torch import nn
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabHead, DeepLabV3
    dilate = {8: [False, True, True], 16: [False, False, True]}[output_stride]
    head = DeepLabHead(2048, 21)
    head[0] = ASPP(2048, [rate * 8 // output_stride for rate in (12, 24, 36)])
    body = IntermediateLayerGetter(backbone(depths, replace_stride_with_dilation=dilate), {"layer4": "out"})

    class Scores(DeepLabV3):
        def forward(self, x):
            return {"scores": super().forward(x)["out"]}
    return Scores(body, head, None)


def outputs(path):
    import safetensors_numpy
    return dict(safetensors_numpy.load(path)[0]) if path.suffix == ".safetensors" else {"scores": np.load(path)}


def judge(path, wanted, tolerance):
    got = outputs(path)
    if set(got) != set(wanted):
        raise Failure(f"outputs {', '.join(sorted(got))}, not {', '.join(sorted(wanted))}")
    for name, value in wanted.items():
        mine = got[name].reshape(value.shape)
        error = np.abs(mine - value).max() / np.abs(value).max()
        if not error <= tolerance:
            raise Failure(f"{name} is off by {error:.1e} of its largest value")


def check(out, network, module, depths, size, *options):
    """Tensors' names and shapes, the interpreter, and programs of every target."""
    import torch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = filled(module)
    rows, columns = size
    options = [network, "-D", f"blocks={depths}", "-D", f"rows={rows}", "-D", f"columns={columns}", *options]
    listed = expect_done(netc("show", "--params", *options, binary=NETC), "netc show --params").out
    mine = parameter_shapes(listed)
    theirs = {name: list(value.shape) for name, value in module.state_dict().items()
              if "num_batches" not in name and not name.startswith("backbone.fc") and not name.startswith("backbone.body.fc")}
    if mine != theirs:
        raise Failure(f"tensors differ: {[name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)][:5]}")
    pixels = synthetic.network_input([3, rows, columns])
    with torch.no_grad():
        wanted = {name: value.numpy() for name, value in module(torch.from_numpy(pixels)).items()}
    suffix = ".npy" if len(wanted) == 1 else ".safetensors"
    stem = f"{network.split('/')[-1][:-4]}_{sum(depths)}_{rows}x{columns}_{len(options)}"
    result, source = out / f"{stem}{suffix}", out / f"{stem}.in.npy"
    expect_done(netc("run", *options, "--weights=synthetic", "--input=synthetic", "--output", result, binary=NETC, timeout=1200),
                "the interpreter")
    judge(result, wanted, 1e-6)
    np.save(source, pixels.astype(np.float32))
    for target in TARGETS:
        program = out / f"{stem}__{target}"
        expect_done(netc("build", *options, "--weights=synthetic", f"--target={target}", "-o", program, binary=NETC, timeout=600),
                    f"netc build for {target}")
        done = run([program, f"--tensor={source}", f"--output={result}"], timeout=600)
        program.unlink()
        if lacks(done):
            continue
        expect_done(done, f"the program of {target}")
        judge(result, wanted, 1e-4)
    result.unlink()
    source.unlink()


def cases(out):
    for depths in DEPTHS:
        for size in ((72, 104), (65, 33)):
            yield (f"heads/fpn {depths} {size[0]}x{size[1]}",
                   lambda d=depths, s=size: check(out, "netdefs/fpn.net", pyramid(d), d, s))
        for stride, size in ((8, (33, 40)), (16, (65, 72))):
            yield (f"heads/deeplabv3 {depths} output stride {stride}",
                   lambda d=depths, s=size, o=stride: check(out, "netdefs/deeplabv3.net", deeplab(d, o), d, s, "-D", f"output_stride={o}"))
