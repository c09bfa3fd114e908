"""Losses whose gradients are fused, and whose values are added up as they are alone.

Sums are added up in another order for several members at once; what their gradients are does not
depend on that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["added_up", "with_values"]


def with_values(fused: Tensor, values: Tensor) -> Tensor:
    """The values, and in the backward pass the gradients of what was fused.

    >>> x = torch.ones(2, requires_grad=True)
    >>> with_values(3 * x, torch.tensor([5.0, 7.0])).sum().backward()
    >>> x.grad
    tensor([3., 3.])
    """
    made: Tensor = _Values.apply(fused, values)  # type: ignore[no-untyped-call]
    return made


class _Values(Function):
    @staticmethod
    def forward(_ctx: Any, _fused: Tensor, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


_STEP = 16
"""So many samples are added up before their sum is."""


def added_up(losses: Tensor, known: Tensor) -> Tensor:
    """The sums of losses, to the bit as ``nll_loss`` of torch adds them up on CPU.

    It adds one sample after the other, and after 16 of them, and 16 such sums, begins anew, so that
    less is lost in large sums; a sample that is ignored does not count for that.

    Args:
        losses: of samples, shape ``(members, samples)``; zero where they are ignored.
        known: which samples are not ignored, in the same shape.

    Returns:
        One for each member, shape ``(members,)``.

    >>> logs, target = torch.randn(2, 40, 3).log_softmax(-1), torch.tensor([0, 1, -100, 2] * 10)
    >>> each = torch.stack([torch.nn.functional.nll_loss(x, target, reduction="sum") for x in logs])
    >>> losses = -logs.gather(2, target.clamp(min=0).expand(2, -1)[..., None])[..., 0]
    >>> known = (target != -100).expand(2, -1)
    >>> torch.equal(added_up(losses * known, known), each)
    True
    """
    zero = losses.new_zeros(len(losses))
    # The first sample begins anew at each level, so that it is added last.
    first, *others = losses.t().contiguous().unbind(0)
    sums = [zero]
    for number, loss in enumerate(others, 1):
        sums[0] = sums[0] + loss
        level, counted = 0, number
        while counted % _STEP == 0:
            if level + 1 == len(sums):
                sums.append(zero)
            full = torch.where(known[:, number], sums[level], zero)
            sums[level] = torch.where(known[:, number], zero, sums[level])
            sums[level + 1] = sums[level + 1] + full
            level, counted = level + 1, counted // _STEP
    return sum(sums[1:], sums[0]) + first
