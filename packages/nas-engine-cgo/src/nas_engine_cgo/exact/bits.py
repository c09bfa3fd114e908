"""Equality to the bit, and random numbers that can be drawn twice."""

from __future__ import annotations

from torch import Generator, Tensor

from nas_engine_cgo.state import Stream

__all__ = ["same_bits", "same_stream"]


def same_bits(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two tensors are equal, NaN included.

    >>> import torch
    >>> same_bits(torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]))
    True
    """
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def same_stream(stream: Stream) -> Stream:
    """A stream that draws what this one will draw."""
    same = Stream(Generator(stream.generator.device))
    same.generator.set_state(stream.generator.get_state())
    same.host.set_state(stream.host.get_state())
    return same
