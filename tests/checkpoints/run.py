"""Checkpoints as they come: files that PyTorch, timm and safetensors write are read as they do, and what is no checkpoint is refused by
its name, with nothing run. good.py: containers; networks.py: logits of whole networks; bad.py: what is refused; renames.py: other
names, and the network that would fit."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import bad
import good
import networks
import renames
from tap import leave_out, main

modules = [networks, good, renames, bad]
leave_out("more networks of each family; every single cut and flipped byte")
main([(f"checkpoints/{name}", function) for module in modules for name, function in module.cases()])
