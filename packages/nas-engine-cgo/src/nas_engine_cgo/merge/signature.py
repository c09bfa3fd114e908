"""When calls of different members are the same call: what has to be equal for them to be fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

from nas_engine_cgo.members import PURE, Call, Program

__all__ = ["Signature", "signatures"]

Signature = Hashable


def signatures(
    program: Program, fits: Callable[[Call, Program], bool]
) -> tuple[Signature | None, ...]:
    """For each call what equal calls of other members share; None for a call that runs alone.

    Args:
        program: the member's.
        fits: whether a call can be fused at all.
    """
    uses = program.uses()
    writers = Counter(number for call in program.calls for number in call.writes)
    made: list[Signature | None] = []
    for call in program.calls:
        # A buffer that is changed lies in one place: no other call may want it elsewhere. Nor may
        # one change it again, when those of other members are noted for the way back.
        shared = any(
            uses[number] > 1 or writers[number] > 1 or number not in call.inputs
            for number in call.writes
        )
        made.append(None if shared or not fits(call, program) else _signature(call, program))
    return tuple(made)


def _signature(call: Call, program: Program) -> Signature:
    def facts(number: int) -> Hashable:
        known, source = program.facts[number], program.sources.get(number)
        role = None if source is None else (source.kind, source.trained)
        # Random numbers are drawn in the order in which the values lie in memory.
        order = () if call.name in PURE else known.order
        return known.shape, known.dtype, role, order, number in call.writes

    return call.name, call.grad, call.template, tuple(map(facts, call.inputs))
