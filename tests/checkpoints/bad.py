"""What no checkpoint is: pickles that ask for more than values, files that are cut off or damaged, zips and strides that lie. Each is
one line with the name of its check; nothing is run, and memory and time stay small.
"""

import io
import struct
import tarfile
import zipfile

import numpy as np

from common import NETC, Failure, Folder, parameters
from pickles import (Tensor, call, dict_of, legacy_of, name, number, numbers, ordered, pickle, rebuilt, state_dict, storage, text,
                     torch_legacy, torch_zip, tuple_of, zip_of, zipped)
from tap import ALL

SYSTEM, TOUCH = name("posix", "system"), text("touch made_by_the_pickle")


def of(body, protocol=2):
    """A zip whose pickle is this."""
    return zipped({"data.pkl": pickle(body, protocol)})


def raw(pickled):
    return zipped({"data.pkl": pickled})


def with_tensor(**changes):
    """The small network's state_dict with another fc.bias: 3 numbers."""
    values = dict(parameters())
    plain = {"numbers": values["fc.bias"], "sizes": (3,), "strides": (1,)}
    return torch_zip({**values, "fc.bias": Tensor(**{**plain, **changes})})


def with_storage(kind="FloatStorage", elements=3, content=bytes(12), key="0", entry="0", word="storage"):
    held = tuple_of(text(word), name("torch", kind), text(key), text("cpu"), number(elements)) + b"Q"
    body = ordered([(text("fc.bias"), rebuilt(held, 0, numbers((3,)), numbers((1,))))])
    return zipped({"data.pkl": pickle(body), f"data/{entry}": content})


def nested_memo(depth):
    """A list of two lists of two lists ...: 2^depth leaves, and each of them the same one."""
    return b"]q\0" + b"".join(b"0](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(depth))


PICKLES = {
    # what would be run
    "os.system by GLOBAL and REDUCE": (of(call(SYSTEM, TOUCH)), "pickle_global", r"asks for posix\.system"),
    "os.system by STACK_GLOBAL": (of(b"\x8c\5posix\x8c\6system\x93" + tuple_of(TOUCH) + b"R", 4), "pickle_global", r"byte \d+: .*posix\.system"),
    "os.system by INST": (of(b"(" + TOUCH + b"ios\nsystem\n"), "pickle_opcode", r"INST .*os\.system"),
    "os.system by OBJ": (of(b"(" + SYSTEM + TOUCH + b"o"), "pickle_global", r"posix\.system"),
    "OBJ of what is allowed": (of(b"(" + name("collections", "OrderedDict") + b"o"), "pickle_opcode", "OBJ"),
    "NEWOBJ of a class": (of(name("subprocess", "Popen") + tuple_of(TOUCH) + b"\x81"), "pickle_global", r"subprocess\.Popen"),
    "NEWOBJ_EX": (of(name("collections", "OrderedDict") + b")}\x92", 4), "pickle_opcode", "NEWOBJ_EX"),
    "eval": (of(call(name("builtins", "eval"), text("1"))), "pickle_global", r"builtins\.eval"),
    "getattr of Python 2": (of(call(name("__builtin__", "getattr"), text("1"))), "pickle_global", r"__builtin__\.getattr"),
    "an attribute of what is allowed": (of(b"\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93", 4), "pickle_global", r"OrderedDict\.__init__"),
    "BUILD of a global": (of(name("collections", "OrderedDict") + b"}" + b"b"), "pickle_stack", "BUILD"),
    "BUILD of a tensor": (zip_of(state_dict({"a": np.zeros(1, "<f4")})[0].replace(b"}(", b"}(", 1)[:-1] + b"}bu", {"0": np.zeros(1, "<f4")}),
                          "pickle_stack", "BUILD gives attributes to a tensor"),
    "__setstate__ that is REDUCEd": (of(call(text("os"), text("x"))), "pickle_stack", "a global finds a text"),
    "REDUCE of a type": (of(call(name("torch", "FloatStorage"), number(3))), "pickle_stack", "torch.FloatStorage"),
    "REDUCE without a tuple": (of(name("collections", "OrderedDict") + b"]R"), "pickle_stack", "a tuple finds a list"),
    "the extension registry": (of(b"\x82\1"), "pickle_opcode", "EXT1"),
    "the extension registry, 2": (of(b"\x83\1\0"), "pickle_opcode", "EXT2"),
    "the extension registry, 4": (of(b"\x84\1\0\0\0"), "pickle_opcode", "EXT4"),
    "a persistent id in text": (of(b"Pposix.system\n"), "pickle_opcode", "PERSID"),
    "a buffer out of band": (of(b"\x97", 5), "pickle_opcode", "NEXT_BUFFER"),
    "copyreg": (of(call(name("copyreg", "_reconstructor"), name("posix", "system"))), "pickle_global", "copyreg"),
    "a class of the script": (of(name("__main__", "Model") + b")\x81"), "pickle_global", "holds a model, not its state_dict"),
    "torch.load inside": (of(call(name("torch.storage", "_load_from_bytes"), b"C\1x")), "pickle_global", "_load_from_bytes"),
    "a quantized tensor": (of(name("torch._utils", "_rebuild_qtensor")), "pickle_global", "_rebuild_qtensor"),
    "a function on a function": (of(call(name("torch._tensor", "_rebuild_from_type_v2"), name("torch", "device"), b"N", b")", b"N")),
                                 "pickle_tensor", ""),
    # what would take memory or time
    "a million tuples, one in the other": (of(b")" + b"\x85" * 1000000), "weights_key", "a tuple"),
    "a million marks": (of(b"(" * 1000000), "pickle_stack", ""),
    "a memo that doubles": (of(nested_memo(200)), "weights_key", "a list"),
    "a list that holds itself": (of(b"]q\0h\0a"), "weights_key", "a list"),
    "a place of the memo beyond all": (of(b"Nr\xff\xff\xff\xff"), "pickle_size", "4294967295"),
    "a place of the memo below 0": (of(b"Np-5\n"), "pickle_size", ""),
    "more steps than a checkpoint has": (of(b"N0" * 2200000), "pickle_size", "4194304 steps"),
    "an int of 2 GB": (of(b"\x8b\xff\xff\xff\x7f"), "pickle_end", "byte 2"),
    "an int below length 0": (of(b"\x8b\xff\xff\xff\xff"), "pickle_end", ""),
    "an int of 100000 bytes": (of(b"\x8b" + struct.pack("<I", 100000) + b"\x7f" * 100000), "weights_key", "an object"),
    "an int of 100000 digits": (of(b"L" + b"9" * 100000 + b"L\n"), "weights_key", "an object"),
    "a text of 2^63 bytes": (of(b"\x8d" + b"\0" * 7 + b"\x80"), "pickle_end", ""),
    "a text of 2^64 bytes": (of(b"\x8d" + b"\xff" * 8), "pickle_end", ""),
    "a pickle of 65 MB": (zipped({"data.pkl": pickle(b"N0" * 34000000 + b"N")}, zipfile.ZIP_DEFLATED), "zip_size", "data.pkl"),
    # what is no pickle
    "nothing": (raw(b""), "pickle_end", "byte 0"),
    "no STOP": (raw(b"\x80\2N"), "pickle_end", ""),
    "an opcode that there is not": (of(b"\7"), "pickle_opcode", "07 is no opcode"),
    "protocol 6": (of(b"N", 6), "pickle_opcode", "protocol 6"),
    "two values at the end": (of(b"NN"), "pickle_stack", "2 values"),
    "none at the end": (of(b""), "pickle_stack", "0 values"),
    "a mark at the end": (of(b"N("), "pickle_stack", ""),
    "POP of nothing": (of(b"0"), "pickle_stack", ""),
    "TUPLE3 of two": (of(b"NN\x87"), "pickle_stack", ""),
    "TUPLE3 across a mark": (of(b"NN(N\x87"), "pickle_stack", ""),
    "a tuple without a mark": (of(b"Nt"), "pickle_stack", "mark"),
    "a key without a value": (of(b"}(Nu"), "pickle_stack", "value"),
    "a dictionary of three": (of(b"(NNNd"), "pickle_stack", "value"),
    "APPEND to a dictionary": (of(b"}Na"), "pickle_stack", "a list finds a dictionary"),
    "SETITEM of a list": (of(b"]NNs"), "pickle_stack", "a dictionary finds a list"),
    "an empty place of the memo": (of(b"h\5"), "pickle_stack", "place 5"),
    "OrderedDict of no pairs": (of(call(name("collections", "OrderedDict"), b"](Ne")), "pickle_stack", "pairs"),
    "a size of a list": (of(call(name("torch", "Size"), b"]")), "pickle_stack", ""),
}

TENSORS = {
    "sizes below 0": (with_tensor(sizes=(-3,)), "pickle_tensor", "data.pkl, byte"),
    "strides below 0": (with_tensor(strides=(-1,)), "pickle_tensor", ""),
    "an offset below 0": (with_tensor(first=-1), "pickle_tensor", ""),
    "more sizes than strides": (with_tensor(sizes=(3, 1)), "pickle_tensor", ""),
    "sizes in a list": (with_tensor(sizes_as=b"](K\3e"), "pickle_tensor", ""),
    "a size that is a text": (with_tensor(sizes_as=tuple_of(text("3"))), "pickle_tensor", ""),
    "a size of 100 bits": (with_tensor(sizes_as=tuple_of(number(1 << 100))), "pickle_tensor", ""),
    "65 dimensions": (with_tensor(sizes=(1,) * 64 + (3,), strides=(1,) * 65), "pickle_tensor", ""),
    "a storage that is none": (of(ordered([(text("a"), rebuilt(b"N", 0, numbers((3,)), numbers((1,))))])), "pickle_tensor", ""),
    "a parameter of no tensor": (of(call(name("torch._utils", "_rebuild_parameter"), b"N", b"\x88", b"N")), "pickle_tensor", ""),
    "strides that leave the storage": (with_tensor(strides=(2,)), "weights_range", r"fc\.bias, \[3\] with strides \[2\].* storage of 3"),
    "an offset that leaves the storage": (with_tensor(first=1), "weights_range", r"fc\.bias"),
    "an offset behind the storage": (with_tensor(first=1 << 62), "weights_range", r"fc\.bias"),
    "more elements than the storage": (with_tensor(sizes=(4,)), "weights_range", r"fc\.bias"),
    "strides beyond all": (with_tensor(sizes=(3, 3), strides=(1 << 62, 1 << 62)), "weights_range", r"fc\.bias"),
    "more elements than can be counted": (with_tensor(sizes=(1 << 40, 1 << 40), strides=(0, 0)), "weights_range", "counted"),
    "an empty tensor behind the storage": (with_tensor(sizes=(0,), first=4), "weights_range", ""),
    "fewer elements in the file": (with_storage(content=bytes(8)), "weights_bytes", r"data/0 has 8 bytes, but 3 elements of F32"),
    "more elements in the file": (with_storage(content=bytes(16)), "weights_bytes", ""),
    "a storage of elements below 0": (with_storage(elements=-1), "pickle_storage", ""),
    "a storage beyond all": (with_storage(elements=1 << 62), "pickle_storage", "counted"),
    "a storage that is not in the zip": (with_storage(entry="1"), "pickle_storage", r"no entry archive/data/0"),
    "a storage elsewhere": (with_storage(key="../../x"), "pickle_storage", r"no entry"),
    "a persistent id of another reader": (with_storage(word="module"), "pickle_storage", ""),
    "a quantized storage": (with_storage(kind="QInt8Storage"), "pickle_global", "torch.QInt8Storage"),
    "one storage of two types": (zip_of(*state_dict({"a": Tensor(np.zeros(2, "<f4"), (2,), (1,), key="0"),
                                                     "b": Tensor(np.zeros(2, "<f4"), (2,), (1,), key="0", kind="IntStorage")})),
                                 "pickle_storage", "was 2 of F32 before"),
    "one name twice": (torch_zip([("a", np.zeros(1, "<f4")), ("a", np.ones(1, "<f4"))]), "weights_name", "have one name, a"),
    "a NUL in a name": (torch_zip({"a\0b": np.zeros(1, "<f4")}), "weights_name", "NUL"),
    "a name of 5000 bytes": (torch_zip({"a" * 5000: np.zeros(1, "<f4")}), "weights_name", "5000"),
    "complex numbers": (with_tensor(numbers=np.zeros(6, "<f4"), kind="ComplexFloatStorage", elements=3), "weights_dtype", "C64"),
    "whole numbers": (with_tensor(numbers=np.zeros(3, "<i8")), "weights_dtype", "I64"),
}


# ---- containers ----

def npz():
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3))
    return out.getvalue()


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("sys_info"))
    return out.getvalue()


def patched(data, offset, new):
    return data[:offset] + new + data[offset + len(new):]


def in_directory(data, entry):
    """Where the record of an entry begins in the zip's directory."""
    at = data.index(b"PK\1\2")
    while data[at + 46:at + 46 + len(entry)] != entry:
        at = data.index(b"PK\1\2", at + 1)
    return at


def damaged(data, entry):
    """Another bit in the middle of what the entry holds."""
    at = data.index(entry) + len(entry) + 4
    return patched(data, at, bytes([data[at] ^ 1]))


def encrypted(data):
    at = in_directory(data, b"archive/data.pkl")
    return patched(data, at + 8, b"\1\0")


def many_entries(claimed):
    """A directory of zip64 that claims so many entries."""
    data = torch_zip(parameters())
    end = data.index(b"PK\5\6")
    size, start = struct.unpack_from("<II", data, end + 12)
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, claimed, claimed, size, start)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
    return data[:end] + record + locator + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xffff, 0xffff, size, 0xffffffff, 0)


def bomb():
    """400 MB of zeros, of which a tensor looks at three."""
    body = ordered([(text("fc.bias"), rebuilt(storage("FloatStorage", "0", 100 << 20), 0, numbers((3,)), numbers((1,))))])
    return zipped({"data.pkl": pickle(body), "data/0": bytes(400 << 20)}, zipfile.ZIP_DEFLATED)


GOOD = torch_zip(parameters())
LEGACY = torch_legacy(parameters())
CONTAINERS = {
    "a web page": (b"<!DOCTYPE html><html>", "weights_format", "web page"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "weights_format", "Git LFS"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "weights_format", "gzip"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "weights_format", "HDF5"),
    "an array of numpy": (b"\x93NUMPY\1\0" + bytes(100), "weights_format", "numpy"),
    "an archive of numpy": (npz(), "weights_format", r"first one is a\.npy"),
    "a tar file": (tar(), "weights_format", "tar"),
    "packed weights": (b"netc-weights 1\ntext 5 0\n", "weights_format", "weights-file"),
    "a pickle": (pickle(b"}"), "weights_format", "magic number"),
    "an empty zip": (zipped({}), "weights_format", "missing"),
    "TorchScript": (zipped({"data.pkl": pickle(b"}"), "constants.pkl": pickle(b")"), "code/__torch__.py": b""}), "weights_format", "TorchScript"),
    "a zip without its end": (GOOD[:-30], "zip_directory", "truncated"),
    "half a zip": (GOOD[:len(GOOD) // 2], "zip_directory", "truncated"),
    "an entry twice": (zipped([("data.pkl", pickle(b"}")), ("data.pkl", pickle(b"N"))]), "zip_directory", "two entries archive/data.pkl"),
    "a damaged pickle": (damaged(GOOD, b"archive/data.pkl"), "zip_entry", "CRC"),
    "a damaged storage": (damaged(GOOD, b"archive/data/0"), "zip_entry", "archive/data/0 is damaged: CRC"),
    "an encrypted entry": (encrypted(GOOD), "zip_entry", "encrypted"),
    "bzip2": (torch_zip(parameters(), method=zipfile.ZIP_BZIP2), "zip_entry", "method 12"),
    "a zip bomb": (bomb(), "zip_size", "inflates to 419430400 bytes"),
    "a thousand entries that are not there": (many_entries(1000), "zip_directory", ""),
    "2^40 entries that are not there": (many_entries(1 << 40), "zip_directory", ""),
    "a big-endian zip": (zipped({"data.pkl": pickle(b"}"), "byteorder": b"big"}), "weights_order", "'big'"),
    "a big-endian machine": (legacy_of(*state_dict(parameters(), True), little=b"\x89"), "weights_order", "big-endian"),
    "another version of the old format": (legacy_of(*state_dict(parameters(), True), version=1000), "weights_format", "1001"),
    "a storage that is not listed": (legacy_of(*state_dict(parameters(), True), keys=["0", "1"]), "pickle_storage", "not among"),
    "a storage that is listed twice": (legacy_of(*state_dict(parameters(), True), keys=["0", "0"]), "pickle_storage", "before"),
    "a storage that nobody has": (legacy_of(*state_dict(parameters(), True), keys=["0", "x"]), "pickle_storage", "no tensor"),
    "old storages that end early": (LEGACY[:-5], "weights_range", "truncated"),
    "an old storage of another length": (patched(LEGACY, len(LEGACY) - 3 * 4 - 8, struct.pack("<Q", 4)), "weights_bytes", "4 elements, its tensors say 3"),
    "an old storage that is a part beyond": (torch_legacy({"a": Tensor(np.zeros(4, "<f4"), (2,), (1,), view=tuple_of(text("v"), number(3), number(2)))}),
                                             "pickle_storage", "part"),
    "a list": (of(b"]"), "weights_key", "a list"),
    "a dictionary without tensors": (of(dict_of([(text("epoch"), number(3))])), "weights_key", "`epoch`"),
    "tensors under another key": (zip_of(dict_of([(text("ema"), state_dict(parameters())[0])]), state_dict(parameters())[1]),
                                  "weights_key", r"`ema` \(12 tensors\); --checkpoint-key=KEY"),
}


def case(content, check, says):
    def test():
        with Folder() as folder:
            folder.refused(folder.write("w.pth", content), check, says)
    return test


def keys():
    values = parameters()
    with Folder() as folder:
        good = folder.write("w.pth", GOOD)
        folder.refused(good, "weights_key", "there is no `ema`", "--checkpoint-key=ema")
        folder.refused(good, "weights_key", "a tensor", "--checkpoint-key=fc.bias")
        folder.refused(good, "weights_key", r"no `x` in a tensor", "--checkpoint-key=fc.bias/x")
        body, held = state_dict(values)
        wrapped = folder.write("wrapped.pth", zip_of(dict_of([(text("a/b"), dict_of([(text("c"), body)]))]), held))
        folder.same(wrapped, values, "--checkpoint-key=a/b/c")
        folder.refused(wrapped, "weights_key", "there is no `d`", "--checkpoint-key=a/b/d")
        plain = folder.path / "plain.safetensors"
        folder.refused(plain, "weights_key", "--checkpoint-key=model", "--checkpoint-key=model")


# ---- cut off, and damaged ----

def cut(content, what):
    """Nothing that is shorter is taken for a checkpoint."""
    step = 1 if ALL else max(1, len(content) // 120)
    with Folder() as folder:
        for length in range(1, len(content) - 1, step):
            got = folder.pack(folder.write("w.pth", content[:length]), binary=NETC)
            if got.code != 1 or got.err.count("error: ") != 1:
                raise Failure(f"{what}: {length} of {len(content)} bytes ended with {got.code}: {got.err[:500]}")


def flipped(content, what, guarded=True):
    """Other bits give one line, or do not matter: what a checksum guards is never another value. The old form has none."""
    step = 1 if ALL else max(1, len(content) // 150)
    with Folder() as folder:
        good = folder.packed(folder.write("w.pth", content), binary=NETC)
        for at in range(0, len(content), step):
            got = folder.pack(folder.write("w.pth", patched(content, at, bytes([content[at] ^ (1 << at % 8)]))), binary=NETC)
            packed = folder.path / "packed"
            same = got.code == 0 and (not guarded or packed.read_bytes() == good)
            packed.unlink(missing_ok=True)
            if not same and (got.code != 1 or "error: " not in got.err):
                raise Failure(f"{what}: another byte {at} of {len(content)} ended with {got.code}: {got.err[:500]}")


def cases():
    for group in (PICKLES, TENSORS, CONTAINERS):
        for word, (content, check, says) in group.items():
            yield f"refused: {word}", case(content, check, says)
    yield "refused: keys that are not there", keys
    for what, content in (("a zip", GOOD), ("a deflated zip", torch_zip(parameters(), method=zipfile.ZIP_DEFLATED)), ("the old format", LEGACY)):
        yield f"cut off: {what}", lambda content=content, what=what: cut(content, what)
    for what, content in (("a zip", GOOD), ("a deflated zip", torch_zip(parameters(), method=zipfile.ZIP_DEFLATED))):
        yield f"damaged: {what}", lambda content=content, what=what: flipped(content, what)
    yield "damaged: the old format", lambda: flipped(LEGACY, "the old format", guarded=False)
