"""One list, dict or tensor as an attribute of several modules, or under several names."""

from typing import Dict, List  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus.case import case, x


class Appends(nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x):
        self.seen.append(x.shape[0])
        return x + 1


class Counts(nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x):
        return x * len(self.seen)


@case(x(2, 3))
class SharedList(nn.Module):
    """The parent reads what one of its children appends to, and another one reads."""

    def __init__(self):
        super().__init__()
        self.seen = [1]
        self.appends = nn.Sequential(Appends(self.seen), Appends([2]))
        self.counts = Counts(self.seen)

    def forward(self, x):
        x = self.counts(self.appends(x)) * len(self.seen)
        return x, self.counts.seen is self.seen, self.appends[1].seen is self.seen


class Remembers(nn.Module):
    cache: Dict[str, Tensor]  # noqa: UP006

    def __init__(self, cache):
        super().__init__()
        self.cache = cache

    def forward(self, x):
        if "last" in self.cache:
            x = x + self.cache["last"]
        self.cache["last"] = x.detach()
        return x


@case(x(2, 3))
class SharedDict(nn.Module):
    def __init__(self):
        super().__init__()
        cache = {}
        self.layers = nn.ModuleList([Remembers(cache), Remembers(cache), Remembers({})])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class AddsInPlace(nn.Module):
    def __init__(self, total):
        super().__init__()
        self.total = total

    def forward(self, x):
        self.total += x.detach().sum(0)
        return x * self.total


@case(x(2, 3))
class SharedTensor(nn.Module):
    """Without being registered: a buffer of one is an attribute of another, too."""

    def __init__(self):
        super().__init__()
        total = torch.ones(3)
        self.first = self.again = total
        self.adds = nn.ModuleList([AddsInPlace(total), AddsInPlace(total)])
        self.register_buffer("mean", torch.zeros(3))
        self.reads_mean = AddsInPlace(self.mean)
        self.norm = nn.BatchNorm1d(3)
        self.statistics = self.norm.running_mean

    def forward(self, x):
        for layer in self.adds:
            x = layer(x)
        self.mean.add_(1)
        x = self.norm(self.reads_mean(x))
        return x + self.mean, self.again, self.again is self.first, x + self.statistics


@case(x(2, 3))
class PartsOfOneTensor(nn.Module):
    """Which lie in one piece of memory, and do not overlap."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.arange(6.0).reshape(2, 3).unbind()

    def forward(self, x):
        self.first.add_(1)
        return x * self.first + self.second


@case(x(2, 3))
class TwoNames(nn.Module):
    ours: List[int]  # noqa: UP006
    theirs: List[int]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.ours = self.theirs = [1]

    def forward(self, x):
        self.ours.append(2)
        x = x * len(self.theirs)
        self.ours = [5]
        self.theirs.append(7)
        return x * len(self.ours), self.theirs


@case(x(2, 3))
class OnePairThrice(nn.Module):
    """What nobody changes may be held twice inside of a container."""

    def __init__(self):
        super().__init__()
        self.pairs = [[1, 2]] * 3

    def forward(self, x):
        found = []
        for pair in self.pairs:
            found.append(x * pair[0] + pair[1])
        return found


@case(x(3, 3))
class UnusualStrides(nn.Module):
    def __init__(self):
        super().__init__()
        self.turned = torch.arange(6).reshape(2, 3).t()
        self.expanded = torch.arange(3.0).expand(2, 3)
        self.images = [torch.randn(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)]

    def forward(self, x):
        return x @ self.turned.float(), self.turned, self.expanded, self.images[0]


@case(x(4, 2))
class BuffersOfColumns(nn.Module):
    """Their elements lie between each other."""

    def __init__(self):
        super().__init__()
        angles = torch.stack([torch.arange(4.0).cos(), torch.arange(4.0).sin()], -1)
        cos, sin = angles.unbind(-1)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)
        self.parts = torch.polar(torch.ones(4), torch.arange(4.0))
        self.register_buffer("real", self.parts.real.clone(), persistent=False)

    def forward(self, x):
        self.cos.mul_(2)
        return x * self.cos[:, None] + self.sin[:, None] * self.real[:, None]


class _Last(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.register_buffer("last", last)

    def forward(self, x):
        return x + self.last.sum()


@case(x(4, 2))
class BuffersThatAreViews(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(3, 4))
        self.register_buffer("turned", self.table.t())
        self.register_buffer("row", self.table[1, 1:], persistent=False)
        self.same = self.row
        self.inner = _Last(self.turned[2:])

    def forward(self, x):
        self.row.add_(x.detach().mean())
        self.table[2].mul_(0.5)
        return self.inner(x) * self.turned[:, :2], self.inner.last, self.same


@case(x(2, 4))
class PartlyOverlaps(nn.Module):
    """Each has a part of the others' memory, and none has all."""

    def __init__(self):
        super().__init__()
        table = torch.arange(9.0)
        self.register_buffer("first", table[1:5])
        self.register_buffer("last", table[3:])
        self.register_buffer("rows", table[2:8].view(2, 3).t(), persistent=False)
        weights = torch.randn(6)
        self.weight = nn.Parameter(weights[:4])
        self.other = nn.Parameter(weights[2:], requires_grad=False)

    def forward(self, x):
        self.first.add_(1)
        self.last[0] = self.rows.sum() / 8
        return x * self.first * self.weight + self.last[:4] * self.other, self.rows * 1


@case(x(2, 3))
class OverlapsALayer(nn.Module):
    """Layers and their module have each a part of a memory."""

    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(3), nn.Linear(3, 3)
        means, weights = torch.arange(5.0), torch.randn(16)
        self.norm.running_mean = means[:3]
        self.register_buffer("means", means[1:])
        self.linear.weight = nn.Parameter(weights[:9].view(3, 3))
        self.weight = nn.Parameter(weights[7:])

    def forward(self, x):
        return self.linear(self.norm(x)) * self.means[:3] + self.weight[:3]


@case(x(2, 3))
class AttributesOverlap(nn.Module):
    def __init__(self):
        super().__init__()
        edges, table, rows = torch.arange(6.0), torch.arange(6.0), torch.arange(6.0)
        self.left, self.right = edges[:-1], edges[1:]
        self.both, self.pair = [table[:4], table[2:]], (rows[:4], rows[2:])
        self.windows = torch.arange(5.0).unfold(0, 2, 1)

    def forward(self, x):
        self.left.add_(1)
        self.both[0].mul_(2)
        self.pair[1].sub_(1)
        x = x * self.left[:3] + self.right[:3] + self.both[1][:3] + self.pair[0][1:]
        return x * self.windows.sum(0)[0], self.windows


@case(x(2, 2))
class OverlapsItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("windows", torch.arange(5.0).unfold(0, 2, 1), persistent=False)

    def forward(self, x):
        return x + self.windows[0] * self.windows.sum(0)


@case(x(4, 3))
class LayersWithinABuffer(nn.Module):
    """Only layers have each a part of the others' memory, and the module all of it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("means", torch.arange(5.0), persistent=False)
        self.first, self.last = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        self.first.running_mean, self.last.running_mean = self.means[:3], self.means[2:]

    def forward(self, x):
        return self.last(self.first(x)) + self.means.sum()


@case(x(4, 3))
class LayersOverlap(nn.Module):
    """Layers alone have each a part of the others' memory, and none has all."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        rows, means = torch.randn(5, 3), torch.arange(7.0)
        self.first.weight = nn.Parameter(rows[:3])
        self.first.weight.rate = 0.5
        self.second.weight = nn.Parameter(rows[2:], requires_grad=False)
        self.register_buffer("row", self.first.weight[1], persistent=False)
        self.norms = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.BatchNorm1d(3))
        for i, norm in enumerate(self.norms):
            norm.running_mean = means[2 * i : 2 * i + 3]

    def forward(self, x):
        return self.norms(self.second(self.first(x))) * self.row


@case(x(4, 16))
class LargeLayersOverlap(nn.Module):
    """Their weights are drawn anew, as one memory; some are inside of a layer."""

    def __init__(self):
        super().__init__()
        rows = torch.randn(24, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 16, dropout=0.0)
        self.linear = nn.Linear(16, 16)
        self.linear.weight = nn.Parameter(rows[8:])
        self.layer.linear1.weight = nn.Parameter(rows[:16], requires_grad=False)

    def forward(self, x):
        return self.linear(self.layer(x))


@case(x(2, 3))
class OfTwoTypes(nn.Module):
    """Tensors that take the elements of another one for others: its bits, its bytes, its parts."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))
        self.register_buffer("table", torch.randn(8))
        self.register_buffer("bits", self.weight.detach().view(torch.int32), persistent=False)
        self.register_buffer("wide", self.table[2:6].view(torch.int64))
        self.register_buffer("signal", torch.randn(3, dtype=torch.complex64))
        self.bytes, self.parts = self.table.view(torch.uint8)[3::2], torch.view_as_real(self.signal)
        self.column = self.parts[:, 1]

    def forward(self, x):
        self.table[2:4].add_(1)
        self.parts[0, 1] = 2.0
        found = self.wide % 5, self.bytes.sum(), self.signal * 1, self.column * 2
        return x * self.weight + self.bits % 3, found


@case(x(2, 3))
class OverlapsInColumns(nn.Module):
    """Layers whose weights lie in one table: as columns of it, or turned."""

    def __init__(self):
        super().__init__()
        table = torch.randn(3, 6)
        self.first, self.last, self.turned = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.first.weight = nn.Parameter(table[:, :4])
        self.last.weight = nn.Parameter(table[:, 2:5], requires_grad=False)
        self.turned.weight = nn.Parameter(torch.randn(3, 3).t())

    def forward(self, x):
        return self.first(torch.cat([x, x[:, :1]], 1)) + self.last(self.turned(x))


@case(x(2, 3))
class PartsWithAttributes(nn.Module):
    """Each has some of its own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 6))
        self.part = nn.Parameter(self.weight.detach()[:, :3])
        self.layer = nn.Linear(3, 2)
        self.layer.weight = nn.Parameter(self.weight.detach()[:2, 3:])
        self.register_buffer("row", self.weight[0])
        self.weight.rate, self.part.rate, self.layer.weight.rate = 0.5, 2, "slow"
        self.row.kind = ("row", 0)

    def forward(self, x):
        return x @ self.weight[:, 3:] + x @ self.part, self.layer(x), self.row * 1
