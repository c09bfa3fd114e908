"""How much memory there is."""

from __future__ import annotations

from pathlib import Path

import torch

__all__ = ["available"]


def available(device: torch.device) -> int:
    """Bytes that can be taken on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return 4 << 30  # Elsewhere: what most machines have.
    (line,) = (line for line in text.splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) << 10
