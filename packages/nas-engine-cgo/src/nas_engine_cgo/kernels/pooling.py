"""Pooling on CPU: of images in the contiguous layout torch's own reads one element at a time."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["avg_pool2d", "max_pool2d"]

Size: TypeAlias = int | tuple[int, ...] | list[int]
Pair: TypeAlias = tuple[int, int]

_MANY = 1 << 17
"""So many elements are read before a detour is repaid."""


def avg_pool2d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """``torch.nn.functional.avg_pool2d`` up to rounding: each channel is convolved with ones.

    >>> x = torch.randn(2, 64, 16, 16)
    >>> torch.allclose(avg_pool2d(x, 3, 1, 1), functional.avg_pool2d(x, 3, 1, 1), atol=1e-6)
    True
    """
    window, pad = _pair(kernel_size), _pair(padding)
    step = window if stride in (None, (), []) else _pair(stride)
    if ceil_mode or not _slow(x, window, step):
        return functional.avg_pool2d(
            x, window, step, pad, ceil_mode, count_include_pad, divisor_override
        )
    channels, area = x.shape[1], window[0] * window[1]
    weight = x.new_full((channels, 1, *window), 1 / (divisor_override or area))
    sums = functional.conv2d(x, weight, None, step, pad, 1, channels)
    if divisor_override or count_include_pad or pad == (0, 0):
        return sums
    return sums * _outside(x, window, step, pad)


def max_pool2d(x: Tensor, kernel_size: Size, *args: Any, **kwargs: Any) -> Tensor:
    """``torch.nn.functional.max_pool2d``, by way of the layout ``channels_last``.

    >>> x = torch.randn(2, 64, 16, 16)
    >>> torch.equal(max_pool2d(x, 3, 1, 1), functional.max_pool2d(x, 3, 1, 1))
    True
    """
    stride = kwargs.get("stride", args[0] if args else None) or kernel_size
    slow = _slow(x, _pair(kernel_size), _pair(stride))
    given = x.contiguous(memory_format=torch.channels_last) if slow else x
    pooled: Tensor = functional.max_pool2d(given, kernel_size, *args, **kwargs)
    return pooled.contiguous() if slow else pooled


def _slow(x: Tensor, window: Pair, step: Pair) -> bool:
    """Whether torch takes long, and a convolution does not."""
    read = x.numel() * window[0] * window[1] // (step[0] * step[1])
    return (
        read >= _MANY
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.is_contiguous()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def _outside(x: Tensor, window: Pair, step: Pair, pad: Pair) -> Tensor:
    """By how much the mean of a window is more than that with zeros around the image."""
    return functional.avg_pool2d(x.new_ones(1, 1, *x.shape[2:]), window, step, pad).reciprocal()


def _pair(size: Any) -> Pair:
    both = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    return both[0], both[-1]
