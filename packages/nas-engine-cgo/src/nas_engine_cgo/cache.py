"""The size of this machine's second-level cache: what fused operations should stay within."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

__all__ = ["cache_bytes", "room_for_steps"]

_USUAL = 1 << 20
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
"""Where Linux tells of the caches of a core, a folder for each."""
_HELD = 4
"""A step reads a value and gives another, and so does its gradient, which reads the value, too."""
_HELD_TO_THE_BIT = 2
"""Where bits count a call costs more, which lays images and weights out anew."""


@cache
def cache_bytes() -> int:
    """Bytes of one core's second-level cache; a usual size where the system does not tell.

    >>> cache_bytes() > 0
    True
    """
    return _second_level(_CACHES) or _USUAL


def _second_level(caches: Path) -> int | None:
    """What Linux tells, such as ``2048K``."""
    try:
        for folder in caches.glob("index*"):
            if (folder / "level").read_text().strip() == "2":
                return int((folder / "size").read_text().strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        pass
    return None


def room_for_steps(device: torch.device, exact: bool = False) -> int | None:
    """Bytes that a value may take in a step, so that the next step finds it in the cache.

    None for a device that is fastest with large steps.

    >>> room_for_steps(torch.device("cpu")) == cache_bytes() // 4
    True
    """
    held = _HELD_TO_THE_BIT if exact else _HELD
    return cache_bytes() // held if device.type == "cpu" else None
