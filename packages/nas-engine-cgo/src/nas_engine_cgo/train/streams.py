"""Random numbers: each member draws those that it would draw alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Generator, Tensor

__all__ = ["drawing", "dropout_masks"]


@contextmanager
def drawing(stream: Generator) -> Iterator[None]:
    """Let the global generator be this one; it goes on from where it was left."""
    if stream.device.type == "cuda":
        outer = torch.cuda.get_rng_state(stream.device)
        torch.cuda.set_rng_state(stream.get_state(), stream.device)
    else:
        outer = torch.get_rng_state()
        torch.set_rng_state(stream.get_state())
    try:
        yield
    finally:
        if stream.device.type == "cuda":
            stream.set_state(torch.cuda.get_rng_state(stream.device))
            torch.cuda.set_rng_state(outer, stream.device)
        else:
            stream.set_state(torch.get_rng_state())
            torch.set_rng_state(outer)


def dropout_masks(
    x: Tensor,
    streams: Sequence[Generator],
    p: float,
    shape: tuple[int, ...],
    layout: str,
    order: tuple[int, ...],
) -> Tensor:
    """What each member's input is multiplied by, packed as the inputs are.

    Args:
        x: the packed inputs.
        streams: the members' random numbers.
        p: the probability of zero.
        shape: that of one sample's mask.
        layout: that of ``x``, ``stack`` or ``channel``.
        order: the dimensions of a member's own input from the outermost in memory: torch draws
            the numbers in that order.

    >>> x = torch.ones(2, 3, 4)  # two members, three samples
    >>> streams = [Generator().manual_seed(seed) for seed in (1, 2)]
    >>> masks = dropout_masks(x, streams, 0.5, (4,), "stack", (0, 1))
    >>> torch.manual_seed(2) and None
    >>> torch.equal(masks[1], torch.nn.functional.dropout(x[1], 0.5))
    True
    """
    batch = x.shape[1] if layout == "stack" else x.shape[0]
    sizes = (batch, *shape)
    turned = [sizes[d] for d in order] if order else list(sizes)
    masks = x.new_empty((len(streams), *turned))
    for mask, stream in zip(masks.unbind(0), streams, strict=True):
        mask.bernoulli_(1 - p, generator=stream)
    masks.div_(1 - p)
    if order and order != tuple(range(len(order))):
        masks = masks.permute(0, *(1 + order.index(d) for d in range(len(order))))
    return masks if layout == "stack" else masks.transpose(0, 1).flatten(1, 2)
