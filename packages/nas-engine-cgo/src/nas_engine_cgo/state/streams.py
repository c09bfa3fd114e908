"""Random numbers: each member draws those that it would draw alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import repeat

import torch
from torch import Generator, Tensor

from nas_engine_cgo.members import GlobalStates

__all__ = ["Stream", "active_stream", "drawing", "dropout_masks", "ordered"]

_ACTIVE: ContextVar[Stream | None] = ContextVar("_ACTIVE", default=None)


class Stream:
    """The random numbers of a member: torch's from a seed, Python's and NumPy's as they are now.

    Args:
        generator: of the member's device; another one, of its seed, is for the CPU beside a GPU.

    Attributes:
        elsewhere: the states of Python's and NumPy's generators.
        exchanges: whether these are put in place where a module may draw from them.

    >>> import random
    >>> stream = Stream(Generator().manual_seed(1))
    >>> with drawing(stream, everything=True):
    ...     drawn = torch.rand(2), random.random()
    >>> torch.equal(drawn[0], torch.rand(2, generator=Generator().manual_seed(1)))
    True
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = self.host = generator
        if generator.device.type != "cpu":
            self.host = Generator().manual_seed(generator.initial_seed())
        self.elsewhere = GlobalStates.now()
        self.exchanges = True

    def copied(self) -> Stream:
        """A stream that draws what this one will draw."""
        made = copy.copy(self)
        made.generator = made.host = _same(self.generator)
        if self.host is not self.generator:
            made.host = _same(self.host)
        return made

    def swap(self) -> None:
        """Exchange the states of torch's global generators for those kept here."""
        outer = torch.get_rng_state()
        torch.set_rng_state(self.host.get_state())
        self.host.set_state(outer)
        if self.generator.device.type == "cuda":  # Nothing is copied: a CUDA graph may record it.
            default = torch.cuda.default_generators[self.generator.device.index]
            state = default.graphsafe_get_state()
            default.graphsafe_set_state(self.generator.graphsafe_get_state())
            self.generator.graphsafe_set_state(state)

    def swap_others(self) -> None:
        """Exchange the states of Python's and NumPy's generators for those kept here."""
        self.elsewhere, kept = GlobalStates.now(), self.elsewhere
        kept.restore()


def _same(generator: Generator) -> Generator:
    made = Generator(generator.device)
    made.set_state(generator.get_state())
    return made


@contextmanager
def drawing(stream: Stream, everything: bool = False) -> Iterator[None]:
    """Let torch's global generators be this stream's; they go on from where they were left.

    Args:
        stream: whose.
        everything: also Python's and NumPy's generators, if the stream exchanges them.
    """
    everything = everything and stream.exchanges
    stream.swap()
    if everything:
        stream.swap_others()
    token = _ACTIVE.set(stream)
    try:
        yield
    finally:
        _ACTIVE.reset(token)
        stream.swap()
        if everything:
            stream.swap_others()


def active_stream() -> Stream | None:
    """The stream whose numbers torch's global generators draw now, if they are some stream's."""
    return _ACTIVE.get()


def dropout_masks(
    x: Tensor,
    streams: Sequence[Stream],
    p: float,
    shape: tuple[int, ...],
    layout: str,
    order: tuple[int, ...],
    owns: Sequence[tuple[int, ...]] = (),
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
        owns: for each member the shape of its own mask, if zeros are added to the inputs of some.

    >>> x = torch.ones(2, 3, 4)  # two members, three samples
    >>> streams = [Stream(Generator().manual_seed(seed)) for seed in (1, 2)]
    >>> masks = dropout_masks(x, streams, 0.5, (4,), "stack", (0, 1))
    >>> torch.manual_seed(2) and None
    >>> torch.equal(masks[1], torch.nn.functional.dropout(x[1], 0.5))
    True
    """
    batch = x.shape[1] if layout == "stack" else x.shape[0]
    masks = _empty(x, (len(streams), batch, *shape), (0, *(1 + d for d in order)) if order else ())
    for mask, stream, own in zip(masks.unbind(0), streams, owns or repeat(shape), strict=False):
        _draw(mask, 1 - p, stream, own, order)
    masks.div_(1 - p)
    return masks if layout == "stack" else masks.transpose(0, 1).flatten(1, 2)


def _draw(
    mask: Tensor, kept: float, stream: Stream, own: tuple[int, ...], order: tuple[int, ...]
) -> None:
    """Fill a mask; where it is larger than the member's own, nothing is drawn."""
    if mask.shape[1:] == own:
        mask.bernoulli_(kept, generator=stream.generator)
        return
    sizes = (mask.shape[0], *own)
    drawn = _empty(mask, sizes, order).bernoulli_(kept, generator=stream.generator)
    mask.zero_()[tuple(map(slice, sizes))] = drawn


def _empty(like: Tensor, sizes: tuple[int, ...], order: tuple[int, ...]) -> Tensor:
    """A tensor whose dimensions lie in memory in this order, the outermost first."""
    if not order:
        return like.new_empty(sizes)
    turned = like.new_empty([sizes[d] for d in order])
    return turned.permute([order.index(d) for d in range(len(order))])


_EVEN = 64
"""Bytes: a GPU draws several numbers at once for what begins at a multiple of them, as all does
that has memory of its own."""


def ordered(x: Tensor, order: tuple[int, ...]) -> Tensor:
    """A tensor whose dimensions lie in memory in this order, the outermost first.

    >>> ordered(torch.zeros(2, 3), (1, 0)).stride()
    (1, 2)
    """
    turned = x.permute(order)
    if turned.is_contiguous():
        return x if x.device.type == "cpu" or x.data_ptr() % _EVEN == 0 else x.clone()
    return turned.contiguous().permute([order.index(d) for d in range(len(order))])
