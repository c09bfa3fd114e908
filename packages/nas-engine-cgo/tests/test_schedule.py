"""The order of merged calls is that of the rule as it is told, which looks at everything anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_engine_cgo.members.program import Call, Facts, Program, Ref, Source
from nas_engine_cgo.merge import Signature, Slot, Step, deduplicate, schedule
from nas_engine_cgo.merge.needs import needs_of

FACTS = Facts((2, 3), torch.float32, (3, 1))
NAMES = ("relu", "tanh", "linear", "add", "dropout")
Marks = Sequence[Sequence[Signature | None]]


def by_the_rule(
    programs: Sequence[Program], marks: Marks, canonical: Mapping[Slot, Slot], ordered: bool
) -> list[Step]:
    """Of what is ready the kind with the largest share, then the most, then the earliest calls.

    The share is that of members, and then that of calls. Of each member its calls are taken, but
    those that read a parameter or buffer that one of these reads; if they are ordered, or there is
    one member, the first.
    """
    several = not ordered and len(programs) > 1
    left = needs_of(programs, canonical, ordered)
    ready = [slot for slot, needs in left.items() if not needs]
    steps: list[Step] = []
    while left:
        single = [slot for slot in ready if marks[slot[0]][slot[1]] is None]
        best: Step | None = Step((single[0],), None) if single else None
        most: Any = None
        for mark in [] if single else dict.fromkeys(marks[m][c] for m, c in ready):
            heads: dict[int, list[Slot]] = {}
            for slot in ready:
                if marks[slot[0]][slot[1]] == mark:
                    taken = heads.setdefault(slot[0], [])
                    claimed = set[int]().union(*(own_of(programs, s) for s in taken))
                    if not taken or (several and not claimed & own_of(programs, slot)):
                        taken.append(slot)
            there = [slot for slot in ready if marks[slot[0]][slot[1]] == mark]
            awaited = [slot for slot in left if marks[slot[0]][slot[1]] == mark]
            members = len(heads) / len({member for member, _ in awaited})
            first = min(taken[0][1] for taken in heads.values())
            rank = (members, len(there) / len(awaited), len(there), -first)
            if most is None or rank > most:
                best, most = Step(tuple(chain(*heads.values())), mark), rank
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
    facts = dict.fromkeys(range(3 + len(calls)), FACTS)
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


@given(merged(), st.booleans())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_order_is_that_of_the_rule(
    given: tuple[list[Program], Marks, bool], shared: bool
) -> None:
    members, marks, ordered = given
    canonical = deduplicate(members, lambda _, number: number if shared and number != 1 else None)
    steps = schedule(members, marks, canonical, ordered)
    assert list(steps) == by_the_rule(members, marks, canonical, ordered)
    # Whatever the rule: each call once, and after those that it needs.
    needs, done = needs_of(members, canonical, ordered), set[Slot]()
    for step in steps:
        assert not ordered or len({member for member, _ in step.calls}) == len(step.calls)
        own = Counter((slot[0], n) for slot in step.calls for n in own_of(members, slot))
        assert step.signature is None or set(own.values()) <= {1}
        assert all(needs[slot] <= done for slot in step.calls)
        done |= set(step.calls)
    assert done == needs.keys()
