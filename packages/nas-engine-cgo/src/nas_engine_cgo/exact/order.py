"""Values and gradients in the order in memory that kernels see when a member runs alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["applied", "as_alone", "cat_in_order", "in_order"]

_ALIGNED = 64
"""Bytes to a multiple of which torch allocates, and by which kernels choose how they begin."""


_Sizes: TypeAlias = tuple[int, ...]


def in_order(x: Tensor, stride: _Sizes | None = None) -> Tensor:
    """The tensor with this stride, or contiguous, as in the backward pass its gradient is.

    >>> x = torch.arange(6.0).view(2, 3)
    >>> in_order(x, (1, 2)).stride(), torch.equal(in_order(x, (1, 2)), x)
    ((1, 2), True)
    """
    made: Tensor = _InOrder.apply(x, stride)  # type: ignore[no-untyped-call]
    return made


def cat_in_order(parts: Sequence[Tensor], dimension: int, order: _Sizes | None = None) -> Tensor:
    """The parts as one tensor; their gradients are contiguous.

    Args:
        parts: what is joined.
        dimension: along which.
        order: the dimensions from the outermost in memory to the innermost.

    >>> cat_in_order([torch.zeros(1, 2, 3), torch.ones(1, 2, 3)], 0, (0, 2, 1)).stride()
    (6, 1, 2)
    """
    made: Tensor = _Cat.apply(dimension, order, *parts)  # type: ignore[no-untyped-call]
    return made


def as_alone(part: Tensor) -> Tensor:
    """A part of a tensor as it lies in memory by itself: contiguous, and where storage begins."""
    if part.is_contiguous() and part.data_ptr() % _ALIGNED == 0:
        return part
    return part.clone(memory_format=torch.contiguous_format)


def applied(function: type[Function], operands: Sequence[Tensor | None], *others: Any) -> Tensor:
    """A function of own gradients of these operands, in the type that autocast has for products."""
    device = next(x.device.type for x in operands if x is not None)
    if not torch.is_autocast_enabled(device):
        made: Tensor = function.apply(*operands, *others)  # type: ignore[no-untyped-call]
        return made
    dtype = torch.get_autocast_dtype(device)
    lowered = [x if x is None or x.dtype == torch.float64 else x.to(dtype) for x in operands]
    with torch.autocast(device, enabled=False):
        return applied(function, lowered, *others)


class _InOrder(Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor, stride: _Sizes | None) -> Tensor:
        if stride is None:
            return x.contiguous() if not x.is_contiguous() else x.view_as(x)
        if x.stride() == stride:
            return x.view_as(x)
        return torch.empty_strided(x.shape, stride, dtype=x.dtype).copy_(x)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].contiguous(), None


class _Cat(Function):
    @staticmethod
    def forward(ctx: Any, dimension: int, order: _Sizes | None, *parts: Tensor) -> Tensor:
        ctx.dimension, ctx.sizes = dimension, [part.shape[dimension] for part in parts]
        if order is None:
            return torch.cat(parts, dimension)
        made = torch.cat([part.permute(order) for part in parts], order.index(dimension))
        return made.permute([order.index(d) for d in range(len(order))])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        pieces = torch.split(grads[0], ctx.sizes, ctx.dimension)
        return None, None, *(piece.contiguous() for piece in pieces)
