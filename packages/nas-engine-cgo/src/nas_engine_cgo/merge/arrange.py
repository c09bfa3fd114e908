"""Where values lie: results of a fused step stay packed, and are cut only where readers need it.

The calls of a step are put in the order in which what they take lies, by that of their arguments
which leaves the fewest pieces, so that whoever reads all of a pack takes it as it is, and whoever
reads a part takes whole pieces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeAlias

from nas_engine_cgo.members import Program
from nas_engine_cgo.merge.deduplicate import Slot
from nas_engine_cgo.merge.schedule import Step

__all__ = ["Arrangement", "Place", "arrange"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies: at a position of an output of a step."""

    step: int
    output: int
    position: int


_Row: TypeAlias = tuple[Slot, list[Place | None]]
"""A call, and where each of the values that it takes lies, if a step computes it."""


@dataclass(frozen=True)
class Arrangement:
    """Steps whose calls are in the order of their results, and what is read together.

    Attributes:
        steps: what runs.
        places: value → where it lies, for values that a step computes.
        cuts: (step, output) → positions at which the pack is cut for some reader.
    """

    steps: tuple[Step, ...]
    places: Mapping[Slot, Place]
    cuts: Mapping[tuple[int, int], frozenset[int]]


def arrange(
    programs: Sequence[Program],
    steps: Sequence[Step],
    canonical: Mapping[Slot, Slot],
    readers: Sequence[Sequence[Slot]],
) -> Arrangement:
    """Order the calls of every step, and find the cuts.

    Args:
        programs: the members'.
        steps: in the order in which they run.
        canonical: value → the value that is computed in its place.
        readers: values that are read together at the end.
    """
    places: dict[Slot, Place] = {}
    ordered: list[Step] = []
    runs: list[list[Place | None]] = []

    def lying(slot: Slot) -> _Row:
        member, call = slot
        inputs = programs[member].calls[call].inputs
        return slot, [places.get(canonical[member, number]) for number in inputs]

    for index, step in enumerate(steps):
        rows = _ordered([lying(slot) for slot in step.calls])
        calls = [slot for slot, _ in rows]
        ordered.append(Step(tuple(calls), step.signature))
        runs += map(list, zip(*(taken for _, taken in rows), strict=True))
        for position, (member, call) in enumerate(calls):
            for output, number in enumerate(programs[member].calls[call].outputs):
                places[member, number] = Place(index, output, position)
    runs += [[places.get(canonical[slot]) for slot in group] for group in readers]
    sizes = [len(step.calls) for step in ordered]
    return Arrangement(tuple(ordered), places, _cuts(runs, sizes))


def _ordered(rows: list[_Row]) -> list[_Row]:
    """Calls in the order of that argument which leaves the fewest pieces."""
    columns = zip(*(taken for _, taken in rows), strict=True)
    computed = [argument for argument, column in enumerate(columns) if any(column)]
    orders = [sorted(rows, key=partial(_position, argument)) for argument in computed]
    return min(orders, key=_pieces, default=sorted(rows, key=lambda row: row[0][0]))


def _position(argument: int, row: _Row) -> tuple[int, int, int]:
    """Where an argument lies, or else the first that a step has computed."""
    (member, _), taken = row
    for place in (taken[argument], *taken):
        if place is not None:
            return place.step, place.position, member
    return -1, 0, member


def _pieces(rows: list[_Row]) -> int:
    """In how many pieces all arguments lie."""
    columns = zip(*(taken for _, taken in rows), strict=True)
    return sum(
        1
        for column in columns
        for before, after in pairwise((None, *column))
        if after is not None and (before is None or not _adjacent(before, after))
    )


def _cuts(
    runs: Sequence[Sequence[Place | None]], sizes: Sequence[int]
) -> dict[tuple[int, int], frozenset[int]]:
    cuts: dict[tuple[int, int], set[int]] = defaultdict(set)
    for run in runs:
        for before, after in zip([None, *run], [*run, None], strict=True):
            if before is not None and after is not None and _adjacent(before, after):
                continue
            if before is not None and before.position + 1 < sizes[before.step]:
                cuts[before.step, before.output].add(before.position + 1)
            if after is not None and after.position > 0:
                cuts[after.step, after.output].add(after.position)
    return {pack: frozenset(found) for pack, found in cuts.items()}


def _adjacent(before: Place, after: Place) -> bool:
    same = (before.step, before.output) == (after.step, after.output)
    return same and before.position + 1 == after.position
