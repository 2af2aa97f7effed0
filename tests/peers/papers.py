"""Networks of which no authors' code or weights exist, as PyTorch modules written from the papers, sentence by sentence.

They share no way of computing with netdefs/: distances are looked up pair by pair, neighbourhoods are shifted maps. What a paper leaves
open is decided as the comments in netdefs/blocks/augmented.net and stand_alone.net say.
"""

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import Bottleneck, ResNet

NETWORKS = ["aa_resnet50", "sasa_resnet50"]


def point(channels, out):
    return nn.Conv2d(channels, out, 1, bias=False)


class AugmentedConv(nn.Module):
    """Bello et al. 2019, sections 3.1 and 3.2."""

    def __init__(self, channels, out, stride, shrink, side, heads, key_share, value_share):
        super().__init__()
        self.heads, self.shrink, self.stride = heads, shrink, stride
        self.dv, self.dk = max(1, round(value_share * out / heads)), max(20, round(key_share * out / heads))
        self.conv = nn.Conv2d(channels, out - heads * self.dv, 3, stride, 1, bias=False)
        self.qkv = point(channels, heads * (2 * self.dk + self.dv))
        self.height_rel = nn.Parameter(torch.empty(2 * side - 1, self.dk))
        self.width_rel = nn.Parameter(torch.empty(2 * side - 1, self.dk))
        self.proj = point(heads * self.dv, heads * self.dv)

    def forward(self, x):
        local = self.conv(x)
        for _ in range(self.shrink + self.stride - 1):
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        n, _, h, w = x.shape
        q, k, v = torch.split(self.qkv(x), [self.heads * self.dk, self.heads * self.dk, self.heads * self.dv], 1)
        q = q.reshape(n, self.heads, self.dk, h, w) * self.dk ** -0.5
        k, v = k.reshape(n, self.heads, self.dk, h, w), v.reshape(n, self.heads, self.dv, h, w)
        logits = torch.einsum("bndij,bndpr->bnijpr", q, k)
        for i in range(h):
            for p in range(h):
                logits[:, :, i, :, p, :] += torch.einsum("bndj,d->bnj", q[:, :, :, i], self.height_rel[p - i + h - 1])[..., None]
        for j in range(w):
            for r in range(w):
                logits[:, :, :, j, :, r] += torch.einsum("bndi,d->bni", q[..., j], self.width_rel[r - j + w - 1])[..., None]
        weights = logits.reshape(n, self.heads, h, w, h * w).softmax(-1).reshape(logits.shape)
        whole = self.proj(torch.einsum("bnijpr,bndpr->bndij", weights, v).reshape(n, -1, h, w))
        if whole.shape[2:] != local.shape[2:]:
            whole = functional.interpolate(whole, local.shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([local, whole], 1)


class LocalAttention(nn.Module):
    """Ramachandran et al. 2019, equation 3."""

    def __init__(self, channels, out, stride, kernel, heads):
        super().__init__()
        self.stride, self.kernel, self.heads = stride, kernel, heads
        self.q, self.k, self.v = (point(channels, out) for _ in range(3))
        self.row_rel = nn.Parameter(torch.empty(kernel, out // heads // 2))
        self.column_rel = nn.Parameter(torch.empty(kernel, out // heads // 2))

    def forward(self, x):
        n, _, h, w = x.shape
        q = self.q(x).reshape(n, self.heads, -1, h, w)
        rim = self.kernel // 2
        k, v = functional.pad(self.k(x), [rim] * 4), functional.pad(self.v(x), [rim] * 4)
        logits, values = [], []
        for a in range(self.kernel):
            for b in range(self.kernel):
                distance = torch.cat([self.row_rel[a], self.column_rel[b]])[:, None, None]
                logits.append((q * (k[:, :, a:a + h, b:b + w].reshape(q.shape) + distance)).sum(2))
                values.append(v[:, :, a:a + h, b:b + w].reshape(q.shape))
        weights = torch.stack(logits).softmax(0)
        y = sum(weight[:, :, None] * value for weight, value in zip(weights, values)).reshape(n, -1, h, w)
        return y if self.stride == 1 else functional.avg_pool2d(y, 2, ceil_mode=True, count_include_pad=False)


class AttentionStem(nn.Module):
    """Ramachandran et al. 2019, equation 4 and section 4.1, without the norm and the pool."""

    def __init__(self, heads, out=64, side=4, mixtures=4):
        super().__init__()
        self.heads, self.side = heads, side
        self.q, self.k = point(3, out), point(3, out)
        self.v = nn.Parameter(torch.empty(mixtures, 3, out))
        self.row, self.column = nn.Parameter(torch.empty(side, out)), nn.Parameter(torch.empty(side, out))
        self.mixture = nn.Parameter(torch.empty(out, mixtures))
        half = out // heads // 2
        self.row_rel, self.column_rel = nn.Parameter(torch.empty(2 * side - 1, half)), nn.Parameter(torch.empty(2 * side - 1, half))

    def forward(self, x):
        s, places = self.side, [(a, b) for a in range(self.side) for b in range(self.side)]
        at = lambda tensor, a, b: tensor[:, :, a::s, b::s].reshape(tensor.shape[0], self.heads, -1, tensor.shape[2] // s, tensor.shape[3] // s)
        q, k = self.q(x), self.k(x)
        v = torch.empty_like(q)
        for a, b in places:
            share = ((self.row[a] + self.column[b]) @ self.mixture).softmax(0)
            matrix = sum(share[m] * self.v[m] for m in range(len(share)))
            v[:, :, a::s, b::s] = torch.einsum("bchw,co->bohw", x[:, :, a::s, b::s], matrix)
        y = torch.empty_like(q)
        for a, b in places:
            query, logits = at(q, a, b), []
            for c, d in places:
                distance = torch.cat([self.row_rel[c - a + s - 1], self.column_rel[d - b + s - 1]])[:, None, None]
                logits.append((query * (at(k, c, d) + distance)).sum(2))
            weights = torch.stack(logits).softmax(0)
            mixed = sum(weight[:, :, None] * at(v, c, d) for weight, (c, d) in zip(weights, places))
            y[:, :, a::s, b::s] = mixed.reshape(y[:, :, a::s, b::s].shape)
        return y


def build(name, image, layers=(3, 4, 6, 3), num_classes=1000, heads=8, key_share=0.2, value_share=0.1, kernel=7, conv_stem=False, **_):
    model = ResNet(Bottleneck, list(layers), num_classes=num_classes)
    if name == "aa_resnet50":
        sides, side = {}, image
        for divided in (2, 4, 8, 16, 32):
            side = (side + 1) // 2
            sides[divided] = side
        for stage, at, shrink in ((model.layer2, 8, 1), (model.layer3, 16, 0), (model.layer4, 32, 0)):
            small = (sides[at] + 1) // 2 if shrink else sides[at]
            for block in stage:
                conv = block.conv2
                block.conv2 = AugmentedConv(conv.in_channels, conv.out_channels, conv.stride[0], shrink, small, heads, key_share, value_share)
        return model
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in stage:
            conv = block.conv2
            block.conv2 = LocalAttention(conv.in_channels, conv.out_channels, conv.stride[0], kernel, heads)
    if conv_stem in (False, "false"):
        return StandAlone(model)
    return model


class StandAlone(AttentionStem):
    """A ResNet behind that stem, whose tensors have no prefix."""

    def __init__(self, model):
        super().__init__(heads=8)
        for name in ("bn1", "layer1", "layer2", "layer3", "layer4", "fc"):
            setattr(self, name, getattr(model, name))

    def forward(self, x):
        x = functional.max_pool2d(self.bn1(super().forward(x)), self.side)
        return self.fc(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3)))
