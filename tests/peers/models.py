#!/usr/bin/env python3
"""The networks of netdefs/ as timm and torchvision build them, with synthetic weights in float64.

    models.py NAME...       prints rows of tests/nets/logits.tsv: how those were made that name timm or torchvision as their origin

A network's module is built without its random initialisation, which takes longer than all else. What a library cannot dilate by
itself (timm's legacy networks, ResNeXt-29, which no library has) is made here of the library's parts.
"""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import timm
import timm.models.resnet
import timm.models.senet
import timm.models.sknet
import torch
import torchvision
from torch import nn

import more_models
import papers
from more_models import ATTENTION

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "torch"))
import synthetic

RESNET = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet50d", "resnet50_gn", "resnetblur50", "wide_resnet50_2",
          "wide_resnet101_2", "resnext50_32x4d", "resnext101_32x4d", "resnext101_32x8d", "resnext101_64x4d", "seresnet18", "seresnet50",
          "seresnext50_32x4d", "seresnext101_32x4d", "senet154", "ecaresnet50d"]
SKNET = ["skresnet18", "skresnet34", "skresnet50", "skresnext50_32x4d"]
LEGACY = ["legacy_seresnet50", "legacy_seresnext50_32x4d", "legacy_senet154"]
CIFAR = {"resnext29_8x64d": 8, "resnext29_16x64d": 16}
NETWORKS = RESNET + SKNET + LEGACY + list(CIFAR) + more_models.NETWORKS + papers.NETWORKS
TORCHVISION = [name for name in RESNET if name in torchvision.models.__dict__]


class Cifar(nn.Module):
    """ResNeXt-29 after the authors' Lua code: a 3x3 stem without a pool, then timm's stages, whose strides start at 4 there."""

    def __init__(self, output_stride, cardinality, base_width=64, layers=(3, 3, 3), num_classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        stages, _ = timm.models.resnet.make_blocks(timm.models.resnet.Bottleneck, (64, 128, 256), layers, 64, cardinality=cardinality,
                                                   base_width=base_width, output_stride=4 * output_stride)
        for name, stage in stages:
            self.add_module(name, stage)
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x))))))
        return self.fc(x.mean((2, 3)))


def dilate(model, output_stride):
    """Strides beyond `output_stride` become dilations, by the rule of torchvision's replace_stride_with_dilation."""
    dilation = 1
    for reached, stage in ((16, model.layer3), (32, model.layer4)):
        first, dilation = dilation, max(1, reached // output_stride)
        for index, block in enumerate(stage):
            for conv in (m for m in block.modules() if isinstance(m, nn.Conv2d)):
                if reached > output_stride:
                    conv.stride = (1, 1)
                if conv.kernel_size == (3, 3):
                    own = dilation if index else first
                    conv.dilation = conv.padding = (own, own)


def empty():
    """Modules are built with whatever memory holds: the synthetic fill comes afterwards."""
    leave = lambda tensor, *arguments, **options: tensor
    names = ["kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_", "trunc_normal_", "constant_", "ones_", "zeros_"]
    return mock.patch.multiple(nn.init, **{name: leave for name in names})


def build(name, library="timm", output_stride=None, image=None, **options):
    """A module; `options` are netc's: blocks, cardinality, width, classes and others that a family has."""
    names = {"blocks": "layers", "width": "base_width", "classes": "num_classes"}
    options = {names.get(key, key): value for key, value in options.items()}
    if library == "torchvision":
        return getattr(torchvision.models, name)(weights=None)
    if name in papers.NETWORKS:
        return papers.build(name, image or 224, **options)
    if name in CIFAR:
        return Cifar(output_stride or 4, **{"cardinality": CIFAR[name], **options})
    if name in LEGACY:
        make = timm.models.senet._create_senet
        with mock.patch.object(timm.models.senet, "_create_senet", lambda *names, **own: make(*names, **{**own, **options})):
            model = timm.create_model(name)
        dilate(model, output_stride or 32)
        return model
    options["output_stride"] = output_stride or 32
    if name in more_models.NETWORKS:
        return more_models.build(name, image, **options)
    if name in SKNET:
        make = timm.models.sknet._create_skresnet
        with mock.patch.object(timm.models.sknet, "_create_skresnet", lambda *names, **own: make(*names, **{**own, **options})):
            return timm.create_model(name)
    return timm.create_model(name, **options)


def tensors(name, library="timm"):
    """The names and shapes of a checkpoint."""
    with empty():
        model = build(name, library)
    return {key: list(value.shape) for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}


def run(name, image, **options):
    """All outputs, float64, for the synthetic weights and input: logits, and c2, c3, ... behind the stages."""
    with empty():
        model = build(name, image=image, **options).double().eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                value.copy_(torch.from_numpy(synthetic.parameter(key, list(value.shape))))
    outputs = {}
    stages = getattr(model, "stages", None) or [getattr(model, f"layer{i}") for i in range(1, 5) if hasattr(model, f"layer{i}")]
    for index, stage in enumerate(stages):
        keep = lambda module, inputs, result, at=f"c{index + 2}": outputs.update({at: result[0].numpy()})
        stage.register_forward_hook(keep)
    with torch.no_grad():
        outputs["logits"] = model(torch.from_numpy(synthetic.network_input([3, image, image])))[0].numpy()
    return outputs


def main():
    for name in sys.argv[1:]:
        image = 32 if name in CIFAR else 256 if name in ATTENTION else 224 if name == "aa_resnet50" else 72
        logits = run(name, image)["logits"]
        count = sum(int(np.prod(shape)) for key, shape in tensors(name).items() if not key.endswith(("running_mean", "running_var")))
        numbers = [logits[0], logits[1], logits[-1], logits.sum(), np.abs(logits).sum()]
        print("\t".join([name, f"3x{image}x{image}", str(count)] + [f"{number:.9e}" for number in numbers]))


if __name__ == "__main__":
    main()
