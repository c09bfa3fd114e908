"""Whether a fused step gives each member the bits that it gets alone, found out by running both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Generator, Tensor

from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.exact.order import in_order
from nas_engine_cgo.members import PURE, Call, Facts, Program, Ref, Source, replaced
from nas_engine_cgo.members.ghosts import tensors_in
from nas_engine_cgo.merge import Slot, Step
from nas_engine_cgo.state import Entry, Stream, drawing, joined
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


@dataclass(eq=False)
class _Trial:
    """One member's call on random operands."""

    call: Call
    operands: list[Tensor]
    sources: list[Source]
    facts: list[Facts]
    outputs: list[Facts]
    which: int
    stream: Stream

    def is_like(self, other: _Trial) -> bool:
        """Whether another trial of the same step does the same to operands of the same kinds."""
        mine, theirs = ((t.sources, t.facts, t.outputs) for t in (self, other))
        return self is other or mine == theirs

    def program(self) -> Program:
        """The program that makes this call only, and gives the output of which it is about.

        Its operands are sources 0, 1, ..., of which some are first laid out as they are alone.
        """
        facts = dict(enumerate([*self.facts, *self.outputs]))
        given = [Ref(number) for number in facts]
        laid: list[Call] = []
        for k, (source, known) in enumerate(zip(self.sources, self.facts, strict=True)):
            if source.kind == "input" and known.crosswise and not self.call.writes:
                given[k] = Ref(len(facts))
                facts[given[k].id] = known
                laid.append(Call("in_order", in_order, (Ref(k), known.stride), {}, given[k]))
        numbers = iter(given)
        args, kwargs, result = replaced(
            (self.call.args, dict(self.call.kwargs), self.call.result),
            lambda leaf: next(numbers) if isinstance(leaf, Ref) else leaf,
        )
        writes = tuple(i for i, n in enumerate(self.call.inputs) if n in self.call.writes)
        call = replace(self.call, args=args, kwargs=kwargs, result=result, writes=writes, after=())
        output = Ref(call.outputs[self.which])
        return Program((*laid, call), dict(enumerate(self.sources)), facts, output)

    def fresh(self) -> list[Tensor]:
        return [_copied(x).requires_grad_(x.requires_grad) for x in self.operands]

    def run(self, back: bool) -> tuple[Tensor, list[Tensor | None], list[Tensor]]:
        """The result, the gradients of the operands, and the operands afterwards, alone."""
        operands = self.fresh()
        given = iter(operands)
        args, kwargs = replaced(
            (self.call.args, dict(self.call.kwargs)),
            lambda leaf: next(given) if isinstance(leaf, Ref) else leaf,
        )
        assert self.call.function is not None
        draws = nullcontext() if self.call.name in PURE else drawing(self.stream.copied())
        with torch.set_grad_enabled(self.call.grad), draws:
            result = tensors_in(self.call.function(*args, **kwargs))[self.which]
        if back and result.requires_grad:
            result.backward(_direction(result))  # type: ignore[no-untyped-call]
        return result.detach(), [x.grad for x in operands], [x.detach() for x in operands]


def shared_operands(
    programs: Sequence[Program], step: Step, canonical: Mapping[Slot, Slot]
) -> tuple[bool, ...]:
    """By position, whether an operand of a step is one value for all members."""
    columns = zip(
        *([canonical[m, n] for n in programs[m].calls[c].inputs] for m, c in step.calls),
        strict=True,
    )
    return tuple(len(set(column)) == 1 for column in columns)


def compare(
    programs: Sequence[Program], step: Step, shared: Sequence[bool], write: Write
) -> Verdict:
    """Run a step on random operands, fused and one by one: all members, or some of many.

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
            trials = _trials(programs, step, shared, which, draw, some)
            made = made or write(_programs(trials))
            back = draw < _left(equal, (0, draws[1]))
            equal = equal.also(_verdict(trials, *made, back, some))
            draw += 1
    return equal


def _programs(trials: Sequence[_Trial]) -> list[Program]:
    """The program of each trial; of those that are alike it is one, which is looked at once."""
    known: list[tuple[_Trial, Program]] = []
    found: list[Program] = []
    for trial in trials:
        same = (program for other, program in known if trial.is_like(other))
        program = next(same, None)
        if program is None:
            known.append((trial, program := trial.program()))
        found.append(program)
    return found


def _sizes(programs: Sequence[Program], step: Step) -> tuple[int, tuple[int, ...]]:
    """How many numbers the smallest result of a member has, and each gradient; 0 if it has none."""
    member, index = step.calls[0]
    program, call = programs[member], programs[member].calls[index]

    def size(number: int) -> int:
        return max(1, prod(program.facts[number].shape))

    felt = [call.grad and _takes_gradient(program.facts[n]) for n in call.inputs]
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
    trials: Sequence[_Trial],
    function: Function,
    call: Callable[..., Any],
    back: bool,
    some: Sequence[int],
) -> Verdict:
    """What is equal for some members; of gradients nothing is asked without the way ``back``."""
    results, gradients, operands = _fused(trials, function, call, back)
    right, columns = True, []
    for position in some:
        result, felt, after = trials[position].run(back)
        right = right and same_bits(results[position], result)
        right = right and all(_pairs(operands[position], after))
        columns.append(_pairs(gradients[position], felt))
    return Verdict(right, tuple(map(all, zip(*columns, strict=True))))


def _pairs(mine: Sequence[Tensor | None], theirs: Sequence[Tensor | None]) -> list[bool]:
    return [same_bits(a, b) for a, b in zip(mine, theirs, strict=True)]


def _trials(
    programs: Sequence[Program],
    step: Step,
    shared: Sequence[bool],
    which: int,
    draw: int,
    some: Sequence[int],
) -> list[_Trial]:
    """A trial for each member; those that are not looked at do what the one before them does."""
    trials: list[_Trial] = []
    stream = Stream(Generator().manual_seed(0))
    for position, (member, index) in enumerate(step.calls):
        if position not in some:
            trials.append(trials[-1])
            continue
        program, call = programs[member], programs[member].calls[index]
        if call.name not in PURE:
            stream = Stream(Generator().manual_seed(position))
        outputs = [program.facts[number] for number in call.outputs]
        trial = _Trial(call, [], [], [], outputs, which, stream)
        for k, (number, same) in enumerate(zip(call.inputs, shared, strict=True)):
            facts = program.facts[number]
            if same and trials:
                tensor = trials[0].operands[k]
            else:
                # What is shared is a constant of the code, which is written once.
                tensor = _random(facts, 100 * position + k + (not same) * 10_000 * draw)
            source = _source(program.sources.get(number), k, tensor if same else None)
            trained = source.trained or source.kind == "input"
            trial.operands.append(
                tensor.requires_grad_(trained and _takes_gradient(facts) and call.grad)
            )
            trial.sources.append(source)
            trial.facts.append(facts)
        trials.append(trial)
    return trials


def _takes_gradient(facts: Facts) -> bool:
    return facts.dtype.is_floating_point or facts.dtype.is_complex


def _source(source: Source | None, k: int, shared: Tensor | None) -> Source:
    """Where a trial has its operand number ``k`` from."""
    if shared is not None:
        return Source("constant", constant=shared)
    if source is not None and source.kind in ("parameter", "buffer"):
        return replace(source, path=f"p{k}")
    return Source("input", k)


def _fused(
    trials: Sequence[_Trial], function: Function, call: Callable[..., Any], back: bool
) -> tuple[list[Tensor], list[list[Tensor | None]], list[list[Tensor]]]:
    """The results, gradients and operands of each trial, from the merged code."""
    operands = [trial.fresh() for trial in trials]
    entries = []
    for need in function.needs:
        parts = [operands[m][int(path[1:])] for m, path in need.slots]
        tensor = joined(parts, need.form).detach().requires_grad_(parts[0].requires_grad)
        entries.append(Entry(tensor, need.form, need.slots))
    inputs = [operands[stream][position] for stream, position in function.inputs]
    streams = [trial.stream.copied() for trial in trials]
    outcomes = call(inputs, [entry.tensor for entry in entries], streams)
    results: list[Tensor] = [torch.empty(0)] * len(trials)
    for outcome, members in zip(outcomes, function.results, strict=True):
        for i, member in enumerate(members):
            results[member] = outcome[i] if len(members) > 1 else outcome
    felt = [result for result in results if result.requires_grad]
    if back and felt:
        torch.autograd.backward(felt, [_direction(result) for result in felt])
    gradients = [[x.grad for x in each] for each in operands]
    for entry in entries:
        for i, (member, path) in enumerate(entry.slots):
            k = int(path[1:])
            operands[member][k] = entry.part(entry.tensor, i)
            if entry.tensor.grad is not None:
                gradients[member][k] = entry.part(entry.tensor.grad, i)
    return ([r.detach() for r in results], gradients, [[x.detach() for x in o] for o in operands])


def _random(facts: Facts, seed: int) -> Tensor:
    """Numbers that lie in memory as they do alone, by which kernels are chosen, too."""
    last = sum((n - 1) * s for n, s in zip(facts.shape, facts.stride, strict=True))
    size, stream = 0 if 0 in facts.shape else last + 1, Generator().manual_seed(seed)
    if _takes_gradient(facts):
        memory = torch.randn(size, generator=stream, dtype=facts.dtype)
    else:
        memory = torch.randint(0, 2, (size,), generator=stream).to(facts.dtype)
    return memory.as_strided(facts.shape, facts.stride)


def _copied(x: Tensor) -> Tensor:
    """A tensor with the same numbers in the same order in memory."""
    memory = x.detach().as_strided((x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)
    return memory.clone().as_strided(x.shape, x.stride())


def _direction(result: Tensor) -> Tensor:
    """What is handed back as the gradient of a result."""
    return torch.randn(result.shape, generator=Generator().manual_seed(3), dtype=result.dtype)
