"""The gradient of the images of strided convolutions of several members, as products of matrices.

A pixel feels every second, or third, row and column of a window, and which ones goes by its place
between two strides. Those in one place are one product, of all members at once. The sums are those
of oneDNN's kernel for one model: over rows of the window and channels, and then over its columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["can_be_products", "gradient_by_products"]

_Taps: TypeAlias = list[tuple[int, int]]
"""Positions in a window that reach a pixel, and how much further on the window of each lies."""


def can_be_products(size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> bool:
    """Whether images of this size consist of whole strides, and the windows have no gaps.

    >>> can_be_products((8, 8), (2, 2), (1, 1)), can_be_products((7, 8), (2, 2), (1, 1))
    (True, False)
    """
    whole = all(length % step == 0 for length, step in zip(size, stride, strict=False))
    return len(size) == 2 and max(stride) > 1 == max(dilation) and whole


def gradient_by_products(
    grad: Tensor,
    weight: Tensor,
    n: int,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """The gradient of the input of a convolution in ``n`` groups.

    Args:
        grad: of the results, shape ``(batch, n * outputs, height, width)``.
        weight: shape ``(n * outputs, inputs, height, width)``.
        n: how many members.
        size: of the images, in whole strides.
        stride, padding: by dimension.

    >>> x, weight = torch.randn(2, 6, 4, 4).requires_grad_(), torch.randn(8, 3, 3, 3)
    >>> torch.conv2d(x, weight, None, 2, 1, 1, 2).sum().backward()
    >>> found = gradient_by_products(torch.ones(2, 8, 2, 2), weight, 2, (4, 4), (2, 2), (1, 1))
    >>> torch.allclose(found, x.grad, atol=1e-6)
    True
    """
    batch, _, *places = grad.shape
    outputs, inputs, wide = weight.shape[0] // n, weight.shape[1], weight.shape[3]
    rows, columns = (_taps(*each) for each in zip(weight.shape[2:], stride, padding, strict=True))
    tall, broad = (length // step for length, step in zip(size, stride, strict=True))
    felt = grad.reshape(batch, n, outputs, *places).permute(1, 2, 0, 3, 4)
    turned = weight.reshape(n, outputs, inputs, -1, wide).permute(0, 4, 2, 3, 1)
    made = grad.new_empty(batch, n, inputs, tall, stride[0], broad, stride[1])
    for row, taps in enumerate(rows):
        if not taps:
            made[:, :, :, :, row].zero_()
            continue
        chosen = turned[:, :, :, taps[0][0] :: stride[0]].reshape(n, wide * inputs, -1)
        products = torch.bmm(chosen, _reached(felt, taps, tall))
        parts = products.view(n, wide, inputs, batch, tall, -1).permute(1, 3, 0, 2, 4, 5)
        for column, beside in enumerate(columns):
            made[:, :, :, :, row, :, column].copy_(_added_up(parts, beside, broad))
    return made.view(batch, n * inputs, *size)


def _taps(width: int, step: int, padding: int) -> list[_Taps]:
    """By place between two strides.

    >>> _taps(3, 2, 1)
    [[(1, 0)], [(0, 1), (2, 0)]]
    """
    return [
        [(k, (place + padding - k) // step) for k in range((place + padding) % step, width, step)]
        for place in range(step)
    ]


def _within(shift: int, count: int, places: int) -> tuple[int, int]:
    """Which of so many pixels have a window that lies this much further on."""
    return max(0, -shift), max(0, min(count, places - shift))


def _reached(felt: Tensor, taps: _Taps, count: int) -> Tensor:
    """What windows feel, by row of theirs: a column for each pixel, zeros where there is none."""
    n, outputs, batch, places, across = felt.shape
    made = felt.new_empty(n, len(taps), outputs, batch, count, across)
    for position, (_, shift) in enumerate(taps):
        start, stop = _within(shift, count, places)
        row = made[:, position]
        row[:, :, :, start:stop].copy_(felt[:, :, :, start + shift : stop + shift])
        for outside in (row[:, :, :, :start], row[:, :, :, stop:]):
            if outside.numel():
                outside.zero_()
    return made.view(n, len(taps) * outputs, -1)


def _added_up(parts: Tensor, taps: _Taps, count: int) -> Tensor:
    """The sums over columns of windows; the products are used up."""
    ranges = [_within(shift, count, parts.shape[-1]) for _, shift in taps]
    if (0, count) in ranges:  # It does not matter which one of two is first.
        number = ranges.index((0, count))
        k, shift = taps[number]
        total = parts[k][..., shift : shift + count]
    else:
        number, total = -1, parts.new_zeros(*parts.shape[1:-1], count)
    for position, ((k, shift), (start, stop)) in enumerate(zip(taps, ranges, strict=True)):
        if position != number:
            total[..., start:stop].add_(parts[k][..., start + shift : stop + shift])
    return total
