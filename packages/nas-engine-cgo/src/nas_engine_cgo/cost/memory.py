"""How much memory a member takes while it is trained."""

from __future__ import annotations

from nas_engine_cgo.members import Program

__all__ = ["largest_activation", "training_memory"]


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
