"""Ordinary Python that TorchScript itself does not read, or reads only with annotations."""

from typing import Dict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 3, 4))
class RateOrZero(nn.Module):
    """As GPT calls attention: a float in training mode, else an integer."""

    def __init__(self):
        super().__init__()
        self.rate = 0.5

    def forward(self, x):
        y = F.scaled_dot_product_attention(x, x, x, dropout_p=self.rate if self.training else 0)
        scale = 1 if self.training else 0.5
        return F.dropout(y, self.rate if self.training else 0), scale


@case(x(2, 4))
class OfItsClass(nn.Module):
    """Constants of the class, private names, and texts that choose the branch."""

    scale = 2
    modes = ("mean", "sum")
    exact = False

    def __init__(self, mode="sum"):
        super().__init__()
        self.__weight = nn.Parameter(torch.ones(4))
        self.mode = mode

    def __scaled(self, x):
        return x * self.__weight * self.scale

    def forward(self, x):
        if self.mode not in self.modes or self.exact:
            raise ValueError(self.mode)
        x = self.__scaled(x)
        if self.mode == "mean":
            return x.mean(), x
        elif self.mode == "sum":
            return (x > 0).bool()


@case(x(2, 4))
class BothModes(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = OfItsClass("mean"), OfItsClass()

    def forward(self, x):
        return self.first(x), self.second(x)


@case(x(2, 4, 4), x(4, 4))
class Limits(nn.Module):
    def forward(self, x, mask):
        low = -torch.finfo(x.dtype).max
        counts = mask.long()
        masked = x.masked_fill(mask > 0, torch.finfo(x.dtype).min / 2)
        return masked, low, torch.iinfo(counts.dtype).max - 1, x + torch.finfo(torch.float32).eps


@case(x(2, 3, 4), x(3, 4))
class SpreadSizes(nn.Module):
    def forward(self, x, mask):
        shape = x.shape
        heads = x.reshape(*shape[:-1], 2, -1).transpose(1, 2)
        grown = mask.expand(*x.size()) * torch.ones(2, *shape[1:], 1).squeeze(-1)
        return heads, grown, x.new_zeros(*shape)


@case(x(2, 4))
class DeclaresNothing(nn.Module):
    """Variables that are None at first, and lists of numbers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x):
        mask = None
        sizes = []
        if x.shape[0] > 1:
            mask = torch.ones(4).triu()
            for i in range(3):
                sizes.append(i)
        previous = None
        for layer in self.layers:
            y = layer(x)
            if previous is not None:
                y = y + previous
            previous = y
        total = previous
        if x.sum() > 100:
            total = None
        return (x if mask is None else x * mask), total, sizes


class Rows(nn.Module):
    """Modules in lists of lists, by their numbers, and by names that are made."""

    def __init__(self, rows):
        super().__init__()
        self.count = rows
        self.rows = nn.ModuleList(
            [nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Tanh())]) for _ in range(rows)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(4) for _ in range(rows)])
        for i in range(rows):
            self.add_module(f"gate{i}", nn.Linear(4, 4))
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 1), "b": nn.Linear(4, 2)})

    def forward(self, x) -> Dict[str, Tensor]:
        for linear, act in self.rows:
            x = act(linear(x))
        for i, (linear, _) in enumerate(self.rows):
            x = self.norms[i](linear(x)) * i
        for i in range(self.count - 1, 0, -1):
            x = x + self.norms[i](x) + self.rows[i - 1][0](x)
        gates = [getattr(self, f"gate{i}")(x) for i in range(self.count)]
        for i in range(self.count):
            x = x + gates[i]
        found = {}
        for key in ("a", "b"):
            found[key] = self.heads[key](x) + self.norms[len(self.norms) - 1](x).sum()
        return found


@case(x(2, 4))
class RowsOfBoth(nn.Module):
    def __init__(self):
        super().__init__()
        self.two, self.three = Rows(2), Rows(3)

    def forward(self, x):
        return self.two(x), self.three(x)


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("noise", torch.zeros(4))

    def draw(self):
        self.noise.copy_(torch.randn(4))

    def forward(self, x):
        return x + self.noise


class VeryNoisy(Noisy):
    pass


class AsksForClasses(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.layers = nn.Sequential(Noisy(), nn.ReLU(), VeryNoisy(), act)
        self.act = act

    def forward(self, x):
        x = self.layers(x)
        for layer in self.layers:
            if isinstance(layer, Noisy):
                layer.draw()
            elif isinstance(layer, (nn.ReLU, nn.GELU)):
                x = x * 2
        if isinstance(self.act, nn.GELU):
            x = x + 1
        return x.norm(dim=-1, keepdim=True)


@case(x(2, 4))
class AsksBoth(nn.Module):
    def __init__(self):
        super().__init__()
        self.gelu, self.tanh = AsksForClasses(nn.GELU()), AsksForClasses(nn.Tanh())

    def forward(self, x):
        return self.gelu(x), self.tanh(x)


SIZES = (2, 3)


@case(x(4, 3))
class ReturnsOfSteps(nn.Module):
    """From the last step to the first, as advantages are computed."""

    def forward(self, x):
        found = torch.zeros_like(x)
        total = torch.zeros(x.size(1))
        for i in reversed(range(x.size(0))):
            total = x[i] + 0.9 * total
            found[i] = total
        for i in reversed(range(1, 3)):
            found[i] -= i
        return found, x.shape[-1] == SIZES[1], [x * size for size in SIZES]


class Named(nn.Module):
    """Says of which class it is, as messages do."""

    def forward(self, x, scale: float):
        if isinstance(x, (tuple, list)):
            raise ValueError(f"'{self.__class__.__name__}' takes no tuple")
        if scale < 0:
            raise ValueError(f"{type(self).__name__} needs a scale of 0 or more")
        return x * scale, self.__class__.__name__, type(self).__qualname__


class Renamed(Named):
    """Another class with the same method."""


for scale in (0.5, -1.0):
    case(x(2, 3), scale)(Named)
    case(x(2, 3), scale)(Renamed)
