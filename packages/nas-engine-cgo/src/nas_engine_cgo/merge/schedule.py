"""The order of a merged graph: which calls of which members run next, and together.

List scheduling over all members. Among the calls whose inputs are there, the kind is taken of which
the largest share of members is ready: members that still have to come to such a call are waited
for, as long as there is other work. So candidates that differ in some layers, or in depth, meet
again in those that they have in common.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from nas_engine_cgo.members import Program, for_each
from nas_engine_cgo.merge.deduplicate import Slot
from nas_engine_cgo.merge.needs import needs_of
from nas_engine_cgo.merge.signature import Signature

__all__ = ["Step", "schedule"]


@dataclass(frozen=True, slots=True)
class Step:
    """Calls that run as one: (member, index of the call), each member at most once.

    ``signature`` is None for a call that runs as it is.
    """

    calls: tuple[Slot, ...]
    signature: Signature | None


def schedule(
    programs: Sequence[Program],
    signatures: Sequence[Sequence[Signature | None]],
    canonical: Mapping[Slot, Slot],
    ordered: bool = False,
) -> tuple[Step, ...]:
    """All calls but those whose results are computed for another member, in an order to run them.

    Takes a time that grows with the number of calls, times the logarithm of that of signatures.

    Args:
        programs: the members'.
        signatures: for each of their calls.
        canonical: value → the value that is computed in its place.
        ordered: whether the calls of a member that read one value keep their order.
    """
    needs = needs_of(programs, canonical, ordered)
    followers: dict[Slot, list[Slot]] = defaultdict(list)
    for slot, needed in needs.items():
        for each in needed:
            followers[each].append(slot)
    waiting = {slot: len(needed) for slot, needed in needs.items()}
    agenda = _Agenda(signatures, needs)
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


Rank = tuple[float, int, int, int]


@dataclass(eq=False)
class _Kind:
    """The calls of one signature.

    Attributes:
        signature: theirs.
        left: member → how many have yet to run.
        ready: member → (turn, index) of those that can run, each in the order of turns, and the
            members in that of their first.
        first: the least index of a call that would run next.
    """

    signature: Signature
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
        there = len(self.ready)
        (turn, _), *_ = next(iter(self.ready.values()))
        return -there / len(self.left), -there, self.first, turn

    def take(self) -> tuple[Slot, ...]:
        """The first ready call of each member."""
        taken = tuple((member, calls.popleft()[1]) for member, calls in self.ready.items())
        for member, _ in taken:
            self.left[member] -= 1
            if not self.left[member]:
                del self.left[member]
        again = sorted((calls[0], member) for member, calls in self.ready.items() if calls)
        self.ready = {member: self.ready[member] for _, member in again}
        self.first = min((call for (_, call), _ in again), default=0)
        return taken


class _Agenda:
    """The calls that can run.

    Args:
        signatures: for each call of each member.
        slots: those that have to run.
    """

    def __init__(
        self, signatures: Sequence[Sequence[Signature | None]], slots: Iterable[Slot]
    ) -> None:
        self._kinds = _kinds(signatures)
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
                return Step(kind.take(), kind.signature)
        return None


def _kinds(signatures: Sequence[Sequence[Signature | None]]) -> list[list[_Kind | None]]:
    """The kind of each call of each member; alike members have the same signatures."""
    kinds: dict[Signature, _Kind] = {}

    def kind(signature: Signature | None) -> _Kind | None:
        if signature is not None and signature not in kinds:
            kinds[signature] = _Kind(signature)
        return None if signature is None else kinds[signature]

    return for_each(signatures, lambda each: list(map(kind, each)))
