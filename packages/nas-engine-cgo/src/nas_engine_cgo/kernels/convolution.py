"""Convolutions of images on CPU: by the way that is fastest for their windows."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from nas_engine_cgo.kernels.dense import are_few, dense
from nas_engine_cgo.kernels.depthwise import depthwise, has_slow_gradient
from nas_engine_cgo.kernels.layout import are_plain, by_pixel
from nas_engine_cgo.kernels.pointwise import pointwise
from nas_engine_cgo.kernels.sizes import pair
from nas_engine_cgo.kernels.windows import Geometry

__all__ = ["conv2d"]


def conv2d(
    input: Tensor,  # noqa: A002 (as torch calls it)
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """``torch.nn.functional.conv2d`` up to rounding.

    >>> import torch
    >>> x, weight = torch.randn(8, 12, 8, 8), torch.randn(24, 12, 2, 2)
    >>> expected = functional.conv2d(x, weight, stride=2)
    >>> torch.allclose(conv2d(x, weight, stride=2), expected, atol=1e-5)
    True
    """
    if isinstance(padding, str) or not are_plain(input):
        return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
    geometry = pair(stride), pair(padding), pair(dilation)
    if has_slow_gradient(input, weight, groups):
        return depthwise(input, weight, bias, geometry)
    if weight.shape[0] > groups and are_few(input, weight, geometry):
        return dense(input, weight, bias, geometry, groups)
    if (size := _of_patches(input, weight, geometry)) is None or weight.shape[0] == groups:
        images, geometry = _without_empty_windows(input, weight, geometry)
        return functional.conv2d(images, weight, bias, *geometry, groups)
    patches = functional.pixel_unshuffle(input, size) if size > 1 else input
    return pointwise(patches, weight.flatten(1)[..., None, None], bias, (1, 1), groups)


def _without_empty_windows(
    x: Tensor, weight: Tensor, geometry: Geometry
) -> tuple[Tensor, Geometry]:
    """The images with their padding around them, if windows may lie in that alone.

    For such windows of ``channels_last`` images torch reads memory that is not theirs.
    """
    stride, padding, dilation = geometry
    reach = (space * (taps - 1) for space, taps in zip(dilation, weight.shape[2:], strict=True))
    if all(pad <= most for pad, most in zip(padding, reach, strict=True)):
        return x, geometry
    height, width = padding
    return functional.pad(x, (width, width, height, height)), (stride, (0, 0), dilation)


def _of_patches(x: Tensor, weight: Tensor, geometry: Geometry) -> int | None:
    """The edge of the windows, if they are squares that lie side by side and cover the images."""
    size, other = weight.shape[2:]
    beside = geometry == ((size, size), (0, 0), (1, 1)) and size == other
    covered = x.shape[2] % size == x.shape[3] % size == 0
    apart = x.is_contiguous() or (size == 1 and by_pixel(x))
    return size if beside and covered and apart else None
