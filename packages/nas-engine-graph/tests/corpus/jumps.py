"""Loops over modules that end early, as feature extractors write them."""

import torch
from torch import nn

from corpus.case import case, x


@case(x(2, 3))
@case(torch.ones(2, 3) * 5)
class BreaksAndContinues(nn.Module):
    def __init__(self, depth=1):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
        self.depth = depth

    def forward(self, x):
        features = []
        found = 0
        for i, layer in enumerate(self.layers):
            y = layer(x)
            if i == 1:
                continue
            if y.sum() > 2.5:
                features.append(y)
                break
            else:
                z = y * 2
                features.append(z)
            found += 1
            x = x + z
            if found > self.depth:
                break
            x = x * 1.5
        return x, features, found


@case(x(2, 3), 0)
@case(x(2, 3), 2)
@case(x(2, 3), 7)
class StopsWhereAsked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)])

    def forward(self, x, count: int):
        for i, layer in enumerate(self.layers):
            if i == count:
                break
            x = layer(x)
        for layer in self.layers[1:]:
            if x.sum() > 0:
                continue
            x = layer(x).relu()
        return x


@case(x(2, 3))
class OnlyForTorchScript(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])
        self.indexes = [0, 2]

    def forward(self, x):
        found = [x]
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.indexes:
                found.append(x)
            if not torch.jit.is_scripting() and len(found) > 1:
                break
        return found
