"""Attributes that may be modules, and weights that nobody has set, as libraries have them."""

import torch
from torch import nn

from corpus.case import case, x


class Projects(nn.Module):
    def __init__(self, projection):
        super().__init__()
        self.projection, self.scale = projection, 2.0
        self.register_buffer("mean", torch.ones(2))

    def forward(self, x):
        if self.projection is not None:
            if isinstance(self.projection, nn.Linear):
                x = self.projection(x)
            else:
                x = x @ self.projection
        if isinstance(self.scale, nn.Module) or isinstance(self.mean, (nn.Linear, nn.Identity)):
            x = x * 3
        return x


@case(x(4, 3))
class AsksTensorsForModules(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Projects(nn.Parameter(torch.randn(3, 3)))
        self.second, self.third = Projects(nn.Linear(3, 3)), Projects(None)

    def forward(self, x):
        if isinstance(self.first.projection, nn.Linear):
            x = x + self.first.projection.bias
        return self.third(self.second(self.first(x)))


@case(x(2, 10))
class WeightsThatNobodyHasSet(nn.Module):
    """They may be anything."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((10, 10), float("nan")))
        self.other = nn.Parameter(torch.full((10, 10), float("inf")))
        self.some = nn.Parameter(torch.randn(10, 10))
        with torch.no_grad():
            self.weight[0], self.other[0, 0], self.some[0, 0] = 1, 1, float("nan")

    def forward(self, x):
        return x @ self.weight + x @ self.other + x @ self.some
