"""Activations on CPU: torch's gradient of few channels that are cut out of others is slow."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from nas_engine_cgo.kernels.layout import by_pixel, felt_whole

__all__ = ["relu"]

_FEW = 16
"""From so many channels on a pixel fills a vector of the processor."""


def relu(input: Tensor, inplace: bool = False) -> Tensor:  # noqa: A002 (as torch calls it)
    """``torch.nn.functional.relu``.

    >>> import torch
    >>> relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    made = functional.relu(input, inplace)
    few = by_pixel(made) and made.shape[1] < _FEW and made.device.type == "cpu"
    return felt_whole(made) if few and not inplace else made
