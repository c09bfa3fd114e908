"""Values and gradients in the order in memory that kernels see when a member runs alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["applied", "as_alone", "cat_in_order", "in_order"]

_ALIGNED = 64
"""Bytes to a multiple of which torch allocates, and by which kernels choose how they begin."""


def in_order(x: Tensor) -> Tensor:
    """The tensor, and in the backward pass its gradient, contiguous."""
    made: Tensor = _InOrder.apply(x)  # type: ignore[no-untyped-call]
    return made


def cat_in_order(parts: Sequence[Tensor], dimension: int) -> Tensor:
    """The parts as one tensor; their gradients are contiguous."""
    made: Tensor = _Cat.apply(dimension, *parts)  # type: ignore[no-untyped-call]
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
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.contiguous() if not x.is_contiguous() else x.view_as(x)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].contiguous()


class _Cat(Function):
    @staticmethod
    def forward(ctx: Any, dimension: int, *parts: Tensor) -> Tensor:
        ctx.dimension, ctx.sizes = dimension, [part.shape[dimension] for part in parts]
        return torch.cat(parts, dimension)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        pieces = torch.split(grads[0], ctx.sizes, ctx.dimension)
        return None, *(piece.contiguous() for piece in pieces)
