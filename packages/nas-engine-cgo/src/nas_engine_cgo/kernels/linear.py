"""Linear layers of several members to few outputs, as to the classes.

A product of matrices is slow if the rows of its result are short. Its factors exchanged give the
same with long rows: forward, and in the gradient of the weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["FEW", "few_outputs"]

FEW = 16
"""So many numbers a processor computes at once."""


def few_outputs(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer of each member, up to rounding.

    Args:
        x: ``(members, batch, inputs)``.
        weight: ``(members, outputs, inputs)``.
        bias: ``(members, 1, outputs)``.

    Returns:
        ``(members, batch, outputs)``; the batch lies together in memory, and the outputs apart.

    >>> x, weight, bias = torch.randn(2, 32, 5), torch.randn(2, 3, 5), torch.randn(2, 1, 3)
    >>> made = few_outputs(x, weight, bias)
    >>> torch.allclose(made[0], torch.nn.functional.linear(x[0], weight[0], bias[0, 0]), atol=1e-6)
    True
    >>> made.shape, made.stride()
    (torch.Size([2, 32, 3]), (96, 1, 32))
    """
    if torch.is_autocast_enabled(x.device.type):  # In which products have another type.
        return _made(x, weight, bias).mT
    made: Tensor = _FewOutputs.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return made.mT


def _made(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``(members, outputs, batch)``."""
    if bias is None:
        return torch.bmm(weight, x.mT)
    return torch.baddbmm(bias.mT, weight, x.mT)


class _FewOutputs(torch.autograd.Function):
    """What it gives is turned by the caller: into a view of its own nobody could write."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _made(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            torch.bmm(felt.mT, weight) if of_x else None,
            torch.bmm(felt, x) if of_weight else None,
            felt.sum(2)[:, None] if of_bias else None,
        )
