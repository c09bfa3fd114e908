"""How much memory a member takes while it is trained."""

from __future__ import annotations

from collections import Counter

import torch

from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import Program

__all__ = ["is_out_of_memory", "largest_activation", "recurrent_weights", "training_memory"]

_MANY = 3
"""So many calls find a parameter in the cache if nothing else of that size comes in between."""


def training_memory(program: Program) -> int:
    """Bytes of a member's training step: what its calls compute, kept for the gradients, and these.

    Parameters count three times: themselves, their gradients, and a state of the optimiser.
    """
    computed = sum(program.facts[n].bytes for call in program.calls for n in call.outputs)
    held = sum(program.facts[n].bytes for n, source in program.sources.items() if source.trained)
    return 2 * computed + 3 * held


def largest_activation(program: Program) -> tuple[int, bool]:
    """The largest value that gradients come by: what is frozen is computed once for all.

    Returns:
        Its bytes, and whether a call computes one of that size that can't be merged.
    """
    return max(
        (
            (program.facts[n].bytes, not fits(call, program))
            for call in program.calls
            for n in call.outputs
            if program.felt is None or n in program.felt
        ),
        default=(0, False),
    )


def recurrent_weights(program: Program) -> int:
    """Bytes of parameters that many calls read one after another, as the steps of a cell do."""
    readers = Counter(number for call in program.calls for number in set(call.inputs))
    return sum(
        program.facts[number].bytes
        for number, source in program.sources.items()
        if source.kind == "parameter" and readers[number] >= _MANY
    )


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory is used up.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    True
    """
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
