"""What PyTorch writes, in every container and form, packed to the bytes that a safetensors file of the same values gives."""

import argparse
import collections
import io
import os
import pickletools
import subprocess
import zipfile

import numpy as np
import torch

import pickles
from common import NETC, OUT, Failure, Folder, parameters
from pickles import Tensor, torch_legacy, torch_zip


def tensors(values=None):
    return collections.OrderedDict((name, torch.from_numpy(array.copy())) for name, array in (values or parameters()).items())


def saved(content, **options):
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


def case(make, *options, values=None):
    """make(a state_dict) gives the bytes of a file."""
    def test():
        good = values or parameters()
        with Folder() as folder:
            folder.same(folder.write("w.bin", make(tensors(good))), good, *options)
    return test


def repacked(content, method, rename=lambda name: name):
    """The same zip, made again by another program."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", method) as new:
        for entry in old.namelist():
            new.writestr(rename(entry), old.read(entry))
    return out.getvalue()


# ---- forms of tensors ----

def views(state):
    """Every tensor another kind of view of something larger."""
    pool = torch.randn(4000)
    at, out = 5, collections.OrderedDict()
    for name, tensor in state.items():
        if tensor.dim() == 4:  # channels last: the same values in another order
            out[name] = tensor.contiguous(memory_format=torch.channels_last)
        elif tensor.dim() == 2:
            out[name] = tensor.t().contiguous().t()
        else:  # every third number of one storage that all share
            part = pool[at:at + 3 * tensor.numel():3]
            part.copy_(tensor)
            out[name] = part
            at += 3 * tensor.numel() + 7
    return out


def one_storage(state):
    flat = torch.cat([tensor.reshape(-1) for tensor in state.values()])
    parts = flat.split([tensor.numel() for tensor in state.values()])
    return collections.OrderedDict((name, part.reshape(tensor.shape)) for (name, tensor), part in zip(state.items(), parts))


def with_equal_numbers():
    """A bias and a mean that are one number, repeated with stride 0."""
    values = parameters()
    values["bn1.bias"][:] = values["bn1.running_mean"][:] = values["bn1.bias"][0]
    return values


def expanded(state):
    state["bn1.bias"] = state["bn1.running_mean"] = state["bn1.bias"][:1].clone().expand(4)
    return state


def rounded(dtype):
    """Values that this type can hold."""
    return {name: torch.from_numpy(array).to(dtype).float().numpy() for name, array in parameters().items()}


def as_type(dtype):
    return lambda state: saved({name: tensor.to(dtype) for name, tensor in state.items()})


def as_types(state):
    """Each tensor in the smallest type that holds it."""
    return saved({name: tensor.half() if torch.equal(tensor.half().float(), tensor) else tensor.double() for name, tensor in state.items()})


def mixed():
    values = parameters()
    for name in list(values)[::2]:
        values[name] = values[name].astype("<f2").astype("<f4")
    return values


# ---- what stands around them ----

def counted(state):
    """num_batches_tracked: int64 without dimensions."""
    return saved({**state, "bn1.num_batches_tracked": torch.tensor(7), "layer1.0.bn1.num_batches_tracked": torch.tensor(1 << 40)})


def training(state, **more):
    """As a training script saves: an optimizer with momentum, its schedule, arguments, numbers of numpy."""
    weights = [torch.nn.Parameter(tensor.clone()) for tensor in state.values()]
    optimizer = torch.optim.SGD(weights, 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 3, 9])  # milestones are a Counter
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    return saved({"epoch": 90, "arch": "small", "state_dict": state, "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
                  "args": argparse.Namespace(lr=0.1, names=["a"], seed=1 << 80), "best": np.float64(3.5), "loss": 0.25, "done": False,
                  "device": torch.device("cpu"), "dtype": torch.float32, "size": torch.Size([2]), "classes": {"cat", "dog"},
                  "history": collections.defaultdict(list, a=[1, 2]), "array": np.arange(5), "raw": b"bytes", "complex": 1j,
                  "none": None, "big": -(1 << 70), "ema_decay": 0.999, **more})


def wrapped(key):
    return lambda state: saved({"epoch": 1, key: state})


def prefixed(prefix):
    return lambda state: saved({prefix + name: tensor for name, tensor in state.items()})


def as_parameters(state):
    """Kept as Parameters, in a state_dict that has attributes, as Module.state_dict() gives it."""
    held = collections.OrderedDict((name, torch.nn.Parameter(tensor)) for name, tensor in state.items())
    held._metadata = collections.OrderedDict([("", {"version": 1})])
    return saved(held)


def with_attributes(state):
    for tensor in state.values():
        tensor.note = "an attribute"
    return saved(state)


def of_python_2(state):
    """Texts as byte strings: of the five pickles in the file, which stand one behind the other."""
    content = saved(state, _use_new_zipfile_serialization=False)
    changed, rest = bytearray(content), io.BytesIO(content)
    for _ in range(5):
        start = rest.tell()
        for op, _, at in pickletools.genops(rest):
            if op.name == "BINUNICODE":
                changed[at] = ord("T")
        if rest.tell() == start:
            break
    return bytes(changed)


def of_pairs(state):
    """collections.OrderedDict([[name, tensor], ...]), which Python 2 writes."""
    body, held = pickles.state_dict({name: tensor.numpy() for name, tensor in state.items()})
    items = body[body.index(b"R(") + 2:-1]
    pairs, at = b"", 0
    for name in state:
        word = pickles.text(name)
        end = items.find(pickles.text(list(state)[list(state).index(name) + 1]), at) if name != list(state)[-1] else len(items)
        pairs += b"](" + word + items[at + len(word):end] + b"e"
        at = end
    return pickles.zip_of(pickles.call(pickles.name("collections", "OrderedDict"), b"](" + pairs + b"e"), held)


def by_hand(writer, **options):
    return lambda state: writer({name: tensor.numpy() for name, tensor in state.items()}, **options)


def parts_of_storages(state):
    """The old form's storages that are parts of others."""
    out = {}
    for name, tensor in state.items():
        flat = np.concatenate([np.zeros(3, "<f4"), tensor.numpy().reshape(-1), np.zeros(2, "<f4")])
        whole = pickles.tensor_of(tensor.numpy())
        view = pickles.tuple_of(pickles.text(f"part of {name}"), pickles.number(2), pickles.number(tensor.numel() + 2))
        out[name] = Tensor(flat, whole.sizes, whole.strides, first=1, view=view)
    return torch_legacy(out)


def of_module_names():
    """A network whose own names begin with `module.` keeps them."""
    net = OUT / "module.net"
    net.write_text("net own()\n{\n    input x [2, 4, 4]\n    output y = x |> module: { conv: conv(3, 1) }\n}\n")
    values = {"module.conv.weight": np.arange(6, dtype="<f4").reshape(3, 2, 1, 1)}
    with Folder() as folder:
        folder.same(folder.write("w.pth", saved(tensors(values))), values, net=net)
        folder.same(folder.write("w.pth", saved({f"module.{name}": tensor for name, tensor in tensors(values).items()})), values,
                    "--rename", folder.write("r", b"* -> module.*\n"), net=net)


def memory():
    """At most the mapped file and one storage more than without a zip."""
    net = OUT / "wide.net"
    net.write_text("net wide()\n{\n    input x [1024]\n    output y = x |> a: linear(2048) |> b: linear(2048) |> c: linear(2048) |> d: linear(1024)\n}\n")
    values = {f"{name}.{kind}": np.ones(shape if kind == "weight" else shape[:1], "<f4")
              for name, shape in (("a", (2048, 1024)), ("b", (2048, 2048)), ("c", (2048, 2048)), ("d", (1024, 2048))) for kind in ("weight", "bias")}
    with Folder() as folder:
        peak = {}
        folder.same(folder.write("w.pth", saved(tensors(values))), values, net=net, binary=NETC)
        for file in ("plain.safetensors", "w.pth"):
            child = subprocess.Popen([NETC, "pack", net, f"--weights={folder.path / file}", "-o", folder.path / "packed"])
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            peak[file] = usage.ru_maxrss / 1024
        if peak["w.pth"] > peak["plain.safetensors"] + 16 + 4:
            raise Failure(f"megabytes at most: {peak}; the largest storage has 16")


def cases():
    old = {"_use_new_zipfile_serialization": False}
    yield "zip", case(saved)
    for protocol in (3, 4, 5):
        yield f"zip, protocol {protocol}", case(lambda state, p=protocol: saved(state, pickle_protocol=p))
        yield f"before 1.6, protocol {protocol}", case(lambda state, p=protocol: saved(state, pickle_protocol=p, **old))
    yield "before 1.6", case(lambda state: saved(state, **old))
    yield "before 1.6, storages that are parts", case(parts_of_storages)
    yield "before 1.6, by Python 2", case(of_python_2)
    yield "a dictionary of pairs", case(of_pairs)
    yield "by hand: zip", case(by_hand(torch_zip))
    yield "by hand: before 1.6", case(by_hand(torch_legacy))
    yield "zip, deflated", case(lambda state: repacked(saved(state), zipfile.ZIP_DEFLATED))
    yield "zip, of another name", case(lambda state: repacked(saved(state), zipfile.ZIP_STORED, lambda name: name.replace("archive/", "r\u00e9seau 1/")))
    yield "zip, byteorder little", case(by_hand(lambda state: pickles.zipped(
        {"data.pkl": pickles.pickle(pickles.state_dict(state)[0]), "byteorder": b"little",
         **{f"data/{key}": held.tobytes() for key, held in pickles.state_dict(state)[1].items()}})))
    for form in (views, one_storage):
        for what, options in (("zip", {}), ("before 1.6", old)):
            yield f"{form.__name__}, {what}", case(lambda state, f=form, o=options: saved(f(state), **o))
    yield "strides of 0", case(lambda state: saved(expanded(state)), values=with_equal_numbers())
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        yield str(dtype), case(as_type(dtype), values=rounded(dtype))
        yield f"{dtype}, before 1.6", case(lambda state, d=dtype: saved({n: t.to(d) for n, t in state.items()}, **old), values=rounded(dtype))
    yield "types mixed", case(as_types, values=mixed())
    yield "counts of batches", case(counted)
    yield "parameters, attributes of the dictionary", case(as_parameters)
    yield "attributes of tensors", case(with_attributes)
    for key in ("state_dict", "model", "model_state_dict"):
        yield f"inside {key}", case(wrapped(key))
    yield "inside model, inside state_dict", case(lambda state: saved({"state_dict": {"model": state}, "x": 1}))
    yield "module.", case(prefixed("module."))
    yield "module.module.", case(prefixed("module.module."))
    yield "a network's own module.", of_module_names
    yield "a training checkpoint", case(training)
    yield "state_dict_ema", case(lambda state: training({n: t + 1 for n, t in state.items()}, state_dict_ema=state), "--checkpoint-key=state_dict_ema")
    yield "keys inside keys", case(lambda state: training({n: t + 1 for n, t in state.items()}, ema={"module": state}), "--checkpoint-key=ema/module")
    yield "memory", memory

