"""Whether a fused step gives each member the bits that it gets alone, found out by running both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.exact.trial import (
    Came,
    Trial,
    direction,
    has_gradient,
    programs_of,
    trials_of,
)
from nas_engine_cgo.members import Program
from nas_engine_cgo.merge import Slot, Step
from nas_engine_cgo.state import Entry, joined
from nas_engine_cgo.write import Function

__all__ = ["ENOUGH", "Verdict", "compare", "shared_operands"]

ENOUGH, _MOST_DRAWS = 256, 32
"""How many numbers tell that two ways to round are one: of single sums many agree by chance."""
_SOME = 8
"""Members that are tried, if they show as many. Kernels are the same for all, but for the ends."""

Write = Callable[[Sequence[Program]], tuple[Function, Callable[..., Any]]]
"""Merges programs: the function, and it compiled."""


@dataclass(frozen=True)
class Verdict:
    """What is equal to the bit: the results, and by position the gradients of the operands."""

    results: bool
    gradients: tuple[bool, ...]

    @property
    def equal(self) -> bool:
        """Whether everything is."""
        return self.results and all(self.gradients)

    def also(self, other: Verdict) -> Verdict:
        """What is equal here and there."""
        pairs = zip(self.gradients, other.gradients, strict=True)
        return Verdict(self.results and other.results, tuple(a and b for a, b in pairs))


def shared_operands(
    programs: Sequence[Program], step: Step, canonical: Mapping[Slot, Slot]
) -> tuple[bool, ...]:
    """By position, whether an operand of a step is one value for all members."""
    columns = zip(
        *([canonical[m, n] for n in programs[m].calls[c].inputs] for m, c in step.calls),
        strict=True,
    )
    return tuple(len(set(column)) == 1 for column in columns)


@torch.enable_grad()
def compare(
    programs: Sequence[Program], step: Step, shared: Sequence[bool], write: Write
) -> Verdict:
    """Run a step on random operands, fused and one by one: all members, or some of many.

    Gradients are compared where members are only measured, too: what is found holds for training.

    Args:
        programs: the members'.
        step: the calls.
        shared: which operands are one value for all members.
        write: merges programs.
    """
    member, index = step.calls[0]
    equal, sizes = Verdict(True, (True,) * len(shared)), _sizes(programs, step)
    some = _some(len(step.calls), min(filter(None, (sizes[0], *sizes[1])), default=0))
    draws = _draws(sizes[0], len(some)), tuple(_draws(size, len(some)) for size in sizes[1])
    for which in range(len(programs[member].calls[index].outputs)):
        made: tuple[Function, Callable[..., Any]] | None = None
        draw = 0
        while draw < _left(equal, draws):
            trials = trials_of(programs, step, shared, which, draw, some)
            made = made or write(programs_of(trials))
            back = draw < _left(equal, (0, draws[1]))
            equal = equal.also(_verdict(trials, *made, back, some))
            draw += 1
    return equal


def _sizes(programs: Sequence[Program], step: Step) -> tuple[int, tuple[int, ...]]:
    """How many numbers the smallest result of a member has, and each gradient; 0 if it has none."""
    member, index = step.calls[0]
    program, call = programs[member], programs[member].calls[index]

    def size(number: int) -> int:
        return max(1, prod(program.facts[number].shape))

    felt = [has_gradient(program, call, n) for n in call.inputs]
    gradients = (size(n) if feels else 0 for n, feels in zip(call.inputs, felt, strict=True))
    return min(map(size, call.outputs)), tuple(gradients)


def _some(n: int, size: int) -> list[int]:
    """The positions of members that show enough together, the first and the last among them.

    >>> _some(32, 1000)
    [0, 4, 8, 13, 17, 22, 26, 31]
    >>> len(_some(32, 16)), len(_some(4, 16))
    (16, 4)
    """
    count = min(n, max(_SOME, -(-ENOUGH // max(1, size))))
    return [position * (n - 1) // max(1, count - 1) for position in range(count)]


def _draws(size: int, members: int) -> int:
    """How often a step is tried out till parts of this size have shown enough."""
    return min(_MOST_DRAWS, -(-ENOUGH // (size * members))) if size else 0


def _left(found: Verdict, draws: tuple[int, tuple[int, ...]]) -> int:
    """How often it takes to see enough of what was equal so far: what differs once differs."""
    parts = zip((found.results, *found.gradients), (draws[0], *draws[1]), strict=True)
    return max(count if equal else 0 for equal, count in parts)


def _verdict(
    trials: Sequence[Trial],
    function: Function,
    call: Callable[..., Any],
    back: bool,
    some: Sequence[int],
) -> Verdict:
    """What is equal for some members; of gradients nothing is asked without the way ``back``."""
    fused = _fused(trials, function, call, back, some)
    right, columns = True, []
    for position in some:
        (mine, own, after), (result, felt, changed) = fused[position], trials[position].run(back)
        right = right and same_bits(mine, result) and all(_pairs(after, changed))
        columns.append(_pairs(own, felt))
    return Verdict(right, tuple(map(all, zip(*columns, strict=True))))


def _pairs(mine: Sequence[Tensor | None], theirs: Sequence[Tensor | None]) -> list[bool]:
    return [same_bits(a, b) for a, b in zip(mine, theirs, strict=True)]


def _fused(
    trials: Sequence[Trial],
    function: Function,
    call: Callable[..., Any],
    back: bool,
    some: Sequence[int],
) -> dict[int, Came]:
    """What comes of each of some trials, from the merged code."""
    operands = [
        trial.fresh() if number in some or trial.call.writes else trial.operands
        for number, trial in enumerate(trials)
    ]
    entries = []
    for need in function.needs:
        parts = [operands[m][int(path[1:])] for m, path in need.slots]
        tensor = joined(parts, need.form).detach().requires_grad_(parts[0].requires_grad)
        entries.append(Entry(tensor, need.form, need.slots))
    inputs = [operands[stream][position] for stream, position in function.inputs]
    streams = [trial.stream.copied() for trial in trials]
    outcomes = call(inputs, [entry.tensor for entry in entries], streams)
    results = {
        member: outcome[i] if len(members) > 1 else outcome
        for outcome, members in zip(outcomes, function.results, strict=True)
        for i, member in enumerate(members)
        if member in some
    }
    felt = [outcome for outcome in outcomes if outcome.requires_grad]
    if back and felt:
        like = next(iter(results.values()))
        each = [direction(like).expand_as(outcome).contiguous() for outcome in felt]
        torch.autograd.backward(felt, each)
    gradients = {member: [x.grad for x in operands[member]] for member in some}
    for entry in entries:
        for i, (member, path) in enumerate(entry.slots):
            if member in some:
                k, grad = int(path[1:]), entry.tensor.grad
                operands[member][k] = entry.part(entry.tensor, i)
                if grad is not None:
                    gradients[member][k] = entry.part(grad, i)
    return {m: (results[m].detach(), gradients[m], [x.detach() for x in operands[m]]) for m in some}
