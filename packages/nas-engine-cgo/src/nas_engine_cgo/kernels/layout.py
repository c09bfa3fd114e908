"""Gradients in the order in memory that the values have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["in_layout"]

_LAST = torch.channels_last


def in_layout(x: Tensor) -> Tensor:
    """The tensor; the gradient that comes back to it is ``channels_last`` if it is.

    That of what looks at all pixels at once, such as their mean, is contiguous, and torch's
    elementwise functions take ten times as long over two orders in memory as over one.

    >>> x = torch.zeros(2, 3, 4, 5, requires_grad=True)
    >>> in_layout(x) is x
    True
    >>> made = in_layout(x.contiguous(memory_format=torch.channels_last))
    >>> made.is_contiguous(memory_format=torch.channels_last)
    True
    """
    last = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=_LAST)
    if not last or not x.requires_grad:
        return x
    made: Tensor = _InLayout.apply(x)  # type: ignore[no-untyped-call]
    return made


class _InLayout(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(_ctx: Any, felt: Tensor) -> Tensor:
        return felt.contiguous(memory_format=_LAST)
