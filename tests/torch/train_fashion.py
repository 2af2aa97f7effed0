#!/usr/bin/python3
"""Trains a network on Fashion-MNIST and writes its weights: how netdefs/fashion/*.safetensors came to be.

    netc show netdefs/fashion/resnext.net --json > graph.json
    train_fashion.py graph.json --output netdefs/fashion/resnext.safetensors

Fixed seeds and a fixed number of epochs; the last weights are written, never those of the epoch that tested best.
The pictures come from Debian's package dataset-fashion-mnist; mean and std are those of the graph's preprocessing.
"""
import argparse
import gzip
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import net_torch
import safetensors_numpy


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


def read_part(folder, part):
    images = torch.from_numpy(read_idx(os.path.join(folder, part + "-images-idx3-ubyte.gz")).astype(np.float32))
    labels = torch.from_numpy(read_idx(os.path.join(folder, part + "-labels-idx1-ubyte.gz")).astype(np.int64))
    return images.unsqueeze(1), labels


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


def main():
    parser = argparse.ArgumentParser(description="train a netc graph on Fashion-MNIST")
    parser.add_argument("graph")
    parser.add_argument("--output", required=True, help="the .safetensors file to write")
    parser.add_argument("--start", help="weights for a further cycle; without it they are random")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.15, help="the highest learning rate of the one-cycle schedule")
    parser.add_argument("--decay", type=float, default=5e-4, help="weight decay of tensors with two or more axes")
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--shift", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)
    net = TrainedNet(arguments.graph)
    before = ""
    if arguments.start:
        net.load(arguments.start)
        before = safetensors_numpy.load(arguments.start)[1].get("training", arguments.start) + "; then "
    net = net.to(memory_format=torch.channels_last).train()
    for last in [step for step in net.graph["inputs"][0]["preprocess"] if step["op"] == "normalize"]:
        mean, std = last["mean"][0] * 255.0 / last["range"], last["std"][0] * 255.0 / last["range"]
    normalize = lambda images: ((images - mean) / std).contiguous(memory_format=torch.channels_last)

    images, labels = read_part(arguments.data, "train")
    test_images, test_labels = read_part(arguments.data, "t10k")
    test_images = normalize(test_images)

    matrices = [p for p in net.parameters() if p.dim() >= 2]
    vectors = [p for p in net.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": arguments.decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=arguments.rate, momentum=0.9, nesterov=True)
    steps = len(images) // arguments.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.rate, total_steps=steps * arguments.epochs,
                                                   pct_start=0.25,
                                                   cycle_momentum=False, div_factor=10, final_div_factor=1000)
    count = sum(p.numel() for p in net.parameters())
    print("%s: %d trained parameters, %d epochs, %s" % (net.graph["network"], count, arguments.epochs, vars(arguments)),
          flush=True)

    begin, spent = time.time(), 0.0
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
        accuracy, test_loss = evaluate(net, test_images, test_labels)
        print("epoch %d: training loss %.4f, test accuracy %.2f %%, test loss %.4f, %.0f s, %.0f s of processor"
              % (epoch + 1, total / steps, accuracy, test_loss, time.time() - begin, spent), flush=True)

    tensors = {name: value.detach().contiguous().numpy() for name, value in net.state_dict().items()}
    recipe = before + (
        "SGD nesterov 0.9, one cycle to {rate:g}, {epochs} epochs of batch {batch}, shift {shift} and mirror, "
        "label smoothing {smoothing:g}, weight decay {decay:g}, seed {seed}".format(**vars(arguments)))
    safetensors_numpy.save(arguments.output, tensors,
                           {"network": net.graph["network"], "data": "Fashion-MNIST", "training": recipe,
                                                       "test_accuracy": "%.2f" % accuracy})
    again = TrainedNet(arguments.graph).load(arguments.output)
    accuracy, test_loss = evaluate(again, test_images, test_labels)
    print("%s read back: test accuracy %.2f %%, test loss %.4f" % (arguments.output, accuracy, test_loss), flush=True)


if __name__ == "__main__":
    main()
