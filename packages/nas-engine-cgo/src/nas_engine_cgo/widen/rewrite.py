"""Programs with zeros added where that makes members alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch

from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import Call, Facts, Program, Ref, for_each, replaced
from nas_engine_cgo.widen.rules import RULES, Given, Wide, Widened
from nas_engine_cgo.widen.widths import Widths, widths_of

__all__ = ["widened"]

Fits: TypeAlias = Callable[[Call, Program], bool]


def widened(programs: Sequence[Program], fits: Fits = fits) -> list[Program]:
    """Programs whose layers have the width of the widest at the same place, if it is near.

    Values that are wide have the shape that they have on their way, and what is the member's of it
    in their ``own`` shape; parameters and buffers are told which shape they are ``padded`` to. What
    can't be computed with zeros is computed without: they are cut off before.

    Args:
        programs: the members'.
        fits: whether a call of a program can be fused.

    >>> from torch import nn, zeros
    >>> from nas_engine_cgo.members import trace
    >>> def program(width):
    ...     model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))
    ...     return trace(model, lambda module, x: module(x), [zeros(3, 4)])
    >>> _, narrow = widened([program(8), program(5)])
    >>> [source.padded for source in narrow.sources.values() if source.padded]
    [(8, 4), (8,), (2, 8)]
    """
    widths = widths_of(programs)
    if not widths:
        return list(programs)
    return for_each(programs, lambda program: _Widening(program, widths, fits).program())


class _Widening:
    """The way through the calls of one program."""

    def __init__(self, program: Program, widths: Widths, fits: Fits) -> None:
        self._program, self._widths, self._fits = program, widths, fits
        self._uses = program.uses()
        self._facts = dict(program.facts)
        self._sources = dict(program.sources)
        self._felt = set(program.felt or ())
        self._wide: dict[int, Wide] = {}
        self._cut: dict[int, int] = {}  # wide value → that without its zeros
        self._calls: list[Call] = []
        self._position: dict[int, int] = {}

    def program(self) -> Program:
        for index, call in enumerate(self._program.calls):
            found = self._rewritten(call)
            made = self._without_zeros(call) if found is None else found.call
            after = tuple(self._position[i] for i in call.after)
            self._position[index] = len(self._calls)
            self._calls.append(made if after == made.after else replace(made, after=after))
            if found is not None:
                self._note(call, found)
        output = replaced(self._program.output, self._cut_off)
        felt = None if self._program.felt is None else frozenset(self._felt)
        return Program(tuple(self._calls), self._sources, self._facts, output, felt)

    def _rewritten(self, call: Call) -> Widened | None:
        """The call with what is wide; None if that can't be, or nothing is."""
        rule = RULES.get(call.name)
        if rule is None or call.function is None:
            return None
        if not any(n in self._wide for n in call.inputs) and rule not in _BEGINNING:
            return None
        fits = self._fits(call, self._program)
        return rule(Given(call, self._program, fits, self._wide, self._widths, self._uses))

    def _note(self, call: Call, found: Widened) -> None:
        for number, shape in found.sources.items():
            self._facts[number] = _widened_facts(self._facts[number], shape)
            self._sources[number] = replace(self._sources[number], padded=shape)
        if (wide := found.result) is not None:
            (number,) = call.outputs
            own = self._facts[number].shape
            shape = (*own[: wide.dim], wide.width, *own[wide.dim + 1 :])
            self._facts[number] = _widened_facts(self._facts[number], shape)
            self._wide[number] = wide

    def _without_zeros(self, call: Call) -> Call:
        """The call of values that are as they were."""
        if self._wide.keys().isdisjoint(call.inputs):
            return call
        args, kwargs = replaced((call.args, dict(call.kwargs)), self._cut_off)
        return replace(call, args=args, kwargs=kwargs)

    def _cut_off(self, leaf: Any) -> Any:
        """A value without its zeros."""
        if not isinstance(leaf, Ref) or leaf.id not in self._wide:
            return leaf
        if leaf.id not in self._cut:
            wide, number = self._wide[leaf.id], max(self._facts) + 1
            self._facts[number] = self._program.facts[leaf.id]
            if leaf.id in self._felt:
                self._felt.add(number)
            self._cut[leaf.id] = number
            maker = next(call for call in self._calls if leaf.id in call.outputs)
            args = (leaf, wide.dim, 0, wide.own)
            self._calls.append(Call("narrow", torch.narrow, args, {}, Ref(number), grad=maker.grad))
        return Ref(self._cut[leaf.id])


_BEGINNING = frozenset(RULES[name] for name in ("linear", "conv1d"))
"""Rules of layers, which may be the first that is wide."""


def _widened_facts(facts: Facts, shape: tuple[int, ...]) -> Facts:
    """What is known of a tensor with zeros added: its dimensions lie in memory as they did."""
    stride, step = [0] * len(shape), 1
    for dim in reversed(facts.order):
        stride[dim] = step
        step *= shape[dim]
    return Facts(shape, facts.dtype, tuple(stride), own=facts.own or facts.shape)
