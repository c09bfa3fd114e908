"""Merged code in which each member gets the bits that it gets alone.

Fused steps are tried out. Of one that differs, what differs is computed in another way, in the end
member by member, if the rest can be had without it; and if that differs as well, it runs call by
call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from nas_engine_cgo.exact.equality import Verdict, compare, shared_operands
from nas_engine_cgo.exact.trial import has_gradient
from nas_engine_cgo.exact.verdicts import Question, Verdicts
from nas_engine_cgo.exact.verify import Subject, differing
from nas_engine_cgo.kinds import fits, next_ways
from nas_engine_cgo.members import ELEMENTWISE, Call, Program
from nas_engine_cgo.merge import Slot, Step, signatures
from nas_engine_cgo.packs import AT_ONCE, Parts
from nas_engine_cgo.write import Function, Plan, planned, written

__all__ = ["ExactWriter", "is_rounded_once"]

Compile = Callable[[Function, Sequence[nn.Module]], Callable[..., Any]]

_Apart = dict[tuple[Hashable, int], Parts]

_ONCE = frozenset(
    ("abs", "add", "mul", "multiply", "neg", "negative", "relu", "sub", "subtract", "__abs__",
     "__add__", "__mul__", "__neg__", "__radd__", "__rmul__", "__rsub__", "__sub__")
)  # fmt: skip
"""Functions that compute an element by one sum or product, or choose it."""


class ExactWriter:
    """Writes merged code, and finds out which steps may be fused.

    Args:
        compiled: makes a function of merged code, which calls submodules of these modules.
        verdicts: what was found out before.
    """

    def __init__(self, compiled: Compile, verdicts: Verdicts) -> None:
        self._compiled, self._verdicts = compiled, verdicts

    def write(
        self,
        programs: Sequence[Program],
        streams: Sequence[int],
        contents: Mapping[Slot, Any],
        fits: Callable[[Call, Program], bool] = fits,
        room: int | None = None,
        share: bool = True,
    ) -> Function:
        """The merged code of programs, all of whose fused steps are equal to the bit."""
        refused: set[Hashable] = set()
        apart: _Apart = {}
        while True:
            plan = planned(programs, streams, contents, fits, refused, True, room, share)
            steps = [step for step in plan.arrangement.steps if step.signature is not None]
            judged = [self._can_be_equal(plan, step, refused, apart) for step in steps]
            if all(judged):
                self._verdicts.save()
                return written(plan, apart)

    def differing(
        self, subjects: Sequence[Subject], function: Function, training: bool
    ) -> list[int]:
        """The members who do not get their bits in a whole step all the same."""
        shapes = [[tuple(t.shape) for t in (*s.module.parameters(), *s.batch)] for s in subjects]
        text = f"{function.source}{shapes}{training}"
        tried = self._verdicts.has_tried(text)
        bound = partial(self._compiled, function)
        found = differing(subjects, function, bound, training, once=tried)
        if not (tried or found):
            self._verdicts.note_tried(text)
        return found

    def _can_be_equal(self, plan: Plan, step: Step, refused: set[Hashable], apart: _Apart) -> bool:
        """Whether a step is equal to the bit, in ways that are noted; or is refused."""
        key = step.signature, len(step.calls)
        member, index = step.calls[0]
        call = plan.programs[member].calls[index]
        if len(step.calls) == 1 or is_rounded_once(call, plan.programs[member]):
            return True
        if _is_rounded(call, plan.programs[member]):
            refused.add(step.signature)
            return False
        ways = apart.get(key, (AT_ONCE,) * (1 + len(call.inputs)))
        while not (verdict := self._verdict(plan, step, ways)).equal:
            following = next_ways(call, ways, (verdict.results, *verdict.gradients))
            if following is None:
                refused.add(step.signature)
                return False
            apart[key] = ways = following
        return True

    def _verdict(self, plan: Plan, step: Step, apart: Parts) -> Verdict:
        member, index = step.calls[0]
        programs, program = plan.programs, plan.programs[member]
        call = program.calls[index]
        shared = shared_operands(programs, step, plan.canonical)
        operands = [(program.facts[n], _role(program, call, n)) for n in call.inputs]
        question = Question(call, tuple(operands), step.signature, len(step.calls), shared, apart)
        find = partial(compare, programs, step, shared, partial(self._merged, apart))
        return self._verdicts.of(question, find)

    def _merged(
        self, apart: Parts, programs: Sequence[Program]
    ) -> tuple[Function, Callable[..., Any]]:
        """The code of programs that make one call each, the last one."""
        *_, signature = signatures(programs[0], fits)
        parts = {(signature, len(programs)): apart} if any(apart) else {}
        streams = range(len(programs))
        function = written(planned(programs, streams, {}, fits, exact=True), parts)
        return function, self._compiled(function, ())


def _role(program: Program, call: Call, number: int) -> tuple[str, bool]:
    """Where a value comes from that a call takes, and whether it may have a gradient."""
    source = program.sources.get(number)
    return "call" if source is None else source.kind, has_gradient(program, call, number)


def is_rounded_once(call: Call, program: Program) -> bool:
    """Whether each element comes of one operation, and is what is nearest to its exact result.

    So it is in any order, for any number of members: standards of floating numbers say what
    sums and products are. So are the gradients, if no operand is broadcast.
    """
    values = [program.facts[n] for n in (*call.inputs, *call.outputs)]
    alike = len({facts.shape for facts in values}) == 1
    plain = call.name in _ONCE and not call.kwargs
    return call.name == "fan_out" or (
        plain and alike and not any(f.dtype.is_complex for f in values)
    )


def _is_rounded(call: Call, program: Program) -> bool:
    """Whether sums are rounded to few bits: trying tells little then."""
    if call.name in ELEMENTWISE:
        return False
    types = {program.facts[n].dtype for n in (*call.inputs, *call.outputs)}
    return not types.isdisjoint((torch.bfloat16, torch.float16))
