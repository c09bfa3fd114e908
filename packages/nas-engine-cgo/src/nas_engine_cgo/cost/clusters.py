"""Which members are merged with each other: similar ones, as many as pays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nas_engine_cgo.members import Program

__all__ = ["clusters_of", "similar"]


def similar(programs: Sequence[Program | None]) -> list[int]:
    """The members in an order in which neighbours have as much as possible in common.

    They are sorted by what they do, from the first call on: those that agree longest stand
    together.
    """

    def path(member: int) -> tuple[str, ...]:
        program = programs[member]
        if program is None:
            return ()
        return tuple(
            f"{call.name}{[program.facts[n].shape for n in call.inputs]}" for call in program.calls
        )

    return sorted(range(len(programs)), key=path)


def clusters_of(order: Sequence[int], size: int) -> list[list[int]]:
    """Clusters of at most so many members, as equal as can be.

    >>> clusters_of(range(10), 4)
    [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    """
    count = -(-len(order) // size)
    small, larger = divmod(len(order), count)
    bounds = [0]
    for i in range(count):
        bounds.append(bounds[-1] + small + (i < larger))
    return [list(order[a:b]) for a, b in pairwise(bounds)]
