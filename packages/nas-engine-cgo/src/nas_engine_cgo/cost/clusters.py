"""Which members are merged with each other: similar ones, as many as pays."""

from __future__ import annotations

from collections.abc import Sequence

from nas_engine_cgo.members import Program

__all__ = ["similar"]


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
