"""The order of a merged graph: which calls of which members run next, and together.

List scheduling over all members. Among the calls whose inputs are there, the kind is taken of which
the largest share of members is ready: members that still have to come to such a call are waited
for, as long as there is other work. So candidates that differ in some layers, or in depth, meet
again in those that they have in common.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas_engine_cgo.members import PURE, Call, Program
from nas_engine_cgo.merge.deduplicate import Slot
from nas_engine_cgo.merge.signature import Signature

__all__ = ["Step", "schedule"]


@dataclass(frozen=True, slots=True)
class Step:
    """Calls that run as one: (member, index of the call), each member at most once.

    ``signature`` is None for a call that runs as it is.
    """

    calls: tuple[Slot, ...]
    signature: Signature | None


@dataclass
class _State:
    """What has yet to run."""

    signatures: Sequence[Sequence[Signature | None]]
    waiting: dict[Slot, set[Slot]]
    followers: dict[Slot, list[Slot]]
    ready: list[Slot]
    left: Counter[tuple[int, Signature | None]]

    def signature(self, slot: Slot) -> Signature | None:
        return self.signatures[slot[0]][slot[1]]

    def done(self, slot: Slot) -> None:
        self.ready.remove(slot)
        self.left[slot[0], self.signature(slot)] -= 1
        for follower in self.followers[slot]:
            self.waiting[follower].discard(slot)
            if not self.waiting[follower]:
                self.ready.append(follower)


def schedule(
    programs: Sequence[Program],
    signatures: Sequence[Sequence[Signature | None]],
    canonical: Mapping[Slot, Slot],
    ordered: bool = False,
) -> tuple[Step, ...]:
    """All calls but those whose results are computed for another member, in an order to run them.

    Args:
        programs: the members'.
        signatures: for each of their calls.
        canonical: value → the value that is computed in its place.
        ordered: whether the calls of a member that read one value keep their order.
    """
    state = _prepared(programs, signatures, canonical, ordered)
    steps: list[Step] = []
    while state.ready:
        step = _next(state, len(programs))
        steps.append(step)
        for slot in step.calls:
            state.done(slot)
    return tuple(steps)


def _next(state: _State, members: int) -> Step:
    ready: dict[Signature, dict[int, Slot]] = defaultdict(dict)
    for slot in state.ready:
        signature = state.signature(slot)
        if signature is None:
            return Step((slot,), None)
        ready[signature].setdefault(slot[0], slot)

    def share(signature: Signature) -> tuple[float, int, int]:
        there = ready[signature]
        awaited = sum(
            state.left[member, signature] > 0 for member in range(members) if member not in there
        )
        first = min(call for _, call in there.values())
        return len(there) / (len(there) + awaited), len(there), -first

    best = max(ready, key=share)
    return Step(tuple(ready[best].values()), best)


def _prepared(
    programs: Sequence[Program],
    signatures: Sequence[Sequence[Signature | None]],
    canonical: Mapping[Slot, Slot],
    ordered: bool,
) -> _State:
    makers: dict[Slot, Slot] = {}  # value → the call that computes it
    for member, program in enumerate(programs):
        for index, call in enumerate(program.calls):
            makers |= dict.fromkeys(((member, n) for n in call.outputs), (member, index))
    waiting: dict[Slot, set[Slot]] = {}
    for member, program in enumerate(programs):
        order = _order(program, ordered)
        for index, (call, earlier) in enumerate(zip(program.calls, order, strict=True)):
            if call.outputs and all(canonical[member, n] != (member, n) for n in call.outputs):
                continue
            values = (canonical[member, n] for n in call.inputs)
            waiting[member, index] = {(member, i) for i in earlier} | {
                makers[value] for value in values if value in makers
            }
    followers: dict[Slot, list[Slot]] = defaultdict(list)
    for slot, needs in waiting.items():
        needs.difference_update([needed for needed in needs if needed not in waiting])
        for needed in needs:
            followers[needed].append(slot)
    return _State(
        signatures,
        waiting,
        followers,
        [slot for slot, needs in waiting.items() if not needs],
        Counter((member, signatures[member][index]) for member, index in waiting),
    )


def _order(program: Program, ordered: bool) -> list[set[int]]:
    """For each call the earlier ones that it must follow, besides those that compute its inputs."""
    writer: dict[int, int] = {}  # source → the last call that changed it
    readers: dict[int, set[int]] = defaultdict(set)
    effect: int | None = None
    order: list[set[int]] = []
    for index, call in enumerate(program.calls):
        earlier = set(call.after)
        for number in (*call.inputs, *call.reads, *call.writes):
            if number in writer:
                earlier.add(writer[number])
            if ordered:
                earlier |= readers[number] - {index}
            readers[number].add(index)
        for number in call.writes:
            earlier |= readers[number] - {index}
            writer[number] = index
        if call.effects and not _only_writes(call):
            if effect is not None:
                earlier.add(effect)
            effect = index
        order.append(earlier)
    return order


def _only_writes(call: Call) -> bool:
    """Whether the effect of a call is that on the sources that it writes, and no other."""
    return bool(call.writes) and call.name in PURE
