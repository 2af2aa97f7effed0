#!/usr/bin/python3
"""Trains a network on Fashion-MNIST: writes its weights (how netdefs/fashion/*.safetensors came to be), or how well it
did, which is what `netc sweep --train` runs for each variant and seed.

    netc show netdefs/fashion/resnext.net --json > graph.json
    train_fashion.py graph.json --output netdefs/fashion/resnext.safetensors
    train_fashion.py graph.json --result resnext.1.json --epochs 4 --seed 1

Fixed seeds and a fixed number of epochs; the last weights count, never those of the epoch that tested best.
The pictures come from Debian's package dataset-fashion-mnist; mean and std are those of the graph's preprocessing.
What ends it (an error, Ctrl-C, SIGTERM) leaves no file behind: outputs are written whole under another name and renamed.
"""
import argparse
import ctypes
import gzip
import json
import os
import platform
import signal
import sys
import time

NAME = os.path.basename(__file__)
DEBIAN_DATA = "/usr/share/datasets/fashion-mnist"

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as error:
    sys.exit("%s: %s has no module %s: apt install python3-torch python3-numpy (Debian), or start another Python that has "
             "both; netc takes the one that NETC_PYTHON names" % (NAME, sys.executable, error.name))

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import net_torch
import safetensors_numpy


class Stopped(BaseException):
    """A signal asks for the end."""


def stop_by_signals():
    def stop(number, _):
        signal.signal(number, signal.SIG_IGN)       # once is enough
        raise Stopped(number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def keep_memory():
    """Has glibc keep what is freed: without it every large tensor is new pages to the kernel, a quarter of the time."""
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):               # another C library
        return
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 << 20)):
        mallopt(option, value)


def write_whole(path, write):
    """`write` gets the name of a file beside `path`, which takes its place when it is whole."""
    beside = path + ".part"
    try:
        write(beside)
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


class QuickReLU(torch.autograd.Function):
    """ReLU whose derivative has no branches: PyTorch 1.13's takes longer than a convolution on one core."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        y = x.clamp_(min=0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return y.sign().mul_(gradient)


class TrainedNet(net_torch.NetModule):
    def op_relu(self, node, x):
        if self.training and node["name"] in self.in_place:
            return QuickReLU.apply(x)
        return super().op_relu(node, x)


def read_idx(path):
    """The array in an IDX file of bytes."""
    with gzip.open(path, "rb") as file:
        data = file.read()
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape([int(n) for n in shape])


def read_part(folder, part, most=None):
    """Pictures and labels; the first `most` of them."""
    arrays = []
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        path = os.path.join(folder, "%s-%s.gz" % (part, kind))
        try:
            arrays.append(read_idx(path)[:most])
        except FileNotFoundError:
            raise SystemExit("%s: %s is not there: apt install dataset-fashion-mnist (Debian), or --data names the folder of "
                             "the four .gz files" % (NAME, path))
        except (OSError, EOFError, ValueError, IndexError) as error:
            raise SystemExit("%s: %s is no IDX file, packed by gzip: %s" % (NAME, path, error))
    images, labels = arrays
    return torch.from_numpy(images.astype(np.float32)).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))


def augment(images, shift, generator):
    """Each picture shifted by up to `shift` pixels (black flows in) and mirrored half of the time."""
    n, _, height, width = images.shape
    padded = F.pad(images, [shift] * 4)
    dy = torch.randint(0, 2 * shift + 1, (n, 1), generator=generator)
    dx = torch.randint(0, 2 * shift + 1, (n, 1), generator=generator)
    rows = dy + torch.arange(height)
    columns = dx + torch.arange(width)
    mirror = torch.rand(n, 1, generator=generator) < 0.5
    columns = torch.where(mirror, columns.flip(1), columns)
    return padded[torch.arange(n)[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def evaluate(net, images, labels, batch=250):
    """Accuracy in percent and mean cross entropy, with running statistics."""
    net.eval()
    right, loss = 0, 0.0
    with torch.no_grad():
        for i in range(0, len(images), batch):
            logits = net(images[i:i + batch])
            right += (logits.argmax(1) == labels[i:i + batch]).sum().item()
            loss += F.cross_entropy(logits, labels[i:i + batch], reduction="sum").item()
    net.train()
    return 100.0 * right / len(images), loss / len(images)


def digest(path):
    """FNV-1a of a file, 64 bits: by it a result knows its graph. netc names the file so."""
    value = 0xcbf29ce484222325
    with open(path, "rb") as file:
        for byte in file.read():
            value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return "%016x" % value


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def read_arguments():
    parser = argparse.ArgumentParser(description="train a netc graph on Fashion-MNIST")
    parser.add_argument("graph", nargs="?")
    parser.add_argument("--output", help="the .safetensors file to write")
    parser.add_argument("--result", help="the .json file to write: accuracy, loss and how they came about")
    parser.add_argument("--check", action="store_true",
                        help="only print the versions, if all is there that a training needs")
    parser.add_argument("--start", help="weights for a further cycle; without it they are random")
    parser.add_argument("--data", default=DEBIAN_DATA, help="the folder of the four files (default %(default)s)")
    parser.add_argument("--limit", type=int, help="only so many pictures of each part, the first ones: for tests")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.15, help="the highest learning rate of the one-cycle schedule")
    parser.add_argument("--decay", type=float, default=5e-4, help="weight decay of tensors with two or more axes")
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--shift", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.check and not (arguments.graph and (arguments.output or arguments.result)):
        parser.error("it takes a graph and has something to write: --output=FILE.safetensors, --result=FILE.json or both")
    if arguments.epochs < 1 or arguments.batch < 2 or (arguments.limit or arguments.batch) < arguments.batch:
        parser.error("--epochs is 1 or more, --batch 2 or more and --limit no less than --batch")
    return arguments


def mean_and_std(net):
    """Of the pictures' values from 0 to 255, as the graph's preprocessing has them."""
    mean, std = 0.0, 255.0
    for step in net.graph["inputs"][0]["preprocess"]:
        if step["op"] == "normalize":
            mean, std = step["mean"][0] * 255.0 / step["range"], step["std"][0] * 255.0 / step["range"]
    return mean, std


def check_network(net):
    inputs, outputs = ([entry["shape"] for entry in net.graph[which]] for which in ("inputs", "outputs"))
    if inputs != [[1, 28, 28]] or outputs != [[10]]:
        raise SystemExit("%s: %s takes %s and gives %s; Fashion-MNIST needs one input [1, 28, 28] and one output [10]"
                         % (NAME, net.graph["network"], inputs, outputs))


def optimizer_for(net, arguments, steps):
    matrices = [p for p in net.parameters() if p.dim() >= 2]
    vectors = [p for p in net.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": arguments.decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=arguments.rate, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.rate, total_steps=steps, pct_start=0.25,
                                                   cycle_momentum=False, div_factor=10, final_div_factor=1000)
    return optimizer, schedule


def train(net, arguments, generator):
    """What --result tells of the training. Without --output only the last epoch is evaluated."""
    mean, std = mean_and_std(net)
    normalize = lambda images: ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    images, labels = read_part(arguments.data, "train", arguments.limit)
    test_images, test_labels = read_part(arguments.data, "t10k", arguments.limit)
    test_images = normalize(test_images)
    steps = len(images) // arguments.batch
    optimizer, schedule = optimizer_for(net, arguments, steps * arguments.epochs)

    begin, spent, losses = time.time(), 0.0, []
    for epoch in range(arguments.epochs):
        order = torch.randperm(len(images), generator=generator)
        total, cpu = 0.0, time.process_time()
        for step in range(steps):
            chosen = order[step * arguments.batch:(step + 1) * arguments.batch]
            logits = net(normalize(augment(images[chosen], arguments.shift, generator)))
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=arguments.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            if epoch == 0 and step % 100 == 99:
                print("  step %d loss %.4f, %.0f s" % (step + 1, total / (step + 1), time.time() - begin), flush=True)
        spent += time.process_time() - cpu
        losses.append(total / steps)
        if total != total:
            raise SystemExit("%s: the loss is not a number after epoch %d: the rate of %g is too high for this network"
                             % (NAME, epoch + 1, arguments.rate))
        text = "epoch %d: training loss %.4f" % (epoch + 1, losses[-1])
        if arguments.output or epoch + 1 == arguments.epochs:
            accuracy, test_loss = evaluate(net, test_images, test_labels)
            text += ", test accuracy %.2f %%, test loss %.4f" % (accuracy, test_loss)
        print("%s, %.0f s, %.0f s of processor" % (text, time.time() - begin, spent), flush=True)
    return {"accuracy": accuracy, "loss": test_loss, "training_loss": losses, "pictures": len(images),
            "tested": len(test_images), "seconds": round(time.time() - begin, 1), "processor_seconds": round(spent, 1)}


def recipe_of(arguments, before):
    return before + (
        "SGD nesterov 0.9, one cycle to {rate:g}, {epochs} epochs of batch {batch}, shift {shift} and mirror, "
        "label smoothing {smoothing:g}, weight decay {decay:g}, seed {seed}".format(**vars(arguments)))


def write_weights(net, arguments, before, result):
    tensors = {name: value.detach().contiguous().numpy() for name, value in net.state_dict().items()}
    about = {"network": net.graph["network"], "data": "Fashion-MNIST", "training": recipe_of(arguments, before),
             "test_accuracy": "%.2f" % result["accuracy"]}
    write_whole(arguments.output, lambda path: safetensors_numpy.save(path, tensors, about))
    again = TrainedNet(arguments.graph).load(arguments.output)
    images, labels = read_part(arguments.data, "t10k", arguments.limit)
    mean, std = mean_and_std(again)
    images = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    print("%s read back: test accuracy %.2f %%, test loss %.4f" % (arguments.output, *evaluate(again, images, labels)),
          flush=True)


def write_result(net, arguments, before, result):
    about = {"schema": 1, "network": net.graph["network"], "graph": digest(arguments.graph), **result}
    for name in ("epochs", "seed", "rate", "batch", "shift", "smoothing", "decay", "threads", "limit", "data"):
        about[name] = getattr(arguments, name)
    about.update(training=recipe_of(arguments, before), parameters=sum(p.numel() for p in net.parameters()),
                 torch=torch.__version__, numpy=np.__version__, python=platform.python_version(), processor=processor())

    def write(path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(about, file, indent=1)
            file.write("\n")
    write_whole(arguments.result, write)


def check(arguments):
    for part in ("train", "t10k"):
        read_part(arguments.data, part, 1)
    print("torch %s" % torch.__version__)


def run(arguments):
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)
    net = TrainedNet(arguments.graph)
    check_network(net)
    before = ""
    if arguments.start:
        net.load(arguments.start)
        before = safetensors_numpy.load(arguments.start)[1].get("training", arguments.start) + "; then "
    net = net.to(memory_format=torch.channels_last).train()
    count = sum(p.numel() for p in net.parameters())
    print("%s: %d trained parameters, %d epochs, %s" % (net.graph["network"], count, arguments.epochs, vars(arguments)),
          flush=True)
    result = train(net, arguments, generator)
    if arguments.output:
        write_weights(net, arguments, before, result)
    if arguments.result:
        write_result(net, arguments, before, result)


def main():
    stop_by_signals()
    keep_memory()
    arguments = read_arguments()
    try:
        (check if arguments.check else run)(arguments)
    except (OSError, ValueError) as error:
        sys.exit("%s: %s" % (NAME, error))
    except Stopped as stopped:
        number = stopped.args[0]
        print("%s: stopped by %s, nothing written" % (NAME, signal.Signals(number).name), file=sys.stderr, flush=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


if __name__ == "__main__":
    main()
