"""Convolutions in groups with strides, of small images: torch's gradient of the images is slow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nas_engine_cgo.kernels.linear import FEW
from nas_engine_cgo.kernels.sizes import Geometry

__all__ = ["has_slow_images", "strided"]

_PIXELS = 16
"""In larger images it takes longer to put the windows together than it saves."""
_GROUPS = 4
_WIDE = 32
"""With more inputs for each group torch is as fast."""


def has_slow_images(x: Tensor, weight: Tensor, geometry: Geometry, groups: int) -> bool:
    """Whether a product of matrices gives the gradient of the images in less time."""
    return (
        min(geometry[0]) > 1
        and groups >= _GROUPS
        and x[0, 0].numel() <= _PIXELS
        and weight.shape[0] // groups > FEW
        and weight.shape[1] <= _WIDE
        and x.requires_grad
        and torch.is_grad_enabled()
    )


def strided(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int
) -> Tensor:
    """A convolution whose gradient of the images is that of their windows, put together.

    >>> x, weight = torch.randn(8, 64, 4, 4, requires_grad=True), torch.randn(128, 16, 3, 3)
    >>> geometry = ((2, 2), (1, 1), (1, 1))
    >>> expected = functional.conv2d(x, weight, None, *geometry, groups=4)
    >>> torch.equal(strided(x, weight, None, geometry, 4), expected)
    True
    """
    made: Tensor = _Strided.apply(x, weight, bias, geometry, groups)  # type: ignore[no-untyped-call]
    return made


class _Strided(torch.autograd.Function):
    """Forward as torch does it; so are the other gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.groups = geometry, groups
        return functional.conv2d(x, weight, bias, *geometry, groups)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, *_ = ctx.needs_input_grad
        given = None
        if of_weight:
            given = torch.ops.aten.convolution_backward(
                felt, x, weight, None, *ctx.geometry, False, [0, 0], ctx.groups,
                [False, True, False],
            )[1]  # fmt: skip
        return (
            _of_images(felt, x, weight, ctx.geometry, ctx.groups) if of_x else None,
            given,
            felt.sum((0, 2, 3)) if of_bias else None,
            None,
            None,
        )


def _of_images(felt: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, groups: int) -> Tensor:
    """The gradient of each window, added up where they read the images."""
    (inputs, *window), edges, outputs = weight.shape[1:], x.shape[2:], felt.shape[2:]
    windows = torch.bmm(
        felt.permute(0, 2, 3, 1).reshape(-1, groups, felt.shape[1] // groups).transpose(0, 1),
        weight.permute(0, 2, 3, 1).reshape(groups, -1, weight[0].numel()),
    ).view(groups, -1, *outputs, *window, inputs)
    by_pixel = felt.new_zeros(len(x), *edges, groups, inputs)
    rows, columns = (
        [
            _reads(tap, edges[i], outputs[i], *(each[i] for each in geometry))
            for tap in range(window[i])
        ]
        for i in (0, 1)
    )
    for row, (read, by) in enumerate(rows):
        for column, (read_too, by_too) in enumerate(columns):
            part = windows[:, :, by, by_too, row, column]
            by_pixel[:, read, read_too] += part.permute(1, 2, 3, 0, 4)
    made = by_pixel.flatten(3).permute(0, 3, 1, 2)
    return made.contiguous() if x.is_contiguous() else made


def _reads(
    tap: int, edge: int, outputs: int, stride: int, padding: int, dilation: int
) -> tuple[slice, slice]:
    """Which inputs an element of the window reads along an edge, and for which outputs."""
    start = tap * dilation - padding  # what it reads for the first output
    first = max(0, -(start // stride))
    last = min(outputs - 1, (edge - 1 - start) // stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return slice(first * stride + start, last * stride + start + 1, stride), slice(first, last + 1)
