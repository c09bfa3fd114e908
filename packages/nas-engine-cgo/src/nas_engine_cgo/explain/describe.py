"""Plan the training of candidates as a job would, and stop before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nas_core import Candidate
from nas_engine_graph.engine import GraphJob

from nas_engine_cgo.cohorts import assembled, threads_of
from nas_engine_cgo.cost import Choice, Memory, choose, training_memory
from nas_engine_cgo.members import Facts
from nas_engine_cgo.merge import Slot
from nas_engine_cgo.options import Options
from nas_engine_cgo.tally import shared_calls
from nas_engine_cgo.train import Loop, Member, Programs, RefusedError, find_twins
from nas_engine_cgo.write import Function

__all__ = ["Cluster", "Cohort", "Described", "Row", "describe"]


@dataclass(frozen=True)
class Row:
    """A call that is made: one step of a merged forward pass, or one that is shared.

    Attributes:
        function: its name.
        numbers: for each call the candidate for whom it is made.
        shapes: those of the tensors that each of them gives and gets.
    """

    function: str
    numbers: tuple[int, ...]
    shapes: str


@dataclass(frozen=True, eq=False)
class Cluster:
    """Candidates that are merged with each other.

    Attributes:
        numbers: theirs, in the order of the function's members.
        function: their forward pass in training; None if none of them could be traced.
        single: those whose module is called as it is, and why.
        memory: bytes that a step takes, estimated.
    """

    numbers: tuple[int, ...]
    function: Function | None
    single: Mapping[int, str]
    memory: int

    def steps(self) -> Iterator[Row]:
        """What runs, in order."""
        for step in self.function.steps if self.function else ():
            yield self._row(step.calls[0], step.calls)

    def shared(self) -> Iterator[Row]:
        """What is computed once for several."""
        for maker, others in shared_calls(self.function).items() if self.function else ():
            yield self._row(maker, [maker, *others])

    def _row(self, first: Slot, slots: Sequence[Slot]) -> Row:
        assert self.function is not None
        program = self.function.programs[first[0]]
        call = program.calls[first[1]]
        given, made = (
            ", ".join(_shape(program.facts[n]) for n in values)
            for values in (call.inputs, call.outputs)
        )
        numbers = tuple(self.numbers[member] for member, _ in slots)
        name = call.name if call.module is None else f"module {call.module}"
        filled = sorted(self.numbers[slot[0]] for slot in slots if self._has_zeros(slot))
        zeros = f", with zeros for {', '.join(map(str, filled))}" if filled else ""
        return Row(name, numbers, f"{given} -> {made}{zeros}")

    def _has_zeros(self, slot: Slot) -> bool:
        """Whether zeros are added to something that the call takes or makes."""
        assert self.function is not None
        program = self.function.programs[slot[0]]
        call = program.calls[slot[1]]
        return any(program.facts[n].own is not None for n in (*call.inputs, *call.outputs))


@dataclass(frozen=True, eq=False)
class Cohort:
    """Candidates that are trained in one loop.

    Attributes:
        numbers: theirs.
        why: what decided how many are merged.
        clusters: those that are merged with each other.
        twins: candidate → the one before it that is the same model in other names.
    """

    numbers: tuple[int, ...]
    why: str
    clusters: tuple[Cluster, ...]
    twins: Mapping[int, int]


@dataclass(frozen=True, eq=False)
class Described:
    """What would happen to candidates.

    Attributes:
        candidates: all of them.
        cohorts: those that are trained together.
        alone: the others, and why.
    """

    candidates: tuple[Candidate, ...]
    cohorts: tuple[Cohort, ...]
    alone: Mapping[int, str]


def describe(jobs: Sequence[GraphJob], options: Options, memory: Memory) -> Described:
    """Plan what a job of these would do.

    Args:
        jobs: one candidate each.
        options: how they are run together.
        memory: what is known of this machine.
    """
    programs: Programs = {}
    cohorts, apart = assembled(jobs, options, programs)
    alone = {number: each.reason for number, each in apart.items()}
    found = []
    for members in cohorts:
        with threads_of(members[0]):
            try:
                choice = choose(members, options, memory, programs)
            except RefusedError as error:
                alone |= {member.candidate.number: str(error) for member in members}
                continue
            if choice.apart:
                alone |= {member.candidate.number: choice.why for member in members}
            else:
                found.append(_cohort(members, options, choice))
    return Described(
        tuple(candidate for job in jobs for candidate in job.candidates), tuple(found), alone
    )


def _cohort(members: Sequence[Member], options: Options, choice: Choice) -> Cohort:
    loop = Loop(members, choice.clusters, choice.options, choice.prepared)
    batches = next(loop.batches())
    clusters = []
    for cluster in loop.merged.clusters:
        compiled, single = loop.merged.code.of(cluster, batches, training=True)
        merged = () if compiled is None else compiled.members
        programs = () if compiled is None else compiled.function.programs
        clusters.append(
            Cluster(
                tuple(members[m].candidate.number for m in merged),
                None if compiled is None else compiled.function,
                {members[m].candidate.number: loop.merged.code.alone[m] for m in single},
                sum(map(training_memory, programs)),
            )
        )
    twins = find_twins(members, options, choice.prepared)
    return Cohort(
        tuple(member.candidate.number for member in members),
        choice.why,
        tuple(clusters),
        {twin.member.candidate.number: twin.first.candidate.number for twin in twins},
    )


def _shape(facts: Facts) -> str:
    """A shape as in ``32x8x8``; ``()`` for a number."""
    return "x".join(map(str, facts.shape)) or "()"
