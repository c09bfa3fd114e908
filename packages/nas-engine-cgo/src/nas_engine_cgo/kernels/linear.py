"""Linear layers of several members: batched products whose results are wide in memory.

A product of matrices is slow if the rows of its result are short, as those of a layer to a few
classes are. Its factors exchanged give the same with long rows: forward, and in both gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["FEW", "linear"]

FEW = 16
"""So many numbers a processor computes at once."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer of each member, up to rounding.

    Args:
        x: ``(members, batch, inputs)``.
        weight: ``(members, outputs, inputs)``; its gradient lies in memory as it does.
        bias: ``(members, 1, outputs)``.

    Returns:
        ``(members, batch, outputs)``; few outputs lie apart in memory, and the batch together.

    >>> x, weight, bias = torch.randn(2, 32, 5), torch.randn(2, 3, 5), torch.randn(2, 1, 3)
    >>> made = linear(x, weight, bias)
    >>> torch.allclose(made[0], torch.nn.functional.linear(x[0], weight[0], bias[0, 0]), atol=1e-6)
    True
    >>> made.shape, made.stride()
    (torch.Size([2, 32, 3]), (96, 1, 32))
    """
    turned = _is_turned(x, weight.mT)
    function = _Linear.apply
    if torch.is_autocast_enabled(x.device.type):  # In which products have another type.
        function = _made
    made: Tensor = function(x, weight, bias, turned)  # type: ignore[no-untyped-call]
    return made.mT if turned else made


def _is_turned(a: Tensor, b: Tensor) -> bool:
    """Whether the exchanged factors give the longer rows."""
    return b.shape[2] < min(FEW, a.shape[1])


def _made(x: Tensor, weight: Tensor, bias: Tensor | None, turned: bool) -> Tensor:
    """The layer, or what gives it when its last dimensions are exchanged."""
    a, b = (weight, x.mT) if turned else (x, weight.mT)
    if bias is None:
        return torch.bmm(a, b)
    return torch.baddbmm(bias.mT if turned else bias, a, b)


def _product(a: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(b.mT, a.mT).mT if _is_turned(a, b) else torch.bmm(a, b)


class _Linear(torch.autograd.Function):
    """Its result is not turned here: nobody could write into it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, turned: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.turned = turned
        return _made(x, weight, bias, turned)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        felt = felt.mT if ctx.turned else felt
        by_rows = weight.stride(2) == 1
        return (
            _product(felt, weight) if of_x else None,
            (torch.bmm(felt.mT, x) if by_rows else torch.bmm(x.mT, felt).mT) if of_weight else None,
            felt.sum(1, keepdim=True) if of_bias else None,
            None,
        )
