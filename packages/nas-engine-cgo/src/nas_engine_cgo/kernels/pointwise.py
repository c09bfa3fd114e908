"""Convolutions with windows of one pixel, of several members: products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nas_engine_cgo.cache import cache_bytes
from nas_engine_cgo.kernels.layout import LAST, are_plain, by_pixel

__all__ = ["pointwise"]

_WIDE = 16
"""From so many channels on products are faster than ``channels_last`` convolutions in groups."""
_PART = 2
"""Of fewer channels they are while images take less than such a part of the cache, from which each
group reads anew."""


def pointwise(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], n: int
) -> Tensor:
    """A convolution in ``n`` groups with windows of one pixel, up to rounding.

    Args:
        x: ``(batch, n * inputs, ...)``.
        weight: ``(n * outputs, inputs, 1, ...)``.
        bias: ``(n * outputs,)``.
        stride: in each dimension of an image.
        n: how many groups.

    Returns:
        ``(batch, n * outputs, ...)``, in the memory format of ``x``.

    >>> x, weight = torch.randn(2, 6, 5, 5), torch.randn(8, 3, 1, 1)
    >>> expected = functional.conv2d(x, weight, stride=2, groups=2)
    >>> torch.allclose(pointwise(x, weight, None, (2, 2), 2), expected, atol=1e-6)
    True
    """
    outputs, inputs = weight.shape[0] // n, weight.shape[1]
    pixels = by_pixel(x)
    if max(stride) > 1:
        taken: list[Any] = [slice(None, None, step) for step in stride]
        x = x[..., *taken]
    matrices = weight.reshape(n, outputs, inputs)
    if not pixels:
        return _by_channel(x, matrices, bias)
    wide, plain = min(inputs, outputs) >= _WIDE, are_plain(x)
    size = x.numel() * x.element_size() * max(1, outputs // inputs)
    if not wide and not (plain and _PART * size < cache_bytes()):
        return functional.conv2d(x.contiguous(memory_format=LAST), weight, bias, groups=n)
    if not plain:
        return _by_pixel(x, matrices, bias)
    made: Tensor = _Products.apply(x, matrices, bias)  # type: ignore[no-untyped-call]
    return made


def _by_channel(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    n, outputs, inputs = weight.shape
    batch, _, *size = x.shape
    columns = x.reshape(batch, n, inputs, -1).permute(1, 2, 0, 3).flatten(2)
    if bias is None:
        made = torch.bmm(weight, columns)
    else:
        made = torch.baddbmm(bias.view(n, outputs, 1), weight, columns)
    by_sample = made.view(n, outputs, batch, -1).permute(2, 0, 1, 3)
    return by_sample.reshape(batch, n * outputs, *size).contiguous()


def _by_pixel(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    n, outputs, inputs = weight.shape
    batch, _, *size = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, n, inputs).transpose(0, 1)
    turned = weight.transpose(1, 2)
    if bias is None:
        made = torch.bmm(rows, turned)
    else:
        made = torch.baddbmm(bias.view(n, 1, outputs), rows, turned)
    return made.transpose(0, 1).reshape(batch, *size, n * outputs).permute(0, 3, 1, 2)


class _Products(torch.autograd.Function):
    """Reads and writes the channels of a group where they lie, between those of the others."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiplied(x, weight.transpose(1, 2), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        n = len(weight)
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _multiplied(felt, weight, None) if of_x else None,
            torch.bmm(_rows(felt, n).mT, _rows(x, n)) if of_weight else None,
            felt.sum((0, 2, 3)) if of_bias else None,
        )


def _multiplied(x: Tensor, matrices: Tensor, bias: Tensor | None) -> Tensor:
    """Each pixel of a group, as a row, times the matrix of the group."""
    n, _, outputs = matrices.shape
    batch, _, height, width = x.shape
    channels = n * outputs
    strides = (height * width * channels, 1, width * channels, channels)
    made = x.new_empty_strided((batch, channels, height, width), strides)
    given, results = _rows(x, n), _rows(made, n)
    if bias is None:
        torch.bmm(given, matrices, out=results)
    else:
        torch.baddbmm(bias.view(n, 1, outputs), given, matrices, out=results)
    return made


def _rows(x: Tensor, n: int) -> Tensor:
    """The channels of each pixel, shape ``(n, pixels, channels of a group)``."""
    batch, channels, height, width = x.shape
    step = x.stride(3)
    if x.stride() != (height * width * step, 1, width * step, step):
        x, step = x.contiguous(memory_format=LAST), channels
    size = channels // n
    return x.as_strided((n, batch * height * width, size), (size, step, 1))
