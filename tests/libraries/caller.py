"""A caller by ctypes and NumPy: caller.py FOLDER NAME INPUT.npy OUTPUT.npy THREADS. Its constants are the header's."""

import ctypes
import re
import sys
from pathlib import Path

import numpy as np

folder, name, pixels_path, logits_path, threads = sys.argv[1:]
library = ctypes.CDLL(f"{folder}/lib{name}.so")
constant = dict(re.findall(rf"^#define {name.upper()}_(\w+) (\d+)", Path(folder, f"{name}.h").read_text(), re.M))


class Net(ctypes.Structure):
    _fields_ = [("weights", ctypes.c_void_p), ("bytes", ctypes.c_size_t), ("variant", ctypes.c_int),
                ("error", ctypes.c_int), ("detail", ctypes.c_char_p), ("digest", ctypes.c_char * 17)]


def function(what, result, *arguments):
    found = getattr(library, f"{name}_{what}")
    found.restype, found.argtypes = result, arguments
    return found


floats = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
open_net = function("open", ctypes.c_int, ctypes.POINTER(Net), ctypes.c_char_p)
close_net = function("close", None, ctypes.POINTER(Net))
workspace_size = function("workspace_size", ctypes.c_size_t)
strerror = function("strerror", ctypes.c_char_p, ctypes.c_int)
run = function("run", ctypes.c_int, ctypes.POINTER(Net), ctypes.c_void_p, floats, floats, ctypes.c_int)


def check(code):
    if code:
        sys.exit(strerror(code).decode())


net = Net()
check(open_net(net, None))
space = np.empty(workspace_size() + 64, np.uint8)
workspace = (space.ctypes.data + 63) // 64 * 64
pixels = np.load(pixels_path)
logits = np.empty((len(pixels), int(constant["LOGITS_ELEMENTS"])), np.float32)
for image, row in zip(pixels, logits):
    check(run(net, workspace, np.ascontiguousarray(image), row, int(threads)))
np.save(logits_path, logits)
close_net(net)
for label in (ctypes.c_char_p * int(constant["LOGITS_CLASSES"])).in_dll(library, f"{name}_logits_labels"):
    print(label.decode())
