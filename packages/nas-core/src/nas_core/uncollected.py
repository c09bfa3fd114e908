"""The search for garbage, put off while something is made of which most stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python collect no garbage in the block, if it does otherwise.

    To convert a model or to plan a training makes many objects, which stay in use up to its end.
    Each time there are a quarter more of them than before, Python looks through all that it has
    imported as well, which takes a fifth of a second.

    >>> with uncollected():
    ...     gc.isenabled()
    False
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
