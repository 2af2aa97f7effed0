"""Other names for tensors, and which network a checkpoint would fit."""

import collections
import json
import re

import timm
import torch

from common import NETC, Failure, Folder, parameters
from good import saved, tensors
from tap import expect_done, run


# ---- the file ----

def renamed(lines, given, wanted=None):
    """A state_dict whose names `given` changes is packed to the same bytes after the lines."""
    def test():
        values = parameters()
        with Folder() as folder:
            rename = folder.write("map.rename", lines.encode())
            names = collections.OrderedDict((given(name), tensor) for name, tensor in tensors(values).items())
            for options in ({}, {"_use_new_zipfile_serialization": False}):
                folder.same(folder.write("w.pth", saved(names, **options)), values, f"--rename={rename}")
    return test


def safetensors_too():
    values = parameters()
    with Folder() as folder:
        folder.same(folder.write("w.pth", saved(tensors(values))), values)
        plain = folder.path / "plain.safetensors"
        folder.write("map", b"fc.* -> last.*\nlast.* -> fc.*")
        if folder.packed(plain, "--rename=map") != folder.packed(plain):
            raise Failure("there and back is another file")
        folder.refused(plain, "weights_name", "conv1.weight.* have one name, x", "--rename", folder.write("one", b"* -> x"))


def refused(lines, check, says, place="map:1:1"):
    def test():
        with Folder() as folder:
            folder.write("map", lines)
            folder.refused(folder.write("w.pth", saved(tensors())), check, f"{place}.*{says}" if place else says, "--rename=map")
    return test


def unused():
    """When names do not fit, the lines that did nothing are told."""
    with Folder() as folder:
        folder.write("map", b"head.* -> fc.*\nfc.* -> top.*\n")
        got = folder.pack(folder.write("w.pth", saved(tensors())), "--rename=map")
        if got.code != 1 or not re.search(r"map:1:1: note: no tensor has", got.err) or "map:2:" in got.err:
            raise Failure(got.err)
        folder.refused(folder.path / "w.pth", "rename_file", "No such file", "--rename=nowhere")
        got = folder.pack("synthetic", "--rename=map")
        if got.code != 1 or "[weights_key]" not in got.err:
            raise Failure(got.err)


# ---- those that come with the networks ----

def caffe(letters):
    """res4b7_branch2a.weight of layer3.7.conv1.weight."""
    def name_of(name):
        name = re.sub(r"^fc\.", "fc1000.", name)
        name = re.sub(r"^bn1\.(weight|bias)", r"scale_conv1.\1", re.sub(r"^bn1\.(running)", r"bn_conv1.\1", name))
        match = re.match(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)\.(.*)", name)
        if not match:
            return name
        stage, block, kind, which, leaf = int(match[1]) + 1, int(match[2]), match[3], int(match[4]), match[5]
        norm = kind == "bn" or kind == "downsample." and which == 1
        place = "abcdef"[block] if letters or block == 0 else f"b{block}"
        branch = "1" if kind == "downsample." else "2" + "abc"[which - 1]
        what = "res" if not norm else "bn" if leaf.startswith("running") else "scale"
        return f"{what}{stage}{place}_branch{branch}.{leaf}"
    return name_of


def legacy(name):
    name = re.sub(r"^(conv1|bn1)\.", r"layer0.\1.", name.replace(".se.", ".se_module."))
    return re.sub(r"^fc\.", "last_linear.", name)


def shipped(net, model, which, given):
    """A network's tensors with the names of others, and the map that comes with netc: the bytes of the file with the right names."""
    def test():
        state = timm.create_model(model, pretrained=False).state_dict()
        state = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
        with Folder() as folder:
            right = folder.packed(folder.write("right.pth", saved(state)), net=net, binary=NETC)
            other = folder.write("other.pth", saved({given(name): tensor for name, tensor in state.items()}))
            if folder.packed(other, f"--rename={which}", net=net, binary=NETC) != right:
                raise Failure("another file")
    return test


SENET = """net senet()
{
    input pixels [3, 12, 12]
    output logits = pixels |> layer0: { conv1: conv(4, 3) |> bn1: batch_norm }
        |> layer1: { 1: {
            conv1: conv(4, 1) |> bn1: batch_norm |> conv2: conv(4, 3) |> bn2: batch_norm |> conv3: conv(4, 1) |> bn3: batch_norm
            |> se_module: { fc1: conv(2, 1, bias = true) |> fc2: conv(4, 1, bias = true) } |> downsample: { 0: conv(4, 1) |> 1: batch_norm } } }
        |> global_avg_pool |> flatten |> last_linear: linear(3)
}
"""
OF_SENET = {"layer0.conv1": "conv1/7x7_s2", "layer0.bn1": "conv1/7x7_s2/bn", "last_linear": "classifier",
            **{f"layer1.1.{ours}": f"conv2_2_{theirs}" for ours, theirs in (
                ("conv1", "1x1_reduce"), ("bn1", "1x1_reduce/bn"), ("conv2", "3x3"), ("bn2", "3x3/bn"), ("conv3", "1x1_increase"),
                ("bn3", "1x1_increase/bn"), ("se_module.fc1", "1x1_down"), ("se_module.fc2", "1x1_up"), ("downsample.0", "1x1_proj"),
                ("downsample.1", "1x1_proj/bn"))}}


def senet():
    """The names of SENet's authors, on a network that has one of each."""
    with Folder() as folder:
        net = folder.write("senet.net", SENET.encode())
        shown = expect_done(run([NETC, "show", net, "--params"]), "netc show").out
        shapes = {match[1]: json.loads(match[2]) for match in re.finditer(r"^(\S+)\s+(\[.*\])", shown, re.M)}
        state = {name: torch.rand(shape) + 0.5 for name, shape in shapes.items()}
        given = {f"{OF_SENET[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": tensor for name, tensor in state.items()}
        folder.same(folder.write("w.pth", saved(given)), {name: tensor.numpy() for name, tensor in state.items()},
                    "--rename=caffe_senet", net=net)


# ---- another network's checkpoint ----

def suggested(net, make, note, *options, more=None):
    def test():
        with Folder() as folder:
            got = folder.pack(folder.write("w.pth", saved(make())), *options, net=net)
            notes = "\n".join(re.findall(r"^note: .*", got.err, re.M))
            if got.code != 1 or not re.search(note, notes) if note else notes:
                raise Failure(f"wanted a note /{note}/\n{got.err[-1500:]}")
            for pattern in more or ():
                if not re.search(pattern, got.err):
                    raise Failure(f"it does not say /{pattern}/\n{got.err[:3000]}")
    return test


def of(model, **options):
    return lambda: timm.create_model(model, pretrained=False, **options).state_dict()


def resnext(width, classes=1000, blocks=(3, 4, 6, 3)):
    net = timm.models.resnet
    return lambda: net.ResNet(net.Bottleneck, blocks, cardinality=32, base_width=width, num_classes=classes).state_dict()


def cases():
    yield "rename: a word", renamed("head.* -> fc.*", lambda name: name.replace("fc.", "head."))
    yield "rename: se_module", renamed("layer0.* -> *  # the stem\n# nothing\n\n\tlast.*\t->\tfc.*\r\n",
                                       lambda name: re.sub("^(conv1|bn1)", r"layer0.\1", name.replace("fc.", "last.")))
    yield "rename: numbers", renamed("block%_%.* -> layer%-10.%+0.*\n", lambda name: re.sub(r"^layer1\.0\.", "block11_0.", name))
    yield "rename: an order", renamed("a.* -> b.*\nb.* -> c.*\nc.* -> fc.*", lambda name: name.replace("fc.", "a."))
    yield "rename: stars", renamed("*-*-* -> *.*.*", lambda name: name.replace(".", "-", 2) if name.startswith("layer1") else name)
    yield "rename: behind module.", renamed("head.* -> fc.*", lambda name: "module." + name.replace("fc.", "head."))
    yield "rename: safetensors, names that fall together", safetensors_too
    yield "rename: lines that do nothing, files that are not there", unused
    for lines, check, says in ((b"a b", "rename_line", ""), (b"a -> b c", "rename_line", ""), (b"a", "rename_line", ""),
                               (b"a => b", "rename_line", ""), (b"* -> **", "rename_line", "more"), (b"a% -> b%%", "rename_line", "more"),
                               (b"*********x -> y", "rename_line", "at most 8"), (b"a\0b -> c", "rename_line", "NUL"),
                               (b"layer%.* -> layer%-5.*", "rename_number", "layer1.0.conv1.weight would get the number -4")):
        yield f"rename, refused: {lines.decode()!r}", refused(lines, check, says)
    yield "rename, refused: 1001 lines", refused(b"a -> b\n" * 1001, "rename_line", "1000", "map:1001:1")
    yield "rename, refused: 2 MB", refused(b"# a\n" * (1 << 19), "rename_file", "limit", None)
    yield "caffe_resnet, letters", shipped("resnet50", "resnet50", "caffe_resnet", caffe(True))
    yield "caffe_resnet, b1 to b22", shipped("resnet50", "resnet50", "caffe_resnet", caffe(False))
    yield "caffe_senet", senet
    yield "legacy_se", shipped("seresnet18", "seresnet18", "legacy_se", legacy)
    yield "fits: another network", suggested("resnet50", of("resnet18"), "its 122 tensors are those of resnet18",
                                             more=["layer1.0.conv3.weight is not in the file", "and .* more parameters are missing"])
    yield "fits: another number of classes", suggested("resnet18", of("resnet18", num_classes=10), r"those of resnet18 -D classes=10$")
    yield "fits: also with -D", suggested("resnet18", of("resnet18", num_classes=10), r"those of resnet18 -D image=64 -D classes=10$",
                                          "-D", "image=64")
    yield "fits: another depth", suggested("resnet18", of("resnet18", layers=[1, 2, 3, 1]), r"those of resnet18 -D blocks=\[1,2,3,1\]$")
    yield "fits: another width", suggested("resnet50", resnext(8), r"those of resnext50_32x4d -D width=8$")
    yield "fits: another width and classes", suggested("resnext50_32x4d", resnext(8, 5), r"resnext50_32x4d -D width=8 -D classes=5$")
    yield "fits: none", suggested("resnet18", of("vgg11"), None, more=["and .* more parameters are missing", "features.0.weight, which is no parameter"])
    yield "fits: nearly one", suggested("resnet18", lambda: {**of("resnet34")(), "extra": torch.zeros(1)},
                                        "nearest of the known networks is resnet34.* 1 more tensor")
