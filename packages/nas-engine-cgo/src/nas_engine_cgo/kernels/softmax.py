"""Logarithms of softmax of few classes.

Torch takes the classes of each sample by themselves, which is slow if they don't fill a vector of
the processor. With the samples beside each other in memory many are computed at once. Samples that
fill no vector would be computed in yet another way, so that some are added.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from nas_engine_cgo.kernels.linear import FEW

__all__ = ["log_softmax_of_few"]


def log_softmax_of_few(x: Tensor) -> Tensor:
    """``log_softmax`` along the last dimension, up to the order in which classes are added up.

    >>> import torch
    >>> x = torch.randn(3, 5, 10)
    >>> torch.allclose(log_softmax_of_few(x), x.log_softmax(-1), atol=1e-6)
    True
    """
    by_class = x.flatten(0, -2).t()
    samples = by_class.shape[1]
    full = pad(by_class, (0, -samples % FEW)) if samples % FEW else by_class.contiguous()
    return full.log_softmax(0)[:, :samples].t().view(x.shape)
