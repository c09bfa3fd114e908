"""Weights from one module to another that was built alike."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn

__all__ = ["take_over"]


def take_over(made: nn.Module, model: nn.Module) -> None:
    """Gives a module the parameters, the buffers, those too that are not stored, and the mode.

    Args:
        made: what is changed; it has the same names and shapes as ``model``.
        model: what it takes over from.

    >>> made, model = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> take_over(made, model)
    >>> torch.equal(made.weight, model.weight)
    True
    """
    theirs = dict(chain(model.named_parameters(), model.named_buffers()))
    with torch.no_grad():
        for name, tensor in chain(made.named_parameters(), made.named_buffers()):
            _stored(tensor).copy_(_stored(theirs[name]))
    made.train(model.training)


def _stored(tensor: Tensor) -> Tensor:
    """The part of an expanded tensor that is there once; an expanded one can't be written to."""
    for dim, step in enumerate(tensor.stride()):
        if step == 0 and tensor.shape[dim] > 1:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor
