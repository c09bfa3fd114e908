"""Planning without a look through all objects of the process in the middle of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python collect no garbage in the block, if it does otherwise.

    Planning makes many objects, most of which stay until the members are trained. Each time
    there are a quarter more of them than before, Python looks through all that it has imported as
    well, which takes as long as planning a dozen members.

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
