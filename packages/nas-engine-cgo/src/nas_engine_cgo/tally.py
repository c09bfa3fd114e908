"""How much of a merged forward pass is merged: what is said of it in one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nas_engine_cgo.merge import Slot
from nas_engine_cgo.write import Function

__all__ = ["Tally", "shared_calls", "tally"]


@dataclass(frozen=True)
class Tally:
    """Counts of calls.

    Attributes:
        calls: what the members would call one by one.
        steps: what is called in their place.
        fused: those of the calls that run together with others, as one.
        shared: those whose results are computed for another member.

    >>> print(Tally(calls=40, steps=12, fused=30, shared=4))
    40 calls run as 12: 75 % fused, 10 % computed once for several
    """

    calls: int
    steps: int
    fused: int
    shared: int

    def __str__(self) -> str:
        def share(part: int) -> str:
            return f"{100 * part / max(1, self.calls):.0f} %"

        once = f", {share(self.shared)} computed once for several" if self.shared else ""
        return f"{self.calls} calls run as {self.steps}: {share(self.fused)} fused{once}"


def tally(functions: Iterable[Function]) -> Tally:
    """Count over several merged forward passes."""
    calls = steps = fused = shared = 0
    for function in functions:
        calls += sum(len(program.calls) for program in function.programs)
        steps += len(function.steps)
        fused += sum(len(step.calls) for step in function.steps if len(step.calls) > 1)
        shared += sum(len(others) for others in shared_calls(function).values())
    return Tally(calls, steps, fused, shared)


def shared_calls(function: Function) -> dict[Slot, list[Slot]]:
    """Call that is computed → calls of other members that take its results, as (member, index)."""
    makers = {
        (member, number): (member, index)
        for member, program in enumerate(function.programs)
        for index, call in enumerate(program.calls)
        for number in call.outputs
    }
    found: dict[Slot, list[Slot]] = {}
    run = {slot for step in function.steps for slot in step.calls}
    for member, program in enumerate(function.programs):
        for index, call in enumerate(program.calls):
            if (member, index) not in run:
                maker = makers[function.canonical[member, call.outputs[0]]]
                found.setdefault(maker, []).append((member, index))
    return found
