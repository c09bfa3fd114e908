"""Pooling on CPU: torch's own reads one element at a time, or of few channels hardly more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nas_engine_cgo.kernels.layout import are_plain, by_pixel
from nas_engine_cgo.kernels.sizes import Pair, pair

__all__ = ["avg_pool2d", "avg_pool2d_in_order", "max_pool2d"]

Size: TypeAlias = int | tuple[int, ...] | list[int]

_MANY = 1 << 17
"""So many elements are read before a detour is repaid."""
_MANY_PIXELS = 1 << 14
_MANY_LAST = 1 << 19
"""So many pixels or elements are read before it is in the layout ``channels_last``."""


def avg_pool2d(
    input: Tensor,  # noqa: A002 (as torch calls it)
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
    window, step, pad = pair(kernel_size), pair(stride or kernel_size), pair(padding)
    same = step == (1, 1) and window == (2 * pad[0] + 1, 2 * pad[1] + 1)
    if ceil_mode or not (_slow(input, window, step) or (same and _slow_last(input, window))):
        return functional.avg_pool2d(
            input, window, step, pad, ceil_mode, count_include_pad, divisor_override
        )
    channels, area = input.shape[1], window[0] * window[1]
    weight = input.new_full(
        (channels, 1, *window), 1 / (area if divisor_override is None else divisor_override)
    )
    sums: Tensor = (
        _Sums.apply(input, weight, pad)  # type: ignore[no-untyped-call]
        if same
        else functional.conv2d(input, weight, None, step, pad, 1, channels)
    )
    if divisor_override is not None or count_include_pad or pad == (0, 0):
        return sums
    return sums * _outside(input, window, step, pad)


class _Sums(torch.autograd.Function):
    """Each pixel has what those around it have, and so has its gradient: both ways are the same."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pad: Pair) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.pad = pad
        return functional.conv2d(x, weight, None, 1, pad, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return functional.conv2d(felt, weight, None, 1, ctx.pad, 1, len(weight)), None, None


def avg_pool2d_in_order(
    input: Tensor,  # noqa: A002 (as torch calls it)
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """``torch.nn.functional.avg_pool2d`` to the bit, by way of the layout ``channels_last``.

    >>> x = torch.randn(2, 64, 16, 16)
    >>> torch.equal(avg_pool2d_in_order(x, 3, 1, 1), functional.avg_pool2d(x, 3, 1, 1))
    True
    """
    window, step = pair(kernel_size), pair(stride or kernel_size)
    given = (window, step, pair(padding), ceil_mode, count_include_pad, divisor_override)
    if not _slow(input, window, step):
        return functional.avg_pool2d(input, *given)
    back = torch.ops.aten.avg_pool2d_backward
    made: Tensor = _ByPixel.apply(input, _mean, back, given)  # type: ignore[no-untyped-call]
    return made


class _ByPixel(torch.autograd.Function):
    """A pool both ways in ``channels_last``, where torch takes many channels at once, in its order.

    Gradients lie as images do: what was before is slow with others.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        pool: Callable[..., Any],
        back: Callable[..., Any],
        given: tuple[Any, ...],
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        found, *more = pool(x, *given)
        ctx.save_for_backward(x, *more)
        ctx.back, ctx.given = back, given
        result: Tensor = found.contiguous()
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor, None, None, None]:
        x, *more = ctx.saved_tensors
        felt = felt.contiguous(memory_format=torch.channels_last)
        return ctx.back(felt, x, *ctx.given, *more).contiguous(), None, None, None


def _mean(*given: Any) -> tuple[Tensor]:
    return (functional.avg_pool2d(*given),)


def max_pool2d(
    input: Tensor,  # noqa: A002 (as torch calls it)
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """``torch.nn.functional.max_pool2d``, by way of the layout ``channels_last``.

    >>> x = torch.randn(2, 64, 16, 16)
    >>> torch.equal(max_pool2d(x, 3, 1, 1), functional.max_pool2d(x, 3, 1, 1))
    True
    """
    window, step = pair(kernel_size), pair(stride or kernel_size)
    given = (window, step, pair(padding), pair(dilation), ceil_mode)
    if return_indices:
        return functional.max_pool2d(input, *given, return_indices=True)
    if not _slow(input, window, step):
        return functional.max_pool2d(input, *given)
    pool, back = functional.max_pool2d_with_indices, torch.ops.aten.max_pool2d_with_indices_backward
    made: Tensor = _ByPixel.apply(input, pool, back, given)  # type: ignore[no-untyped-call]
    return made


def _slow(x: Tensor, window: Pair, step: Pair) -> bool:
    """Whether torch reads one element at a time, and so many that a detour is repaid."""
    read = x.numel() * window[0] * window[1] // (step[0] * step[1])
    return _is_fast(x) and read >= _MANY and x.is_contiguous()


def _slow_last(x: Tensor, window: Pair) -> bool:
    """Whether windows around pixels are so many that it is faster to convolve by pixel."""
    if not _is_fast(x) or not by_pixel(x):
        return False
    read = x.numel() * window[0] * window[1]
    return read >= _MANY_LAST or read >= _MANY_PIXELS * x.shape[1]


def _is_fast(x: Tensor) -> bool:
    """Whether they are images of which torch has fast convolutions."""
    return (
        are_plain(x) and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def _outside(x: Tensor, window: Pair, step: Pair, pad: Pair) -> Tensor:
    """By how much the mean of a window is more than that with zeros around the image."""
    return functional.avg_pool2d(x.new_ones(1, 1, *x.shape[2:]), window, step, pad).reciprocal()
