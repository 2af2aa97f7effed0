"""Files of torch.save written by hand, with numpy alone: opcode by opcode, so that they can also be what PyTorch would never write.

A state_dict is {name: array}; a tensor can be given as a `Tensor` with any storage, offset, sizes and strides.
"""

import io
import struct
import warnings
import zipfile
from dataclasses import dataclass, field

import numpy as np

STORAGES = {"<f4": "FloatStorage", "<f2": "HalfStorage", "<f8": "DoubleStorage", "<i8": "LongStorage", "|u1": "ByteStorage"}


# ---- opcodes ----

def text(word):
    raw = word.encode() if isinstance(word, str) else word
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    raw = int(n).to_bytes(int(n).bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def name(module, word):
    return b"c" + f"{module}\n{word}\n".encode()


def tuple_of(*parts):
    return b"(" + b"".join(parts) + b"t"


def numbers(values):
    return tuple_of(*(number(n) for n in values))


def call(function, *arguments):
    return function + tuple_of(*arguments) + b"R"


def dict_of(pairs):
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def ordered(pairs):
    return call(name("collections", "OrderedDict")) + b"(" + b"".join(key + value for key, value in pairs) + b"u"


def storage(kind, key, elements, view=None):
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"), number(elements),
                    *([] if view is None else [view])) + b"Q"


def rebuilt(held, first, sizes, strides):
    return call(name("torch._utils", "_rebuild_tensor_v2"), held, number(first), sizes, strides, b"\x89",
                call(name("collections", "OrderedDict")))


def pickle(body, protocol=2):
    return bytes([0x80, protocol]) + body + b"."


# ---- tensors and state_dicts ----

@dataclass
class Tensor:
    numbers: np.ndarray  # of the storage
    sizes: tuple
    strides: tuple
    first: int = 0
    elements: int = None  # that the pickle promises
    sizes_as: bytes = None  # in the place of the tuple
    kind: str = None
    view: bytes = None
    key: str = field(default=None)


def tensor_of(array):
    array = np.ascontiguousarray(array)
    return Tensor(array.reshape(-1), array.shape, tuple(step // array.itemsize for step in array.strides))


def state_dict(tensors, legacy=False):
    """(the pickle's body, {key: numbers})"""
    pairs, held = [], {}
    for word, value in tensors.items() if isinstance(tensors, dict) else tensors:
        tensor = value if isinstance(value, Tensor) else tensor_of(value)
        key = tensor.key or str(len(held))
        if tensor.numbers is not None:
            held[key] = tensor.numbers
        kind = tensor.kind or STORAGES[tensor.numbers.dtype.str]
        elements = tensor.elements if tensor.elements is not None else tensor.numbers.size
        part = storage(kind, key, elements, tensor.view or (b"N" if legacy else None))
        sizes = tensor.sizes_as if tensor.sizes_as is not None else numbers(tensor.sizes)
        pairs.append((text(word), rebuilt(part, tensor.first, sizes, numbers(tensor.strides))))
    return ordered(pairs), held


def zipped(entries, method=zipfile.ZIP_STORED, names=lambda key: f"archive/{key}"):
    """The bytes of a zip file of these entries, in their order: pairs or a dictionary."""
    out = io.BytesIO()
    warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
    with zipfile.ZipFile(out, "w", method) as archive:
        for key, content in entries.items() if isinstance(entries, dict) else entries:
            archive.writestr(zipfile.ZipInfo(names(key), (1980, 1, 1, 0, 0, 0)), content, method)
    return out.getvalue()


def zip_of(body, held, **options):
    return zipped({"data.pkl": pickle(body), "version": b"3\n", **{f"data/{key}": numbers.tobytes() for key, numbers in held.items()}},
                  **options)


def torch_zip(tensors, **options):
    return zip_of(*state_dict(tensors), **options)


MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def legacy_of(body, held, version=1001, little=b"\x88", keys=None):
    about = dict_of([(text("protocol_version"), number(1001)), (text("little_endian"), little)])
    listed = b"](" + b"".join(text(key) for key in (keys or held)) + b"e"
    stored = b"".join(struct.pack("<Q", held[key].size) + held[key].tobytes() for key in (keys or held) if key in held)
    return MAGIC + pickle(number(version)) + pickle(about) + pickle(body) + pickle(listed) + stored


def torch_legacy(tensors, **options):
    return legacy_of(*state_dict(tensors, legacy=True), **options)
