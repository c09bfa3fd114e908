"""Linear layers of several members as one, whose gradients have the form that they have alone.

The gradient of a batched product with exchanged weights comes by another product than alone. Here
it is the same one, and what still differs is computed member by member.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nas_engine_cgo.exact.order import applied, as_alone

__all__ = ["member_linear"]

_Apart: TypeAlias = tuple[bool, ...]
_NONE: _Apart = (False, False, False, False)


def member_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, apart: _Apart = _NONE
) -> Tensor:
    """The linear layers of ``n`` members.

    Args:
        x: shape ``(n, ..., inputs)``.
        weight: shape ``(n, outputs, inputs)``.
        bias: shape ``(n, outputs)``.
        apart: whether the results, and the gradients of ``x``, ``weight`` and ``bias``, are
            computed for each member by itself.

    Returns:
        Shape ``(n, ..., outputs)``.

    >>> x, weight = torch.randn(3, 5, 4), torch.randn(3, 2, 4)
    >>> torch.equal(member_linear(x, weight, apart=(True,) * 4)[1], x[1] @ weight[1].T)
    True
    """
    if x.dim() == 3:
        return applied(_Linear, (x, weight, bias), apart)
    rows = x.flatten(1, -2) if x.dim() > 3 else x[:, None]
    made = applied(_Linear, (rows, weight, bias), apart)
    return made.view(*x.shape[:-1], -1)


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, apart: _Apart) -> Tensor:
        x = x if x.stride(0) == 0 else x.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.apart = apart
        if apart[0]:
            return _results(x, weight, bias)
        turned = weight.transpose(1, 2)
        return torch.bmm(x, turned) if bias is None else torch.baddbmm(bias[:, None], x, turned)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        _, *apart = ctx.apart
        grad = grad.contiguous()
        return (
            _of_inputs(grad, weight, apart[0]) if of_x else None,
            _of_weights(grad, x, apart[1]) if of_weight else None,
            _sum(grad, apart[2]) if of_bias else None,
            None,
        )


def _results(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    pairs = _pairs(x, weight)
    if bias is None:
        return torch.stack([torch.mm(one, w.t()) for one, w in pairs])
    biases = map(as_alone, bias.unbind(0))
    return torch.stack(
        [torch.addmm(b, one, w.t()) for (one, w), b in zip(pairs, biases, strict=True)]
    )


def _of_inputs(grad: Tensor, weight: Tensor, apart: bool) -> Tensor:
    if not apart:
        return torch.bmm(grad, weight)
    if grad.shape[1] == weight.shape[2] == 1:  # The other way round, for an input in one column.
        return torch.stack([torch.mm(w.t(), g.t()) for g, w in _pairs(grad, weight)])
    return torch.stack([torch.mm(g, w) for g, w in _pairs(grad, weight)])


def _of_weights(grad: Tensor, x: Tensor, apart: bool) -> Tensor:
    if not apart:
        return torch.bmm(grad.transpose(1, 2), x)
    return torch.stack([torch.mm(g.t(), one) for g, one in _pairs(grad, x)])


def _pairs(a: Tensor, b: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(map(as_alone, a.unbind(0)), map(as_alone, b.unbind(0)), strict=True)


def _sum(grad: Tensor, apart: bool) -> Tensor:
    return torch.stack([as_alone(one).sum(0) for one in grad.unbind(0)]) if apart else grad.sum(1)
