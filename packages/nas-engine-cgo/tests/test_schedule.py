"""The order of merged calls is that of the rule as it is told, which looks at everything anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_engine_cgo.members.program import Call, Facts, Program, Ref, Source
from nas_engine_cgo.merge import Signature, Slot, Step, arrange, deduplicate, schedule
from nas_engine_cgo.merge.needs import needs_of

FLOATS = (1, 2, 3, 5)  # in a value
NAMES = ("relu", "tanh", "linear", "add", "dropout")
Marks = Sequence[Sequence[Signature | None]]


def by_the_rule(
    programs: Sequence[Program],
    marks: Marks,
    canonical: Mapping[Slot, Slot],
    ordered: bool,
    room: int | None,
) -> list[Step]:
    """Of what is ready the kind with the largest share, then the most, then the earliest calls.

    The share is that of members, and then that of calls. Of each member its calls are taken, but
    those that read a parameter or buffer that one of these reads; if they are ordered, or there is
    one member, the first. Where these are more than have room, the first of each member are taken
    before a second one. Before all that come the members of the block that ends first, and of
    blocks that end with the same member those of the smallest.
    """

    def kind(slot: Slot) -> tuple[Signature | None, tuple[int, int]]:
        return marks[slot[0]][slot[1]], block_of(programs, slot, room)

    several = not ordered and len(programs) > 1
    left = needs_of(programs, canonical, ordered)
    ready = [slot for slot, needs in left.items() if not needs]
    steps: list[Step] = []
    while left:
        single = [slot for slot in ready if marks[slot[0]][slot[1]] is None]
        best: Step | None = Step((single[0],), None) if single else None
        most: Any = None
        for mark, block in [] if single else dict.fromkeys(map(kind, ready)):
            heads: dict[int, list[Slot]] = {}
            for slot in ready:
                if kind(slot) == (mark, block):
                    taken = heads.setdefault(slot[0], [])
                    claimed = set[int]().union(*(own_of(programs, s) for s in taken))
                    if not taken or (several and not claimed & own_of(programs, slot)):
                        taken.append(slot)
            there = [slot for slot in ready if kind(slot) == (mark, block)]
            awaited = [slot for slot in left if kind(slot) == (mark, block)]
            members = len(heads) / len({member for member, _ in awaited})
            first = min(taken[0][1] for taken in heads.values())
            last, size = block
            rank = (-last, -size, members, len(there) / len(awaited), len(there), -first)
            if most is None or rank > most:
                turns = [call for calls in zip_longest(*heads.values()) for call in calls if call]
                chosen = turns[: room_of(programs, turns[0], room)]
                best, most = (
                    Step(tuple(c for c in chain(*heads.values()) if c in chosen), mark),
                    rank,
                )
        assert best is not None
        steps.append(best)
        for slot in best.calls:
            ready.remove(slot)
            del left[slot]
            for follower, needs in left.items():
                was = bool(needs)
                needs.discard(slot)
                if was and not needs:
                    ready.append(follower)
    return steps


def block_of(programs: Sequence[Program], slot: Slot, room: int | None) -> tuple[int, int]:
    """The last member of those that may share a step with a call, and how many there may be."""
    count = len(programs)
    size = min(count, room_of(programs, slot, room) or count)
    blocks = [range(start, min(count, start + size)) for start in range(0, count, size)]
    return next(block[-1] for block in blocks if slot[0] in block), size


def room_of(programs: Sequence[Program], slot: Slot, room: int | None) -> int | None:
    """How many such calls have room."""
    program = programs[slot[0]]
    call = program.calls[slot[1]]
    values = {*call.inputs, *call.outputs} - {0, 1, 2}
    largest = max(program.facts[n].shape[0] * program.facts[n].shape[1] * 4 for n in values)
    return None if room is None else max(1, room // largest)


def own_of(programs: Sequence[Program], slot: Slot) -> set[int]:
    """The parameters and buffers that a call reads."""
    program = programs[slot[0]]
    return {n for n in program.calls[slot[1]].inputs if n in (1, 2)}


@st.composite
def programs(draw: Any) -> Program:
    """A few calls, each of some earlier values; some draw random numbers, some change a buffer."""
    sources = {0: Source("input", 0), 1: Source("parameter", "w", trained=True)}
    sources[2] = Source("buffer", "b")
    calls: list[Call] = []
    for number in range(3, 3 + draw(st.integers(0, 9))):
        name = draw(st.sampled_from(NAMES))
        given = draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=3))
        writes = (2,) if draw(st.integers(0, 9)) == 0 else ()
        calls.append(
            Call(
                name, getattr(torch, name, None), tuple(map(Ref, given)), {}, Ref(number),
                effects=name == "dropout" or bool(writes), writes=writes,
            )
        )  # fmt: skip
    floats = [draw(st.sampled_from(FLOATS)) for _ in range(3 + len(calls))]
    facts = {n: Facts((2, count), torch.float32, (count, 1)) for n, count in enumerate(floats)}
    return Program(tuple(calls), sources, facts, Ref(2 + len(calls)))


@st.composite
def merged(draw: Any) -> tuple[list[Program], Marks, bool]:
    """Members, of which some are alike, and what their calls have in common."""
    different = draw(st.lists(programs(), min_size=1, max_size=4))
    chosen = draw(st.lists(st.sampled_from(different), min_size=1, max_size=7))
    mark = st.one_of(st.sampled_from("abc"), st.sampled_from("abc"), st.none())
    marks = {
        id(p): draw(st.lists(mark, min_size=len(p.calls), max_size=len(p.calls))) for p in different
    }
    return chosen, [marks[id(program)] for program in chosen], draw(st.booleans())


@given(merged(), st.booleans(), st.one_of(st.none(), st.integers(1, 120)))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_order_is_that_of_the_rule(
    given: tuple[list[Program], Marks, bool], shared: bool, room: int | None
) -> None:
    members, marks, ordered = given
    canonical = deduplicate(members, lambda _, number: number if shared and number != 1 else None)
    steps = schedule(members, marks, canonical, ordered, room)
    assert list(steps) == by_the_rule(members, marks, canonical, ordered, room)
    # Whatever the rule: each call once, and after those that it needs.
    needs, done = needs_of(members, canonical, ordered), set[Slot]()
    for step in steps:
        assert not ordered or len({member for member, _ in step.calls}) == len(step.calls)
        own = Counter((slot[0], n) for slot in step.calls for n in own_of(members, slot))
        assert step.signature is None or set(own.values()) <= {1}
        assert len({block_of(members, slot, room) for slot in step.calls}) == 1
        assert len(step.calls) <= (room_of(members, step.calls[0], room) or len(needs))
        assert all(needs[slot] <= done for slot in step.calls)
        done |= set(step.calls)
    assert done == needs.keys()


@pytest.mark.parametrize(("floats", "together"), [(1, True), (5_000, False)])
def test_large_values_that_lie_apart_are_not_joined(floats: int, together: bool) -> None:
    """Each adds two values: the first ones of all members lie together, the others of two each."""
    facts = dict.fromkeys(range(4), Facts((1, floats), torch.float32, (floats, 1)))
    calls = (
        Call("relu", torch.relu, (Ref(0),), {}, Ref(1)),
        Call("tanh", torch.tanh, (Ref(0),), {}, Ref(2)),
        Call("add", torch.add, (Ref(1), Ref(2)), {}, Ref(3)),
    )
    members = [Program(calls, {0: Source("input", 0)}, facts, Ref(3)) for _ in range(4)]
    canonical = deduplicate(members, lambda *_: None)
    marks = [("relu", second, "add") for second in ("left", "left", "right", "right")]
    found = arrange(members, schedule(members, marks, canonical), canonical)
    adds = [[member for member, call in step.calls if call == 2] for step in found.steps]
    assert [each for each in adds if each] == ([[0, 1, 2, 3]] if together else [[0, 1], [2, 3]])
    assert found.outputs == tuple(tuple((m, 3) for m in each) for each in adds if each)
