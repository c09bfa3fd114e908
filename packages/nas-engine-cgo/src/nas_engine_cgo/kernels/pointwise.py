"""Convolutions with windows of one pixel, of several members: products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nas_engine_cgo.kernels.layout import LAST, by_pixel

__all__ = ["pointwise"]

_WIDE = 16
"""From so many channels on products are faster than ``channels_last`` convolutions in groups."""


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
    if pixels and min(inputs, outputs) < _WIDE:
        return functional.conv2d(x.contiguous(memory_format=LAST), weight, bias, groups=n)
    product = _by_pixel if pixels else _by_channel
    return product(x, weight.reshape(n, outputs, inputs), bias)


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
