"""Modules that torch has compiled or traced before, inside of others."""

import warnings
from typing import Optional, Tuple

import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace

from corpus.case import case, x


class Inner(nn.Module):
    def __init__(self, width: int = 3):
        super().__init__()
        self.linear, self.drop = nn.Linear(3, width), nn.Dropout()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x, scale: float = 2.0, more: Optional[Tensor] = None) -> Tuple[Tensor, float]:
        self.seen += 1
        if torch.jit.is_scripting():
            x = x * 3
        if more is not None:
            x = x + more
        return self.drop(self.linear(x)) * scale, 2.0**3


@case(x(2, 3))
class HoldsScripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.last = torch.jit.script(Inner()), nn.Linear(3, 2)
        self.others = nn.ModuleList([torch.jit.script(Inner()), Inner()])

    def forward(self, x):
        y, n = self.inner(x, more=x)
        for other in self.others:
            z, m = other(y)
            y = y + z * m
        return self.last(y) * n, self.inner(x, 0.5)[0]


@case(x(2, 3))
class HoldsTraced(nn.Module):
    def __init__(self):
        super().__init__()
        net = nn.Sequential(nn.Linear(3, 30), nn.ReLU(), nn.Linear(30, 3))
        self.inner = torch.jit.trace(net, torch.randn(2, 3))
        self.inner.requires_grad_(False)

    def forward(self, x):
        return self.inner(x) + x


@case(x(2, 3))
class ReachesInto(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.jit.script(Inner())

    def forward(self, x):
        y, _ = self.inner.forward(x)
        return self.inner.linear(y) + self.inner.linear.weight.sum() + self.inner.seen


def plainly_scaled(x, by: int = 2):
    return x * by


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    scaled = torch.jit.script(plainly_scaled)


@case(x(2, 3))
class CallsCompiledFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.scaled = scaled

    def forward(self, x):
        return scaled(x) + self.scaled(x, 3)


class Branched(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.rest = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x, times: int = 2):
        return self.rest(self.first(x).relu() * times + self.scale), nn.functional.gelu(x)


@case(x(4, 3))
def traced_symbolically():
    return symbolic_trace(Branched())


@case(x(4, 3))
class HoldsWhatIsTraced(nn.Module):
    def __init__(self):
        super().__init__()
        self.traced = symbolic_trace(Branched())

    def forward(self, x):
        y, z = self.traced(x, 3)
        return y + z
