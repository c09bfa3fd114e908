"""Which members are merged with each other: similar ones, as many as pays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from nas_engine_cgo.members import Program
from nas_engine_cgo.members.program import for_each

__all__ = ["Deeds", "deeds", "likeness", "similar"]

Deeds: TypeAlias = tuple[str, ...]
"""What a member does, call by call: functions and the shapes that they take."""


def deeds(programs: Sequence[Program | None]) -> list[Deeds]:
    """What each member does; nothing, where that is not known."""

    def of(program: Program | None) -> Deeds:
        if program is None:
            return ()
        return tuple(
            f"{call.name}{[program.facts[n].shape for n in call.inputs]}" for call in program.calls
        )

    return for_each(programs, of)


def similar(done: Sequence[Deeds]) -> list[int]:
    """The members in an order in which neighbours have as much as possible in common.

    They are sorted by what they do, from the first call on: those that agree longest stand
    together.

    >>> similar([("conv", "relu"), ("linear",), ("conv", "pool")])
    [2, 0, 1]
    """
    return sorted(range(len(done)), key=lambda member: done[member])


def likeness(done: Sequence[Deeds]) -> float:
    """How many members take part in a call on average, if all that are alike are one.

    >>> likeness([("conv", "relu"), ("conv", "relu"), ("conv", "pool")])
    2.0
    """
    merged: Counter[str] = Counter()
    for each in set(done):
        merged |= Counter(each)
    return sum(map(len, done)) / max(1, merged.total())
