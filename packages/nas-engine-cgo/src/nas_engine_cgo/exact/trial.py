"""Calls of members on random operands, by which fused calls are tried out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Generator, Tensor

from nas_engine_cgo.exact.order import in_order
from nas_engine_cgo.members import PURE, Call, Facts, Program, Ref, Source, replaced
from nas_engine_cgo.members.ghosts import tensors_in
from nas_engine_cgo.merge import Step
from nas_engine_cgo.state import Stream, drawing

__all__ = [
    "Came",
    "Trial",
    "direction",
    "has_gradient",
    "programs_of",
    "trials_of",
]

Came: TypeAlias = tuple[Tensor, list[Tensor | None], list[Tensor]]
"""The result, the gradients of the operands, and the operands afterwards."""


@dataclass(eq=False)
class Trial:
    """One member's call on random operands."""

    call: Call
    operands: list[Tensor]
    sources: list[Source]
    facts: list[Facts]
    outputs: list[Facts]
    which: int
    stream: Stream

    def is_like(self, other: Trial) -> bool:
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

    def run(self, back: bool) -> Came:
        """What comes of it alone."""
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
            result.backward(direction(result))  # type: ignore[no-untyped-call]
        return result.detach(), [x.grad for x in operands], [x.detach() for x in operands]


def trials_of(
    programs: Sequence[Program],
    step: Step,
    shared: Sequence[bool],
    which: int,
    draw: int,
    some: Sequence[int],
) -> list[Trial]:
    """A trial for each member; those that are not looked at do what the one before them does."""
    trials: list[Trial] = []
    stream = Stream(Generator().manual_seed(0))
    for position, (member, index) in enumerate(step.calls):
        if position not in some:
            trials.append(trials[-1])
            continue
        program, call = programs[member], programs[member].calls[index]
        if call.name not in PURE:
            stream = Stream(Generator().manual_seed(position))
        outputs = [program.facts[number] for number in call.outputs]
        trial = Trial(call, [], [], [], outputs, which, stream)
        for k, (number, same) in enumerate(zip(call.inputs, shared, strict=True)):
            facts = program.facts[number]
            if same and trials:
                tensor = trials[0].operands[k]
            else:
                # What is shared is a constant of the code, which is written once.
                tensor = _random(facts, 100 * position + k + (not same) * 10_000 * draw)
            source = _source(program.sources.get(number), k, tensor if same else None)
            felt = not same and has_gradient(program, call, number)
            trial.operands.append(tensor.requires_grad_(felt))
            trial.sources.append(source)
            trial.facts.append(facts)
        trials.append(trial)
    return trials


def has_gradient(program: Program, call: Call, number: int) -> bool:
    """Whether what a call takes may have one: data, constants and what is detached never do.

    What is only measured has as well, so that what is found holds in training; but not where it
    is written into a buffer.
    """
    if not call.grad or (program.felt is None and call.writes):
        return False
    if (source := program.sources.get(number)) is not None:
        felt = source.trained
    else:
        felt = program.felt is None or number in program.felt
    return felt and _is_inexact(program.facts[number])


def _is_inexact(facts: Facts) -> bool:
    """Whether values of this type are rounded, and so may have gradients."""
    return facts.dtype.is_floating_point or facts.dtype.is_complex


def _source(source: Source | None, k: int, shared: Tensor | None) -> Source:
    """Where a trial has its operand number ``k`` from."""
    if shared is not None:
        return Source("constant", constant=shared)
    if source is not None and source.kind in ("parameter", "buffer"):
        return replace(source, path=f"p{k}")
    return Source("input", k)


def programs_of(trials: Sequence[Trial]) -> list[Program]:
    """The program of each trial; of those that are alike it is one, which is looked at once."""
    known: list[tuple[Trial, Program]] = []
    found: list[Program] = []
    for trial in trials:
        same = (program for other, program in known if trial.is_like(other))
        program = next(same, None)
        if program is None:
            known.append((trial, program := trial.program()))
        found.append(program)
    return found


def _random(facts: Facts, seed: int) -> Tensor:
    """Numbers that lie in memory as they do alone, by which kernels are chosen, too."""
    last = sum((n - 1) * s for n, s in zip(facts.shape, facts.stride, strict=True))
    size, stream = 0 if 0 in facts.shape else last + 1, Generator().manual_seed(seed)
    if _is_inexact(facts):
        memory = torch.randn(size, generator=stream, dtype=facts.dtype)
    else:
        memory = torch.randint(0, 2, (size,), generator=stream).to(facts.dtype)
    return memory.as_strided(facts.shape, facts.stride)


def _copied(x: Tensor) -> Tensor:
    """A tensor with the same numbers in the same order in memory."""
    memory = x.detach().as_strided((x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)
    return memory.clone().as_strided(x.shape, x.stride())


def direction(result: Tensor) -> Tensor:
    """What is handed back as the gradient of a result."""
    return torch.randn(result.shape, generator=Generator().manual_seed(3), dtype=result.dtype)
