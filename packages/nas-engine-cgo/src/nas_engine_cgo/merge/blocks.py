"""Blocks: a step has as many calls as there is room for in the cache, of members side by side.

Members of a convolutional net are merged a few at a time where images are large, and all at once
where they have become small. What a step has left in the cache is read from there by the next one,
for all that a block can do is done before the next block begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas_engine_cgo.members import Program

__all__ = ["Block", "calls_at_once"]


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """Members that stand next to each other, in the order in which blocks run.

    Those of small blocks come before a larger one that needs them: blocks within blocks are worked
    off depth first.

    Attributes:
        last: its last member.
        size: how many members there may be.
    """

    last: int
    size: int

    @staticmethod
    def of(member: int, size: int, count: int) -> Block:
        """The one of a member, of so many members in all, with room for so many.

        >>> sorted({Block.of(member, size, 5) for member in range(5) for size in (2, 4)})
        [Block(last=1, size=2), Block(last=3, size=2), Block(last=3, size=4), \
Block(last=4, size=2), Block(last=4, size=4)]
        """
        return Block(min(count, (member // size + 1) * size) - 1, min(count, size))


def calls_at_once(program: Program, room: int | None) -> list[int | None]:
    """For each call of a member how many such calls there may be in a step; None for no bound.

    Args:
        program: the member's.
        room: bytes that the largest value of a call may take in all calls of a step together; None
            for as much as they take.
    """

    def at(numbers: tuple[int, ...]) -> int | None:
        values = (program.facts[n].bytes for n in numbers if n not in program.sources)
        largest = max(values, default=0)
        return None if room is None or not largest else max(1, room // largest)

    return [at((*call.inputs, *call.outputs)) for call in program.calls]
