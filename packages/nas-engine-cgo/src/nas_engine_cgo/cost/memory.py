"""How much memory a member takes while it is trained, and how much there is."""

from __future__ import annotations

from pathlib import Path

import torch

from nas_engine_cgo.members import Program

__all__ = ["available", "largest_activation", "training_memory"]


def training_memory(program: Program) -> int:
    """Bytes of a member's training step: what its calls compute, kept for the gradients, and these.

    Parameters count three times: themselves, their gradients, and a state of the optimiser.
    """
    computed = sum(_bytes(program, n) for call in program.calls for n in call.outputs)
    held = sum(_bytes(program, n) for n, source in program.sources.items() if source.trained)
    return 2 * computed + 3 * held


def largest_activation(program: Program) -> int:
    """Bytes of the largest value that a call of the program computes."""
    return max((_bytes(program, n) for call in program.calls for n in call.outputs), default=0)


def _bytes(program: Program, number: int) -> int:
    facts = program.facts[number]
    count = facts.dtype.itemsize
    for size in facts.shape:
        count *= size
    return count


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
