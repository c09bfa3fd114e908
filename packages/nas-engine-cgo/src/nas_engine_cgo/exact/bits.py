"""Equality to the bit."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["same_bits"]


def same_bits(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two tensors are equal, NaN included.

    >>> same_bits(torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]))
    True
    """
    if a is None or b is None:
        return a is b
    if a.shape != b.shape or not a.layout == b.layout == torch.strided:
        return False  # Nobody trains by sparse gradients here.
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())
