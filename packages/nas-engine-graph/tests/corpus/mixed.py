import math
from typing import List, Optional  # noqa: UP035 - What TorchScript reads.

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 4))
class IntegerPowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.k = 3

    def forward(self, x):
        n = 2
        return x.long() * n**3, self.k**2, n**3, round(2.6), x * 2**0.5, x.shape[0] ** 2


@case(x(2, 4))
class SizesJoined(nn.Module):
    def forward(self, x):
        shape = x.shape[:1] + (2, 2)
        return x.view(shape), x.reshape(x.shape[:-1] + (-1, 1)), x.new_zeros(x.shape + (1,))


@case(x(2, 4))
class SkipConnections(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.skip = [0, 2]

    def forward(self, x, last_only: bool = False):
        outs: List[Tensor] = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.skip:
                outs.append(x)
        if last_only:
            return x
        return torch.cat(outs, 1)


@case(x(4, 4).long().detach())
class IntegerTensors(nn.Module):
    def forward(self, x):
        return x // 2, x / 2, x % 3, -x // 2, x**2, x << 1, torch.div(x, 2, rounding_mode="floor")


@case(x(2, 4))
class MaskedAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.tril(torch.ones(4, 4)).view(1, 4, 4))

    def forward(self, x):
        rows, width = x.shape
        q, k, v = x.repeat(1, 3).split(width, dim=1)
        att = (q @ k.t()) * (1.0 / math.sqrt(width))
        att = att.masked_fill(self.mask[0, :rows, :rows] == 0, float("-inf"))
        return F.softmax(att, -1) @ v


@case(x(2, 4))
class NoAutocast(nn.Module):
    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            y = x * 2
        return y


@case(x(2, 4))
class Autocast(nn.Module):
    """With types that are written there, are those of a tensor, or of the device."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
        self.dtype, self.mixed = torch.bfloat16, True

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.first(x)
            with torch.autocast(device_type="cpu", enabled=False):
                z = self.last(y.float())
        with torch.amp.autocast(x.device.type, self.dtype, enabled=self.mixed, cache_enabled=False):
            half = x @ self.first.weight
            more = half + x if half.dtype == torch.bfloat16 else half
        with torch.autocast("cpu", y.dtype), torch.no_grad():
            last = self.last(x)
        with torch.autocast("cpu"):
            return y, z, half, more, half.dtype, last, self.last(more.exp())


@case(x(2, 4))
class AutocastOfDevices(nn.Module):
    """That of CUDA is off where there is none."""

    def forward(self, x):
        with torch.cpu.amp.autocast():
            y = x @ x.t()
            with torch.cpu.amp.autocast(enabled=False):
                y = y + x @ x.t()
        with torch.cuda.amp.autocast(dtype=torch.float16, enabled=x.is_cuda):
            return y, x @ x.t()


@case(x(2, 3, 4))
class WholeTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Transformer(4, 2, 1, 1, 8, batch_first=True)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8), 1)

    def forward(self, x):
        return self.decoder(self.model(x, x), x)


@case(x(2, 4))
class BuffersSwapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("a", torch.zeros(4))
        self.register_buffer("b", torch.ones(4))

    def forward(self, x):
        kept = self.a
        self.a = self.b
        self.b = kept
        return x + self.a - self.b * 2


@case(x(3, 4))
class LoopVariableAfterwards(nn.Module):
    def forward(self, x):
        n = 0
        for i in range(1, 6, 2):
            n = n + i
            n = len([x, x])
            n = max(n - 1, 0)
        return x * n, n


@case(x(2, 3))
class NothingLeft(nn.Module):
    """Questions of which the answers do not matter."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.0)
        self.size = 3
        self.weight = nn.Parameter(torch.randn(3))

    def forward(self, x, mask: Optional[Tensor] = None):  # noqa: UP007, UP045
        text = f"{x.shape} and {self.size}"
        floating = mask is not None and torch.is_floating_point(mask)
        assert self.size == 3, text
        if floating:
            pass
        rate = self.drop.p if self.training else 0.0
        weight = self.weight
        return F.dropout(x, rate), weight is None


@case(x(2, 9), [3, 4])
class SubtractsAnItem(nn.Module):
    def forward(self, x, sizes: List[int]):  # noqa: UP006
        width = x.shape[-1]
        item = sizes[0]
        found = width - [3][0], width - [4, 2][0], width - sizes[0], (width - item) / 2.0
        return found, float(width - sizes[1]), int(round((width - item) / 2.0))


@case(x(2, 3))
class DrawsForNothing(nn.Module):
    """What is drawn moves the generator on, whether it is used or not."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout()

    def forward(self, x):
        unused = torch.rand(2)
        torch.randperm(3)
        self.drop(x)
        x.sigmoid().bernoulli()
        F.dropout(x, 0.5)
        if self.training:
            unused = torch.randn_like(x)
        unused = x + torch.rand(2, 1)
        return unused, torch.normal(x, 1.0)


@case(x(2, 2))
class CastsNothing(nn.Module):
    def forward(self, x):
        with torch.autocast(device_type=x.device.type, dtype=x.dtype, enabled=False):
            y = x @ x
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=False):
            z = x @ x
        return y, z


@case(x(3, 2))
class CountsWhatItGoesThrough(nn.Module):
    """The inner loop begins with another number than that of its rounds."""

    def forward(self, x):
        text, numbers, wide = "x", [1, 2], False
        n = x.size(1)
        before = n
        n = n if wide else len(numbers)
        for i in numbers[:3]:
            n = n + i
            text = str(n)
            for k in numbers[:2]:
                n = (n + k) % 9
        return x, n, text, before
