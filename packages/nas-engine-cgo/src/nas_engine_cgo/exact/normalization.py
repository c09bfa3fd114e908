"""Normalisation by features of several members as one, with gradients that are added up as alone.

What is normalised is the same for all members, and the scale of each comes after that. In the
gradients the scale comes in between, so each member has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nas_engine_cgo.exact.order import as_alone

__all__ = ["member_layer_norm"]


def member_layer_norm(
    x: Tensor,
    shape: tuple[int, ...],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    results_apart: bool,
) -> Tensor:
    """The layer normalisations of ``n`` members, whose gradients are computed one by one.

    Args:
        x: shape ``(n, ..., *shape)``.
        shape: the dimensions that are normalised.
        weight, bias: shape ``(n, *shape)``.
        eps: is added to the variance.
        results_apart: whether the results are computed one by one as well.

    >>> x, weight = torch.randn(2, 3, 4), torch.randn(2, 4)
    >>> found = member_layer_norm(x, (4,), weight, None, 1e-5, True)
    >>> torch.equal(found[1], torch.nn.functional.layer_norm(x[1], (4,), weight[1]))
    True
    """
    made: Tensor = _LayerNorm.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, shape, eps, results_apart
    )
    return made


class _LayerNorm(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        shape: tuple[int, ...],
        eps: float,
        results_apart: bool,
    ) -> Tensor:
        if results_apart:
            each = [
                torch.native_layer_norm(as_alone(one), shape, w, b, eps)
                for one, w, b in zip(x.unbind(0), *_parts(x, weight, bias), strict=True)
            ]
            made, mean, deviation = (torch.stack(parts) for parts in zip(*each, strict=True))
        else:
            made, mean, deviation = torch.native_layer_norm(x, shape, None, None, eps)
            made = _scaled(made, shape, weight, bias)
        ctx.save_for_backward(x, weight, bias, mean, deviation)
        ctx.shape = shape
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight, bias, mean, deviation = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        columns = (grad.unbind(0), x.unbind(0), mean.unbind(0), deviation.unbind(0))
        each = [
            torch.ops.aten.native_layer_norm_backward(
                as_alone(g), as_alone(one), ctx.shape, m, d, w, b, wanted
            )
            for g, one, m, d, w, b in zip(*columns, *_parts(x, weight, bias), strict=True)
        ]
        found = [
            torch.stack(parts) if asked else None
            for parts, asked in zip(zip(*each, strict=True), wanted, strict=True)
        ]
        return (*found, None, None, None)


def _parts(x: Tensor, *leaves: Tensor | None) -> list[Sequence[Tensor | None]]:
    """The weights and biases of each member."""
    return [[None] * len(x) if leaf is None else leaf.unbind(0) for leaf in leaves]


def _scaled(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """What was normalised, with the scale and the shift of each member."""
    sizes = (len(x), *[1] * (x.dim() - 1 - len(shape)), *shape)
    scale, shift = (None if leaf is None else leaf.reshape(sizes) for leaf in (weight, bias))
    if scale is None:
        return x if shift is None else x + shift
    return x * scale if shift is None else torch.addcmul(shift, x, scale)
