"""Whole networks: timm and torchvision make them with random weights and save them, netc builds a program from that file, and its logits
are PyTorch's, within 1e-4 of the largest one and with the same best five classes.
"""

import argparse
import collections
import json
import re

import numpy as np
import safetensors.torch
import timm
import torch

from common import NETC, OUT, Failure, Folder
from tap import ALL, ROOT, Skip, expect_done, run

# family, network, model of timm, how it is saved, -D options and the same as arguments of the model. Of a family one runs in `make test`.
SHALLOW = (["-D", "blocks=[1,1,1,1]"], {"layers": [1, 1, 1, 1]})
TABLE = [
    ("resnet", "resnet18", "resnet18", "before 1.6", (), {}),
    ("resnext", "resnext50_32x4d", "resnext50_32x4d", "training", (), {}),
    ("wide", "wide_resnet50_2", "wide_resnet50_2", "zip", *SHALLOW),
    ("se", "seresnet18", "seresnet18", "module.", (), {}),
    ("res2net", "res2net50_14w_8s", "res2net50_14w_8s", "zip", (), {}),
    ("resnet-d", "resnet50d", "resnet50d", "half", *SHALLOW),
    ("legacy se", "legacy_seresnet50", "legacy_seresnet50", "zip", (), {}),
    ("eca", "ecaresnet50d", "ecaresnet50d", "zip", *SHALLOW),
    ("sk", "skresnet18", "skresnet18", "zip", (), {}),
    ("resnest", "resnest14d", "resnest14d", "double", (), {}),
    ("botnet", "botnet26t_256", "botnet26t_256", "zip", (), {}),
]
MORE = [("lambda", "lambda_resnet26t", "lambda_resnet26t", "zip", (), {}),
        ("halonet", "halonet26t", "halonet26t", "zip", (), {}),
        ("blur pool", "resnetblur50", "resnetblur50", "zip", (), {}),
        ("group norm", "resnet50_gn", "resnet50_gn", "zip", (), {}),
        ("resnet", "resnet50", "resnet50", "safetensors", (), {}), ("resnet", "resnet34", "resnet34", "half", (), {}),
        ("wide", "wide_resnet50_2", "wide_resnet50_2", "zip", (), {}), ("resnet-d", "resnet50d", "resnet50d", "zip", (), {}),
        ("resnext", "resnext101_32x8d", "resnext101_32x8d", "zip", (), {}), ("se", "seresnet50", "seresnet50", "double", (), {}),
        ("se", "seresnext50_32x4d", "seresnext50_32x4d", "before 1.6", (), {}),
        ("res2net", "res2net50_26w_4s", "res2net50_26w_4s", "zip", (), {}), ("res2net", "res2net50_v1b", "res2net50d", "zip", (), {})]


def randomised(model, dice):
    """Every norm does something, so that a parameter in the wrong place shows."""
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=dice)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.1, generator=dice)
        elif tensor.dim() == 1 and name.endswith("weight"):
            tensor.uniform_(0.5, 1, generator=dice)
        elif tensor.dim() == 1:
            tensor.normal_(0, 0.1, generator=dice)
    return model.eval()


def save(form, model, path):
    state = collections.OrderedDict(model.state_dict())
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    elif form == "before 1.6":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif form == "module.":
        torch.save({"state_dict": torch.nn.DataParallel(model).state_dict()}, path)
    elif form == "training":
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        torch.save({"epoch": 1, "model": state, "optimizer": optimizer.state_dict()}, path)
    elif form in ("half", "double"):
        as_type = {"half": torch.float16, "double": torch.float64}[form]
        model.load_state_dict({name: t.to(as_type).to(t.dtype) for name, t in state.items()})
        torch.save({name: t.to(as_type) if t.is_floating_point() else t for name, t in model.state_dict().items()}, path)
    else:
        torch.save(state, path)


def compare(net, model, form, options, changed):
    if not (ROOT / f"netdefs/{net}.net").exists():
        raise Skip(f"there is no netdefs/{net}.net")
    dice = torch.Generator().manual_seed(7)
    torch.manual_seed(7)
    made = randomised(timm.create_model(model, pretrained=False, **changed), dice)
    side = made.default_cfg["input_size"][1]
    place = OUT / f"{net}-{form}".replace(" ", "_")
    checkpoint, program, tensor, output = (place.with_suffix(ending) for ending in (".pth", ".exe", ".npy", ".out.npy"))
    save(form, made, checkpoint)
    pixels = torch.randn((2, 3, side, side), generator=dice)
    np.save(tensor, pixels.numpy())
    with torch.no_grad():
        wanted = made(pixels).numpy()
    build = run([NETC, "build", net, *options, f"--weights={checkpoint}", "-o", program], timeout=300)
    checkpoint.unlink()
    expect_done(build, "netc build")
    expect_done(run([program, f"--tensor={tensor}", f"--output={output}"]), "the program")
    got = np.load(output)
    for file in (program, tensor, output):
        file.unlink()
    error = np.abs(got - wanted).max() / np.abs(wanted).max()
    best = [np.argsort(-logits, axis=1)[:, :5].tolist() for logits in (got, wanted)]
    if not error < 1e-4 or best[0] != best[1]:
        raise Failure(f"{error:.2e} of the largest logit; the best classes are {best[0]}, PyTorch's {best[1]}")


def shapes_of(net):
    shown = expect_done(run([NETC, "show", net, "--params"]), "netc show").out
    return {match[1]: json.loads(match[2]) for match in re.finditer(r"^(\S+)\s+(\[.*\])", shown, re.M)}


def of_authors(net):
    """Networks that timm has not, as their authors' training scripts save them: the packed bytes of a safetensors file."""
    dice = np.random.default_rng(3)
    values = {name: dice.standard_normal(shape, "f4") for name, shape in shapes_of(net).items()}
    state = collections.OrderedDict((f"module.{name}", torch.from_numpy(array)) for name, array in values.items())
    state["module.bn1.num_batches_tracked"] = torch.tensor(5)
    other = {name: tensor + 1 for name, tensor in state.items()}
    with Folder() as folder:
        file = folder.path / "model_best.pth.tar"
        torch.save({"epoch": 300, "arch": net, "state_dict": other, "state_dict_ema": state, "args": argparse.Namespace(lr=0.1)}, file)
        folder.same(file, values, "--checkpoint-key=state_dict_ema", net=net, binary=NETC)


def cases():
    for net in ("cotnet50", "se_cotnetd_50", *(("botnet_s1_59", "aa_resnet50", "sasa_resnet50") if ALL else ())):
        yield f"CoTNet's and others': {net}, state_dict_ema", lambda n=net: of_authors(n)
    for family, net, model, form, options, changed in TABLE + (MORE if ALL else []):
        yield (f"{family}: {net}, {form}",
               lambda n=net, m=model, f=form, o=options, c=changed: compare(n, m, f, o, c))
