"""Normalisation of channels on CPU.

Torch's own goes through contiguous images pixel row by row, and takes up to six times as long over
images, or gradients, that are cut out of others.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from nas_engine_cgo.kernels.layout import LAST, by_pixel, felt_whole

__all__ = ["batch_norm"]

_SMALL = 4
"""Up to so many pixels an image is brought into another order first."""
_MANY = 1 << 13
"""So many elements are read before that is repaid."""


def batch_norm(
    input: Tensor,  # noqa: A002 (as torch calls it)
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``torch.nn.functional.batch_norm`` up to rounding.

    >>> import torch
    >>> x = torch.randn(16, 256, 2, 2)
    >>> expected = functional.batch_norm(x, None, None, training=True)
    >>> torch.allclose(batch_norm(x, None, None, training=True), expected, atol=1e-5)
    True
    """
    rest = running_mean, running_var, weight, bias, training, momentum, eps
    if by_pixel(input) and input.device.type == "cpu":
        return felt_whole(functional.batch_norm(input.contiguous(memory_format=LAST), *rest))
    if not training or not _slow(input):
        return functional.batch_norm(input, *rest)
    batch, channels, *size = input.shape
    pixels = functional.batch_norm(input.permute(0, 2, 3, 1).reshape(-1, channels), *rest)
    return pixels.view(batch, *size, channels).permute(0, 3, 1, 2).contiguous()


def _slow(x: Tensor) -> bool:
    return (
        x.dim() == 4
        and x.device.type == "cpu"
        and 1 < x[0, 0].numel() <= _SMALL
        and x.numel() >= _MANY
        and x.is_contiguous()
    )
