"""Where values lie: results of a fused step stay packed, and are cut only where readers need it.

The calls of a step are put in the order in which what they take lies, by that of their arguments
which leaves the fewest pieces, so that whoever reads all of a pack takes it as it is, and whoever
reads a part takes whole pieces. A step that would have to join more than it saves is several: one
for each run of calls that take whole pieces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeAlias

from nas_engine_cgo.members import ELEMENTWISE, Program
from nas_engine_cgo.merge.deduplicate import Slot
from nas_engine_cgo.merge.schedule import Step

__all__ = ["Arrangement", "Place", "arrange"]


_JOIN = 64 << 10
"""Bytes that are joined in the time that a join takes for itself."""
_ELEMENTWISE, _OTHERS = 100 << 10, {"batch_norm": 400 << 10}
"""Likewise in the time that one more call takes, forward and backward."""


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
        outputs: those of the members, by the step that computes them.
        cuts: (step, output) → positions at which the pack is cut for some reader.
    """

    steps: tuple[Step, ...]
    places: Mapping[Slot, Place]
    outputs: tuple[tuple[Slot, ...], ...]
    cuts: Mapping[tuple[int, int], frozenset[int]]


def arrange(
    programs: Sequence[Program],
    steps: Sequence[Step],
    canonical: Mapping[Slot, Slot],
) -> Arrangement:
    """Order the calls of every step, and find the cuts.

    Args:
        programs: the members'.
        steps: in the order in which they run.
        canonical: value → the value that is computed in its place.
    """
    places: dict[Slot, Place] = {}
    ordered: list[Step] = []
    runs: list[list[Place | None]] = []

    def lying(slot: Slot) -> _Row:
        member, call = slot
        inputs = programs[member].calls[call].inputs
        return slot, [places.get(canonical[member, number]) for number in inputs]

    for step in steps:
        for rows in _divided(programs, _ordered([lying(slot) for slot in step.calls])):
            index, calls = len(ordered), [slot for slot, _ in rows]
            ordered.append(Step(tuple(calls), step.signature))
            runs += map(list, zip(*(taken for _, taken in rows), strict=True))
            for position, (member, call) in enumerate(calls):
                for output, number in enumerate(programs[member].calls[call].outputs):
                    places[member, number] = Place(index, output, position)
    outputs = _outputs(programs, places, canonical)
    runs += [[places.get(canonical[slot]) for slot in group] for group in outputs]
    sizes = [len(step.calls) for step in ordered]
    return Arrangement(tuple(ordered), places, outputs, _cuts(runs, sizes))


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
        if after is not None and not _together(before, after)
    )


def _divided(programs: Sequence[Program], rows: list[_Row]) -> Iterator[list[_Row]]:
    """The calls of a step, or runs of them that take whole pieces, if that saves time."""
    (member, index), _ = rows[0]
    program, call = programs[member], programs[member].calls[index]
    more = _ELEMENTWISE if call.name in ELEMENTWISE else _OTHERS.get(call.name)
    if len(rows) == 1 or more is None:
        yield rows
        return
    taken = [places for _, places in rows]
    breaks = [
        [not _together(*places) for places in zip(*pair, strict=True)] for pair in pairwise(taken)
    ]
    joined = sum(
        _JOIN + len(rows) * program.facts[number].bytes
        for number, broken in zip(call.inputs, zip(*breaks, strict=True), strict=True)
        if any(broken)
    )
    bounds = [position for position, broken in enumerate(breaks, 1) if any(broken)]
    if joined < len(bounds) * more:
        bounds = []
    for start, stop in pairwise((0, *bounds, len(rows))):
        yield rows[start:stop]


def _together(before: Place | None, after: Place | None) -> bool:
    """Whether values are side by side; what no step computes lies wherever it is wanted."""
    if before is None or after is None:
        return before is after
    same = (before.step, before.output) == (after.step, after.output)
    return same and before.position + 1 == after.position


def _outputs(
    programs: Sequence[Program], places: Mapping[Slot, Place], canonical: Mapping[Slot, Slot]
) -> tuple[tuple[Slot, ...], ...]:
    groups: dict[int, list[tuple[int, Slot]]] = defaultdict(list)
    for member, program in enumerate(programs):
        slot = (member, program.output.id)
        place = places.get(canonical[slot])
        step, position = (-1 - member, 0) if place is None else (place.step, place.position)
        groups[step].append((position, slot))
    return tuple(tuple(slot for _, slot in sorted(group)) for group in groups.values())


def _cuts(
    runs: Sequence[Sequence[Place | None]], sizes: Sequence[int]
) -> dict[tuple[int, int], frozenset[int]]:
    cuts: dict[tuple[int, int], set[int]] = defaultdict(set)
    for run in runs:
        for before, after in zip([None, *run], [*run, None], strict=True):
            if _together(before, after):
                continue
            if before is not None and before.position + 1 < sizes[before.step]:
                cuts[before.step, before.output].add(before.position + 1)
            if after is not None and after.position > 0:
                cuts[after.step, after.output].add(after.position)
    return {pack: frozenset(found) for pack, found in cuts.items()}
