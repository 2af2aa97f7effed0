"""The safetensors format with nothing but numpy and json: the header's length, a JSON header, raw data.

Surprises: tensors are kept in the order of the file, the data starts at a multiple of 8 (the header is padded with
blanks), and float16/bfloat16 are read as float32, because the networks compute in float32.
"""
import json
import struct

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}


def load(path):
    """Returns ({name: array}, metadata)."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length].decode("utf-8"))
    metadata = header.pop("__metadata__", {})
    body = memoryview(data)[8 + length:]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] == "BF16":
            wide = np.frombuffer(body[begin:end], "<u2").astype("<u4") << 16
            array = wide.view("<f4")
        else:
            array = np.frombuffer(body[begin:end], DTYPES[entry["dtype"]])
            if entry["dtype"] == "F16":
                array = array.astype("<f4")
        tensors[name] = array.reshape(entry["shape"])
    return tensors, metadata


def save(path, tensors, metadata=None):
    """Writes {name: array}; metadata is {str: str}."""
    names = {np.dtype(code).str: name for name, code in DTYPES.items()}
    header, chunks, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = {key: str(value) for key, value in metadata.items()}
    for name, array in tensors.items():
        array = np.asarray(array)
        chunk = array.tobytes()         # C order whatever the strides are
        header[name] = {"dtype": names[array.dtype.str], "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for chunk in chunks:
            file.write(chunk)
