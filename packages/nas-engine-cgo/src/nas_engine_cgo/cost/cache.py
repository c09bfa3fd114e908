"""The size of this machine's second-level cache: what fused operations should stay within."""

from __future__ import annotations

import os

__all__ = ["cache_bytes"]

_USUAL = 1 << 20


def cache_bytes() -> int:
    """Bytes of one core's second-level cache; a usual size where the system does not tell.

    >>> cache_bytes() > 0
    True
    """
    try:
        found = os.sysconf("SC_LEVEL2_CACHE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _USUAL
    return found if found > 0 else _USUAL
