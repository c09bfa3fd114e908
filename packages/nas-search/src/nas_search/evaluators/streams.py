"""Random streams of their own, so that data and model never draw from each other's."""

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def derive(seed: int, purpose: str) -> int:
    """Give the seed of a purpose under another seed: equal on every machine.

    >>> derive(0, "order"), derive(0, "split")
    (5231958647509549229, 3769940940748469125)
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Stream:
    """The state of torch's, Python's and NumPy's generators, put in place while data is read.

    A dataset that augments its images draws from the global generators. Inside ``with
    stream.active():`` these hold this stream's state; outside they are as if no data had been read.
    So a model that draws random numbers itself (dropout) sees the same ones whatever its data does.

    >>> torch.manual_seed(1) and None
    >>> before = torch.get_rng_state()
    >>> with Stream(5).active():
    ...     drawn = torch.rand(3)
    >>> torch.equal(before, torch.get_rng_state())
    True
    """

    def __init__(self, seed: int) -> None:
        numpy = _numpy()
        self._state = (
            torch.Generator().manual_seed(seed).get_state(),
            random.Random(seed).getstate(),
            numpy and numpy.random.RandomState(seed % 2**32).get_state(),
        )

    @contextmanager
    def active(self) -> Iterator[None]:
        """Put the stream in place; it goes on from where it was left."""
        outer = _swap(self._state)
        try:
            yield
        finally:
            self._state = _swap(outer)


def _numpy() -> Any:
    return sys.modules.get("numpy")


def _swap(state: tuple[torch.Tensor, Any, Any]) -> tuple[torch.Tensor, Any, Any]:
    numpy = _numpy()
    old = (torch.get_rng_state(), random.getstate(), numpy and numpy.random.get_state())
    torch.set_rng_state(state[0])
    random.setstate(state[1])
    if state[2] is not None:
        numpy.random.set_state(state[2])
    return old
