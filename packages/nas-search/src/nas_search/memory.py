"""Memory that training frees and takes again at each step, kept in the process meanwhile."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

__all__ = ["kept_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # As malloc.h numbers them.
_ALL = 2**31 - 1
_LARGE = 32 << 20
"""The most that glibc takes as a limit from which on memory is mapped for itself."""
_MAPPED = 65536
"""How many blocks glibc lets be mapped for themselves."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed in the block for what is allocated next, and give it back at the end.

    By itself glibc gives memory back to the system once a few megabytes at the end of the heap are
    free, and each block of more than 32 MiB at once. The activations of a model are, and the
    gradients of large layers: each step would get them anew, page by page and cleared, which costs
    up to a third of the time of merged models. Blocks may lie in each other and run in several
    threads. Where there is no glibc nothing is done.

    After the block the thresholds are those that glibc itself arrives at when it moves them: 32 MiB
    to map memory for itself, twice as much to give it back.

    >>> with kept_memory():
    ...     total = sum(range(10))
    """
    _USERS.come()
    try:
        yield
    finally:
        _USERS.go()


class _Users:
    """Counts who needs the memory."""

    def __init__(self) -> None:
        self._count, self._lock = 0, Lock()

    def come(self) -> None:
        with self._lock:
            self._count += 1
            if self._count == 1 and (libc := _glibc()):
                libc.mallopt(_MMAP_MAX, 0)
                libc.mallopt(_TRIM_THRESHOLD, _ALL)

    def go(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0 and (libc := _glibc()):
                libc.mallopt(_MMAP_MAX, _MAPPED)
                libc.mallopt(_MMAP_THRESHOLD, _LARGE)
                libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGE)
                libc.malloc_trim(0)


_USERS = _Users()


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of the process, if it is that of GNU."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
