"""Modules of a list, chosen in the run: TorchScript asks for an interface."""

import warnings

import torch
from torch import Tensor, nn

from corpus.case import case, x

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)

    @torch.jit.interface
    class Head(nn.Module):
        def forward(self, x: Tensor, scale: float) -> Tensor:
            pass


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor, scale: float) -> Tensor:
        return self.linear(x) * scale


class Scaled(nn.Module):
    def __init__(self, by: float):
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), by))

    def forward(self, x: Tensor, scale: float) -> Tensor:
        return x * self.weight + scale


class Chooses(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList([Linear(), Scaled(0.5), Scaled(2.0)])

    def forward(self, x, index: int):
        for i in range(2):
            head: Head = self.heads[(index + i) % 3]
            x = head.forward(x, 2.0) + i
        head: Head = self.heads[index]
        return head.forward(x, scale=0.5)


for index in (0, 1, 2, -1, -3, 3):
    case(x(2, 3), index)(Chooses)


class ChoosesByName(nn.Module):
    """As the cells of a searched network, by their places."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict(
            {"(0, 0)": Linear(), "(0, 1)": Scaled(0.5), "last": Scaled(2.0), "it's": Linear()}
        )

    def forward(self, x, name: str, count: int):
        for i in range(count):
            head: Head = self.heads[str((0, i))]
            x = head.forward(x, 2.0) + i
        head: Head = self.heads[name]
        return head.forward(x, scale=0.5)


for name, count in (("last", 0), ("it's", 2), ("last", 3), ("none", 1)):
    case(x(2, 3), name, count)(ChoosesByName)
