"""What a tape consists of: values, and the calls that make them of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

__all__ = ["Argument", "Call", "Tape", "Value"]


@dataclass(eq=False, slots=True)
class Value:
    """A tensor that is another one each time.

    Attributes:
        shape, strides, dtype: in which it was recorded.
        storage: the number of its memory, which it shares with its views.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    storage: int

    @property
    def order(self) -> list[int]:
        """How the dimensions lie in memory."""
        strides = sorted(set(self.strides))
        return [strides.index(stride) for stride in self.strides]


Argument: TypeAlias = Any
"""A value, a tensor that stays the same, what Python knows by itself, or a list of arguments."""


@dataclass(eq=False, slots=True)
class Call:
    """A call of one of torch's operators.

    Attributes:
        function: the operator, or what calls it.
        name: the operator with its overload, such as ``"add.Tensor"``.
        outputs: what it gives; None for what needs no name: undefined tensors, and those that were
            given to it.
        several: whether it gives a sequence.
        reads: the values among its arguments.
        grad: whether gradients were enabled, which some kernels ask: those of recurrent layers.
    """

    function: Callable[..., Any]
    name: str
    args: list[Argument]
    kwargs: Mapping[str, Argument]
    outputs: list[Value | None]
    several: bool
    reads: Sequence[Value]
    grad: bool = False


@dataclass
class Tape:
    """The calls of some code in their order.

    Attributes:
        inputs: what it was called with.
        calls: what it did.
        results: what is wanted of it.
        written: the numbers of memory that is changed after it was made.
        known: values that have the same numbers each time, as they were made.
    """

    inputs: list[Value]
    calls: list[Call] = field(default_factory=list)
    results: list[Value | Tensor] = field(default_factory=list)
    written: set[int] = field(default_factory=set)
    known: dict[Value, Tensor] = field(default_factory=dict)
