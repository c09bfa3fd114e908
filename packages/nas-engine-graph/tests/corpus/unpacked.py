"""What is unpacked among other values, ``map``, and functions and methods of any number of arguments."""

from typing import Any, Dict, List, Tuple, TypeVar

import torch
from torch import Tensor, nn

from corpus.case import case, x

AnyTensor = TypeVar("Tensor")


def arranged(tensor: AnyTensor, pattern: str, **sizes: int) -> AnyTensor:
    """What einops does, with its declarations."""
    b, n, _ = tensor.shape
    if pattern == "b n (h d) -> b h n d":
        return tensor.reshape(b, n, sizes["h"], -1).transpose(1, 2)
    return tensor.transpose(1, 2).reshape(b, sizes["d"], -1)


def summed(*tensors: Tensor, weights: Tuple[float, ...] = (), **more: Any) -> Tensor:
    weights = weights or (1.0,) * len(tensors)
    return sum(w * t for w, t in zip(weights, tensors)).to(more.get("dtype", torch.float32))


def added(tensor: Tensor, *others: Tensor) -> Tensor:
    for other in others:
        tensor += other
    return tensor


def counted(*tensors: Tensor) -> int:
    return sum(t.numel() for t in tensors)


def halves(tensor: Tensor, **where: int) -> Tuple[Tensor, Tensor]:
    return tensor.tensor_split(2, **where)


def noisy(tensor: Tensor, **scale: float) -> Tensor:
    return tensor + torch.rand_like(tensor) * scale["by"]


def labelled(*names: str, **parts: Tensor) -> Dict[str, Tensor]:
    return dict(zip(names, parts.values()))


@case(x(2, 5, 8))
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q, self.to_kv = nn.Linear(8, 8), nn.Linear(8, 16)
        self.heads = 2

    def forward(self, x):
        b, n, _, h = *x.shape, self.heads
        qkv = (self.to_q(x), *self.to_kv(x).chunk(2, dim=-1))
        q, k, v = map(lambda t: arranged(t, "b n (h d) -> b h n d", h=h), qkv)
        weights = (q @ k.transpose(-1, -2)).softmax(-1)
        return (weights @ v).transpose(1, 2).reshape(b, n, -1)


@case(x(2, 3, 4), x(2, 3, 4))
class Varied(nn.Module):
    def forward(self, x, y):
        total = summed(x, y, weights=(2.0, 0.5), dtype=torch.float64)
        first, second = halves(total, dim=1)
        named = labelled("a", "b", left=first, right=second)
        return total * counted(x, y), named["b"], summed(x, dtype=x.dtype)


@case(x(2, 3, 4), x(2, 3, 4))
class WritesInto(nn.Module):
    def forward(self, x, y):
        z = x * 2
        row = z[0]
        added(row, y[0], y[1])
        return z, noisy(z, by=0.5)


@case(x(2, 3, 4, 5))
class BothEnds(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = 3

    def forward(self, x):
        *_, h, w = x.shape
        b, *_, d = x.shape
        c, m, *_, s = *x.shape, self.scale
        *_, last = x
        return x * (h + w * 10) + b * d, last * (c + m * 10 + s * 100)


@case(x(4, 6))
class InOrder(nn.Module):
    """What is drawn is drawn in the order of the values."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        parts = (torch.rand_like(x)[:, :3], *self.drop(x).chunk(2, dim=1))
        a, b, c = map(self.drop, parts)
        b, a = map(lambda t: t * 2 + a.mean(), (a, b))
        return a, b, c


@case(x(2, 3))
class Joined(nn.Module):
    def forward(self, x):
        features: List[Tensor] = []
        for i in range(3):
            features.append(torch.cat((x, *features), dim=1) * i)
        squares = list(map(lambda t: t.square().sum(), features))
        (only,) = map(torch.relu, (x,))
        return torch.stack([*squares, only.sum()]), torch.cat([*features, x], 1)


def undeclared(function, *args, **kwargs):
    return function(*args, **kwargs)


@case(x(2, 4))
class NeverComesThere(nn.Module):
    """What checkpoints activations in training, if one asks for it."""

    def __init__(self):
        super().__init__()
        self.inner, self.saves_memory = nn.Linear(4, 4), False

    def forward(self, x):
        if self.saves_memory and not torch.jit.is_scripting():
            return undeclared(self.inner, x, use_reentrant=False)
        return self.inner(x)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x, factor: float = 2.0):
        return self.inner(x) * factor


class Before(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(4), inner

    def forward(self, x, *args, **kwargs):
        return self.inner(self.norm(x), *args, **kwargs)


@case(x(2, 4))
class HandedOn(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Before(nn.Linear(4, 4)), Before(Scaled()))

    def forward(self, x, **kwargs):
        return summed(self.blocks(x, **kwargs), x)
