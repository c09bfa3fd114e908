"""Where in memory the elements of tensors are, and which tensors have some in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Elements", "Memory"]

View = tuple[tuple[int, ...], tuple[int, ...], int]


class Elements:
    """The places of the elements of a tensor.

    >>> table = torch.zeros(4, 2)
    >>> even, odd, rows = Elements(table[:, 0]), Elements(table[:, 1]), Elements(table[:2])
    >>> even.meet(odd), even.meet(rows), even.within(Elements(table))
    (False, True, True)
    >>> odd.seen_from(table.data_ptr())
    ((4,), (2,), 1)
    """

    def __init__(self, tensor: Tensor) -> None:
        self.shape, self.strides = tuple(tensor.shape), tensor.stride()
        self.dtype, self.size = tensor.dtype, tensor.element_size()
        steps = zip(self.shape, self.strides, strict=True)
        self.turned = tensor.is_conj(), tensor.is_neg()  # Bits of views that strides can't say.
        self.start = tensor.data_ptr()
        self.end = self.start + (1 + sum((n - 1) * step for n, step in steps)) * self.size

    def meet(self, other: Elements) -> bool:
        """Whether they have elements in common, as far as that can be told."""
        apart = self.end <= other.start or other.end <= self.start
        return not apart and bool(self._in(other).any())

    def within(self, other: Elements) -> bool:
        """Whether all elements are also of the other tensor, or in those of it."""
        inside = other.start <= self.start and self.end <= other.end
        alike = self.turned == other.turned and (self.start - other.start) % self.size == 0
        return inside and alike and bool(self._in(other).all())

    def around(self, other: Elements, start: int) -> tuple[int, int]:
        """The first of the elements that have those of the other tensor, and how many there are.

        Args:
            other: a tensor of which the elements are within those of this one.
            start: where in memory the elements are counted from.
        """
        first = (other.start - start) // self.size
        return first, -((start - other.end) // self.size) - first

    def seen_from(self, start: int) -> View:
        """The shape, the strides, and how far they begin behind a place in memory."""
        return self.shape, self.strides, (self.start - start) // self.size

    def is_like(self, other: Elements) -> bool:
        """Whether elements of both can be items of one tensor."""
        same = (self.dtype, self.turned) == (other.dtype, other.turned)
        return same and (self.start - other.start) % self.size == 0

    def _in(self, other: Elements) -> Tensor:
        """For each part of an element whether it is also one of the other tensor."""
        start, end = min(self.start, other.start), max(self.end, other.end)
        unit = math.gcd(self.size, other.size, self.start - other.start)
        marks = torch.zeros((end - start) // unit, dtype=torch.bool)
        marks[other._places(start, unit)] = True
        return marks[self._places(start, unit)]

    def _places(self, start: int, unit: int) -> Tensor:
        """Where in units of memory the elements are, or their parts."""
        many = self.size // unit
        places = torch.arange((self.end - start) // unit)
        shape, strides = (*self.shape, many), (*(step * many for step in self.strides), 1)
        return places.as_strided(shape, strides, (self.start - start) // unit).reshape(-1)


@dataclass(frozen=True)
class Memory:
    """A memory in which tensors have their elements, and how many there are."""

    start: int
    length: int

    @classmethod
    def around(cls, elements: Sequence[Elements]) -> Memory:
        """The smallest one that has all these elements."""
        start = min(e.start for e in elements)
        return cls(start, (max(e.end for e in elements) - start) // elements[0].size)

    def offset(self, tensor: Tensor) -> int:
        """Where the elements of a tensor begin in it."""
        return (tensor.data_ptr() - self.start) // tensor.element_size()

    def of(self, tensor: Tensor) -> Tensor:
        """All that is in it, by way of a tensor in it."""
        first = tensor.storage_offset() - self.offset(tensor)
        return tensor.detach().as_strided((self.length,), (1,), first)
