"""What is known of a value where it can't be known which way the computation went."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from nas_engine_graph.ir import TensorType

__all__ = ["UNKNOWN", "join", "join_types", "type_of"]


class _Unknown:
    """The value that may be anything."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


def type_of(value: Any) -> TensorType | None:
    """Dtype and shape of a tensor; None for what is no tensor, or unknown."""
    if not isinstance(value, Tensor):
        return None
    return TensorType(str(value.dtype).removeprefix("torch."), tuple(value.shape))


def join_types(a: TensorType | None, b: TensorType | None) -> TensorType | None:
    """What is true of both.

    >>> join_types(TensorType("int64", (2, 3)), TensorType("int64", (4, 3)))
    TensorType(dtype='int64', shape=(None, 3))
    """
    if a is None or b is None or a.dtype != b.dtype or len(a.shape) != len(b.shape):
        return None
    shape = tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True))
    return TensorType(a.dtype, shape)


def join(a: Any, b: Any) -> Any:
    """A value that stands for both; ``UNKNOWN`` if they differ in more than the elements."""
    if a is b:
        return a
    if type(a) is not type(b):
        return UNKNOWN
    match a:
        case Tensor():
            same = type_of(a) == type_of(b) and a.stride() == b.stride()
            return a if same else UNKNOWN
        case tuple() if len(a) == len(b) and type(a) in (tuple, torch.Size):
            joined = tuple(map(join, a, b))
            return a if all(x is y for x, y in zip(a, joined, strict=True)) else joined
        case bool() | int() | float() | complex() | str():
            return a if a == b else UNKNOWN
        case _:
            return UNKNOWN
