"""Where the windows of a convolution read images."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from nas_engine_cgo.kernels.sizes import Pair

__all__ = ["Geometry", "taps"]

Geometry: TypeAlias = tuple[Pair, Pair, Pair]
"""Stride, padding and dilation."""


@lru_cache(maxsize=64)
def taps(size: Pair, window: Pair, geometry: Geometry, dtype: torch.dtype) -> Tensor:
    """Where a convolution reads: 1 if this output reads this input by this element of the window.

    Returns:
        ``(outputs * inputs, elements)``.

    >>> taps((1, 2), (1, 2), ((1, 1), (0, 0), (1, 1)), torch.float32)
    tensor([[1., 0.],
            [0., 1.]])
    """
    stride, padding, dilation = geometry
    pixels = size[0] * size[1]
    images = torch.eye(pixels, dtype=dtype).view(pixels, 1, *size)
    read = functional.unfold(images, window, dilation, padding, stride)
    return read.permute(2, 0, 1).reshape(-1, window[0] * window[1])
