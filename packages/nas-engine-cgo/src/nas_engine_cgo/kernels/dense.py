"""Convolutions of images of few pixels on CPU, each of which windows reach from most others: they
are a product with one matrix, of which the elements of the windows are parts."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_engine_cgo.kernels.layout import LAST, by_pixel
from nas_engine_cgo.kernels.sizes import Pair
from nas_engine_cgo.kernels.windows import Geometry, taps

__all__ = ["are_few", "dense"]

_MORE = 2
"""So many times as many elements are repaid, such as those for 2x2 pixels by windows of 3x3."""


def are_few(x: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Whether the matrix has little more elements than the windows: then the product is faster."""
    size, window = _sizes(x, weight)
    pairs = math.prod(size) * math.prod(_outputs(size, window, geometry))
    return 0 < pairs <= _MORE * math.prod(window)


def dense(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int
) -> Tensor:
    """A convolution of images in groups, up to rounding.

    >>> from torch.nn import functional
    >>> x, weight = torch.randn(8, 6, 2, 2), torch.randn(8, 3, 3, 3)
    >>> expected = functional.conv2d(x, weight, padding=1, groups=2)
    >>> made = dense(x, weight, None, ((1, 1), (1, 1), (1, 1)), 2)
    >>> torch.allclose(made, expected, atol=1e-5)
    True
    """
    made: Tensor = _Dense.apply(x, weight, geometry, groups)  # type: ignore[no-untyped-call]
    return made if bias is None else made + bias.view(-1, 1, 1)


class _Dense(torch.autograd.Function):
    """The rows of a matrix are the channels and pixels of outputs, its columns those of inputs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: Geometry, n: int) -> Tensor:
        size, window = _sizes(x, weight)
        read = taps(size, window, geometry, x.dtype)
        elements = weight.permute(0, 2, 3, 1).flatten(1, 2)
        matrices = (read @ elements).view(n, -1, x[0].numel() // n)
        pixels = x.permute(0, 2, 3, 1).reshape(len(x), -1, n, x.shape[1] // n)
        rows = pixels.permute(2, 0, 1, 3).flatten(2)
        ctx.save_for_backward(rows, matrices, read, weight)
        ctx.size, ctx.by_pixel = x.shape, by_pixel(x)
        made = _products(rows, matrices.mT, (len(weight), *_outputs(size, window, geometry)))
        return made.contiguous(memory_format=LAST) if ctx.by_pixel else made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrices, read, weight = ctx.saved_tensors
        batch, channels, *size = ctx.size
        n = len(rows)
        felt = felt.reshape(batch, n, -1).transpose(0, 1)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            made = _products(felt, matrices, (n, math.prod(size), channels // n))
            of_x = made.transpose(1, 2).reshape(batch, *size, channels).permute(0, 3, 1, 2)
            of_x = of_x if ctx.by_pixel else of_x.contiguous()
        if ctx.needs_input_grad[1]:
            pairs = torch.bmm(felt.mT, rows).view(len(weight), len(read), -1)
            outputs, inputs, *window = weight.shape
            of_weight = (read.t() @ pairs).view(outputs, *window, inputs).permute(0, 3, 1, 2)
            of_weight = of_weight if by_pixel(weight) else of_weight.contiguous()
        return of_x, of_weight, None, None


def _products(rows: Tensor, matrices: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Those of each group; a row has the groups and then the columns, in this shape.

    It is no view, which nobody could write into once it has left a function with own gradients.
    """
    n, batch, _ = rows.shape
    made = rows.new_empty(batch, *shape)
    torch.bmm(rows, matrices, out=made.view(batch, n, -1).transpose(0, 1))
    return made


def _sizes(x: Tensor, weight: Tensor) -> tuple[Pair, Pair]:
    """Of an image and of a window."""
    return (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3])


def _outputs(size: Pair, window: Pair, geometry: Geometry) -> Pair:
    """How many outputs there are in each dimension."""
    sizes = zip(size, window, *geometry, strict=True)
    height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)
    return height, width
