"""Sizes that modules keep as attributes: TorchScript takes them for tuples."""

from typing import Tuple  # noqa: UP035 - What TorchScript reads.

import torch
from torch import nn

from corpus.case import case, x


class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        self.size = torch.empty(2, 3, 4).shape


@case(x(2, 3))
class ReturnsAPart(Sized):
    def inner(self):
        return self.size[1:]

    def forward(self, x):
        return x.new_zeros((2,) + self.inner()), self.inner()


@case(x(2, 3))
class CutsWhatAMethodReturns(Sized):
    def whole(self):
        return self.size

    @property
    def outer(self):
        size = self.size[:1]
        return size + (5,)

    def forward(self, x):
        a, b, c = self.whole()
        return x * a + b * c, self.whole(), self.whole()[1:], self.outer + (1,)


@case(x(2, 3))
class Computes(Sized):
    def forward(self, x):
        size = self.size
        longer = size + (1,)
        return (
            longer,
            size[1:],
            size + size,
            (size[0], size[1]),
            size * 2,
            (longer * 2)[:-1],
            (0,) + size,
        )


class TakesATuple(Sized):
    def forward(self, x, size: Tuple[int, int, int]):  # noqa: UP006
        return x * size[0]


def product(size: Tuple[int, int, int]) -> int:  # noqa: UP006
    return size[0] * size[1] * size[2]


@case(x(2, 3))
class GivesATuple(Sized):
    def __init__(self):
        super().__init__()
        self.inner = TakesATuple()

    def last(self, size: Tuple[int, int, int]) -> int:  # noqa: UP006
        return size[2]

    def forward(self, x):
        y = self.inner(x, self.size) * product(self.size) + self.last(self.size)
        return y, self.inner.size[1:]


@case(x(2, 3))
class WritesOutArguments(Sized):
    def part(self):
        return self.size[1:]

    def forward(self, x):
        return x.new_zeros(*self.part()), x.new_ones(2, *self.size[:1]), self.part()


@case(x(2, 3))
class DeclaresATuple(Sized):
    def part(self) -> Tuple[int, int]:  # noqa: UP006
        return self.size[1:]

    def forward(self, x):
        a, b = self.part()
        return x.new_zeros([a, b]), self.part()


@case(x(2, 3))
class SizeOrTuple(Sized):
    """Which of the two it is depends on the way through the method."""

    def __init__(self):
        super().__init__()
        self.pair = (2, 3, 4)

    def chosen(self, x):
        if x.sum() > 0:
            return self.size
        return self.pair

    def early(self, x):
        for i in range(3):
            if x.sum() > i:
                return self.size
            elif i == 2:
                return (i, x.size(0), 3)
        return self.pair

    def forward(self, x):
        last = self.size[1:] if x.sum() > 0 else (3, x.size(0))
        return self.chosen(x), self.chosen(-x), self.early(x), self.early(-x), last


@case(x(2, 3))
class ComparedWithVariables(nn.Module):
    def forward(self, x):
        rows, columns = x.shape
        shape = (rows, columns)
        items = [rows, columns]
        expected: Tuple[int, int] = (rows, 4)
        if x.size() != shape:
            raise ValueError(f"{shape}, not {x.size()}")
        return x.size() == shape, x.shape == items, items == list(shape), x.size() == expected


@case(x(2, 3, 4))
class SpreadSums(nn.Module):
    def forward(self, x):
        shape = x.size()[:-1] + (2, 2)
        y = x.view(*shape).permute(0, 2, 1, 3)
        return y, y.reshape(*y.shape[:1] + (-1,))
