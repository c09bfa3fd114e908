"""Depthwise convolutions on CPU: torch's gradient of windows larger than 3x3 is slow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nas_engine_cgo.kernels.windows import Geometry, taps

__all__ = ["depthwise", "has_slow_gradient"]

_FAST = 9
"""Elements of the windows that torch has kernels of their own for."""
_MANY = 1 << 14
"""So many elements are read before a detour is repaid."""
_SMALL = 4
"""With more pixels for each element of the window products of matrices are no longer faster."""


def has_slow_gradient(x: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether torch computes the gradient of the weights one element at a time."""
    return (
        groups == weight.shape[0] == x.shape[1] > 1
        and weight[0].numel() > _FAST
        and x.numel() >= _MANY
        and x.dtype == torch.float32
        and weight.requires_grad
        and torch.is_grad_enabled()
        and (x.is_contiguous() or x[0, 0].numel() <= weight[0].numel())
    )


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """A convolution of each channel with a window of its own, whose gradient is faster.

    >>> x, weight = torch.randn(8, 64, 8, 8), torch.randn(64, 1, 5, 5, requires_grad=True)
    >>> expected = functional.conv2d(x, weight, padding=2, groups=64)
    >>> torch.equal(depthwise(x, weight, None, ((1, 1), (2, 2), (1, 1))), expected)
    True
    """
    made: Tensor = _Depthwise.apply(x, weight, bias, geometry)  # type: ignore[no-untyped-call]
    return made


class _Depthwise(torch.autograd.Function):
    """Forward as torch does it; so is the gradient of the images."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return functional.conv2d(x, weight, bias, *geometry, x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        return (
            _gradients(felt, x, weight, ctx.geometry, [True, False, False])[0] if of_x else None,
            _of_weight(felt, x, weight, ctx.geometry) if of_weight else None,
            felt.sum((0, 2, 3)) if of_bias else None,
            None,
        )


def _gradients(
    felt: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, which: list[bool]
) -> tuple[Tensor, ...]:
    """Torch's own gradients: of the images, the weights, and the biases."""
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        felt, x, weight, None, *geometry, False, [0, 0], x.shape[1], which
    )
    return found


def _of_weight(felt: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    batch, channels, *size = x.shape
    window = (weight.shape[2], weight.shape[3])
    if x[0, 0].numel() > _SMALL * weight[0].numel():
        layout = torch.channels_last
        felt, x = felt.contiguous(memory_format=layout), x.contiguous(memory_format=layout)
        return _gradients(felt, x, weight, geometry, [False, True, False])[1]
    # A convolution multiplies the pixels of an image with a matrix, in which each element of the
    # window comes where an output reads an input by it: its gradient is the sum over those.
    pairs = torch.bmm(
        felt.reshape(batch, channels, -1).permute(1, 2, 0),
        x.reshape(batch, channels, -1).transpose(0, 1),
    )
    read = taps((size[0], size[1]), window, geometry, x.dtype)
    return (pairs.flatten(1) @ read).view_as(weight)
