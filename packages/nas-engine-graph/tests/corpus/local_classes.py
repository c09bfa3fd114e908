"""Classes that functions define, as tests and notebooks do."""

import enum
import math
from dataclasses import dataclass
from typing import List, NamedTuple

import nas_core as nas
import torch
from torch import Tensor, nn

from corpus.case import case, case_with_dataclass, x

FACTOR = 3.0


def grown(x: Tensor) -> Tensor:
    return x * FACTOR


@case(x(2, 3))
def of_all_kinds() -> nn.Module:
    by = 2.5

    class Inner:
        def __init__(self, factor: float) -> None:
            self.factor = factor * by

        def applied(self, x: Tensor) -> Tensor:
            return grown(x) * self.factor + math.sqrt(4.0)

    class Outer:
        def __init__(self, inners: List[Inner], count: int = 2) -> None:
            self.inners = inners
            self.count = count

    class Kind(enum.Enum):
        PLAIN = "plain"
        GROWN = "grown"

    class Found(NamedTuple):
        y: Tensor
        count: int

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.kind = Inner(1.0), Kind.GROWN
            self.linear = nn.Linear(3, 3)

        def chosen(self, x: Tensor, kind: Kind) -> Found:
            if kind == Kind.PLAIN:
                return Found(x, 1)
            return Found(self.inner.applied(x), 2)

        def forward(self, x: Tensor):
            outer = Outer([Inner(2.0)])
            found = self.chosen(outer.inners[0].applied(self.linear(x)), self.kind)
            return found, outer.count, self.chosen(x, Kind.PLAIN).y, self.kind

    return Net()


@case_with_dataclass(x(2, 3))
def of_dataclasses() -> nn.Module:
    @dataclass
    class Record:
        x: Tensor
        count: int = 2

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            record = Record(x)
            return record.x * record.count

    return Net()


@case(x(2, 3))
def of_gradients_and_units() -> nn.Module:
    class Doubles(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

    doubled = Doubles.apply

    @nas.basic_unit
    class Unit(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: Tensor) -> Tensor:
            return x * next(iter([self.factor]))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unit = Unit(2.0)

        def forward(self, x: Tensor) -> Tensor:
            return doubled(self.unit(x))

    return Net()
