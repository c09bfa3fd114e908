"""The order of a merged graph: which calls of which members run next, and together.

List scheduling over all members. Among the calls whose inputs are there, the kind is taken of which
the largest share of members is ready, and then the largest share of calls: members that still have
to come to such a call are waited for, as long as there is other work. So candidates that differ in
some layers, or in depth, meet again in those that they have in common. Where the cache has no room
for all members, they are worked off in blocks.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import chain, count, islice, zip_longest

from nas_engine_cgo.members import Program, for_each
from nas_engine_cgo.merge.blocks import Block, calls_at_once
from nas_engine_cgo.merge.deduplicate import Slot
from nas_engine_cgo.merge.needs import needs_of
from nas_engine_cgo.merge.signature import Signature

__all__ = ["Step", "schedule"]


@dataclass(frozen=True, slots=True)
class Step:
    """Calls that run as one: (member, index of the call), of a member one or several.

    ``signature`` is None for a call that runs as it is.
    """

    calls: tuple[Slot, ...]
    signature: Signature | None


def schedule(
    programs: Sequence[Program],
    signatures: Sequence[Sequence[Signature | None]],
    canonical: Mapping[Slot, Slot],
    ordered: bool = False,
    room: int | None = None,
) -> tuple[Step, ...]:
    """All calls but those whose results are computed for another member, in an order to run them.

    Of one member, too, calls run as one: those of edges of a cell that leave a node. But not those
    that read one parameter, as the steps of a recurrent layer do, and not in a graph of one member.

    Takes a time that grows with the number of calls, times the logarithm of that of signatures.

    Args:
        programs: the members'.
        signatures: for each of their calls.
        canonical: value → the value that is computed in its place.
        ordered: whether the calls of a member that read one value keep their order, and a step has
            one call of each member.
        room: bytes that the largest value of a call may take in all calls of a step; None for no
            bound.
    """
    needs = needs_of(programs, canonical, ordered)
    followers: dict[Slot, list[Slot]] = defaultdict(list)
    for slot, needed in needs.items():
        for each in needed:
            followers[each].append(slot)
    waiting = {slot: len(needed) for slot, needed in needs.items()}
    one_each = ordered or len(programs) == 1
    claims = for_each(programs, lambda program: _claims(program, one_each))
    at_once = for_each(programs, lambda program: calls_at_once(program, room))
    agenda = _Agenda(_kinds(signatures, at_once), claims, needs)
    for slot, missing in waiting.items():
        if not missing:
            agenda.add(slot)
    steps: list[Step] = []
    while (step := agenda.next()) is not None:
        steps.append(step)
        for slot in step.calls:
            for follower in followers[slot]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    agenda.add(follower)
    return tuple(steps)


def _claims(program: Program, one_each: bool) -> list[frozenset[Hashable]]:
    """For each call what it has by itself: no two calls of a member in one step claim the same."""
    if one_each:
        return [frozenset([program])] * len(program.calls)
    own = [n for n, source in program.sources.items() if source.kind in ("parameter", "buffer")]
    return [frozenset(own).intersection(call.inputs) for call in program.calls]


Rank = tuple[Block, float, float, int, int, int]


@dataclass(eq=False)
class _Kind:
    """The calls of one signature in a block.

    Attributes:
        signature: theirs.
        block: the members.
        most: how many may be one step; None for all.
        left: member → how many have yet to run.
        ready: member → (turn, index) of those that can run, each in the order of turns, and the
            members in that of their first.
        first: the least index of a call that would run next.
    """

    signature: Signature
    block: Block
    most: int | None
    left: Counter[int] = field(default_factory=Counter)
    ready: dict[int, deque[tuple[int, int]]] = field(default_factory=dict)
    first: int = 0

    def add(self, turn: int, slot: Slot) -> None:
        member, call = slot
        if member not in self.ready:
            self.first = min(self.first, call) if self.ready else call
            self.ready[member] = deque()
        self.ready[member].append((turn, call))

    def rank(self) -> Rank:
        """Least for the kind to take next; no two are equal, for each call has its own turn."""
        there, calls = len(self.ready), sum(map(len, self.ready.values()))
        (turn, _), *_ = next(iter(self.ready.values()))
        share = there / len(self.left), calls / self.left.total()
        return self.block, -share[0], -share[1], -calls, self.first, turn

    def take(self, claims: Sequence[Sequence[frozenset[Hashable]]]) -> tuple[Slot, ...]:
        """The ready calls that may run as one; if these are too many, the first of each member."""
        able = [
            [(member, call) for call in _without_common(calls, claims[member])]
            for member, calls in self.ready.items()
        ]
        in_turn = (slot for each in zip_longest(*able) for slot in each if slot is not None)
        taken = frozenset(islice(in_turn, self.most))
        stay: dict[int, deque[tuple[int, int]]] = {}
        for member, calls in self.ready.items():
            others = deque((turn, call) for turn, call in calls if (member, call) not in taken)
            self.left[member] -= len(calls) - len(others)
            if not self.left[member]:
                del self.left[member]
            if others:
                stay[member] = others
        self.ready = dict(sorted(stay.items(), key=lambda item: item[1][0]))
        self.first = min((calls[0][1] for calls in stay.values()), default=0)
        return tuple(slot for slot in chain(*able) if slot in taken)


def _without_common(
    calls: Iterable[tuple[int, int]], claims: Sequence[frozenset[Hashable]]
) -> Iterator[int]:
    """Of calls of a member those that claim nothing that an earlier one claims."""
    claimed: set[Hashable] = set()
    for _, call in calls:
        if claimed.isdisjoint(claims[call]):
            claimed |= claims[call]
            yield call


class _Agenda:
    """The calls that can run.

    Args:
        kinds: for each call of each member.
        claims: likewise, what two calls of a step may not both have.
        slots: those that have to run.
    """

    def __init__(
        self,
        kinds: Sequence[Sequence[_Kind | None]],
        claims: Sequence[Sequence[frozenset[Hashable]]],
        slots: Iterable[Slot],
    ) -> None:
        self._kinds, self._claims = kinds, claims
        self._turns = count()
        self._single: deque[Slot] = deque()
        self._changed: set[_Kind] = set()
        # A heap, with ranks that hold no more; the number in the middle lets none compare kinds.
        self._best: list[tuple[Rank, int, _Kind]] = []
        for member, call in slots:
            if (kind := self._kinds[member][call]) is not None:
                kind.left[member] += 1

    def add(self, slot: Slot) -> None:
        """A call can run from now on."""
        kind = self._kinds[slot[0]][slot[1]]
        if kind is None:
            self._single.append(slot)
        else:
            kind.add(next(self._turns), slot)
            self._changed.add(kind)

    def next(self) -> Step | None:
        """Take what is best to run now; None if nothing is left."""
        if self._single:
            return Step((self._single.popleft(),), None)
        for kind in self._changed:
            if kind.ready:
                heappush(self._best, (kind.rank(), next(self._turns), kind))
        self._changed.clear()
        while self._best:
            rank, _, kind = heappop(self._best)
            if kind.ready and rank == kind.rank():
                self._changed.add(kind)
                return Step(kind.take(self._claims), kind.signature)
        return None


def _kinds(
    signatures: Sequence[Sequence[Signature | None]], at_once: Sequence[Sequence[int | None]]
) -> list[list[_Kind | None]]:
    """The kind of each call of each member."""
    count = len(signatures)
    kinds: dict[Signature, dict[Block, _Kind]] = defaultdict(dict)
    # To look up a signature takes long: that is done once for members that are alike.
    known = for_each(signatures, lambda marked: [kinds[mark] for mark in marked])

    def of(member: int) -> Iterator[_Kind | None]:
        blocks = {most: Block.of(member, most or count, count) for most in set(at_once[member])}
        marked = zip(signatures[member], known[member], at_once[member], strict=True)
        for mark, here, most in marked:
            block = blocks[most]
            if mark is not None and block not in here:
                here[block] = _Kind(mark, block, most)
            yield here.get(block)

    return [list(of(member)) for member in range(count)]
