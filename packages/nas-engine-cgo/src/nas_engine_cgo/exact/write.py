"""Merged code in which each member gets the bits that it gets alone.

Fused steps are tried out. One whose results differ runs call by call; of a convolution of which
only gradients differ, these are computed member by member.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from nas_engine_cgo.exact.equality import Verdict, compare
from nas_engine_cgo.kinds import fits
from nas_engine_cgo.kinds.convolution import arguments
from nas_engine_cgo.members import Call, Program
from nas_engine_cgo.merge import Slot, Step
from nas_engine_cgo.write import Function, write_function

__all__ = ["ExactWriter"]

Looped = Mapping[tuple[Hashable, int], tuple[bool, bool]]


class ExactWriter:
    """Writes merged code, and remembers which steps may be fused.

    Args:
        compiled: makes a function of merged code.
    """

    def __init__(self, compiled: Callable[[Function], Callable[..., Any]]) -> None:
        self._compiled = compiled
        self._verdicts: dict[Hashable, Verdict] = {}

    def write(
        self,
        programs: Sequence[Program],
        streams: Sequence[int],
        contents: Mapping[Slot, Any],
    ) -> Function:
        """The merged code of programs, all of whose fused steps are equal to the bit."""
        refused: set[Hashable] = set()
        looped: dict[tuple[Hashable, int], tuple[bool, bool]] = {}
        while True:
            function = write_function(
                programs, streams, contents, fits, frozenset(refused), looped, exact=True
            )
            before = len(refused), len(looped)
            for step in function.steps:
                if step.signature is not None and len(step.calls) > 1:
                    self._judge(programs, step, function, refused, looped)
            if before == (len(refused), len(looped)):
                return function

    def _judge(
        self,
        programs: Sequence[Program],
        step: Step,
        function: Function,
        refused: set[Hashable],
        looped: dict[tuple[Hashable, int], tuple[bool, bool]],
    ) -> None:
        size = len(step.calls)
        if (step.signature, size) in looped or _hands_out(programs, step):
            return
        verdict = self._verdict(programs, step, function)
        if verdict.equal:
            return
        member, index = step.calls[0]
        call = programs[member].calls[index]
        if verdict.results and _can_loop(call):
            looped[step.signature, size] = (
                not verdict.gradients[0], not all(verdict.gradients[1:])
            )  # fmt: skip
        else:
            refused.add(step.signature)

    def _verdict(self, programs: Sequence[Program], step: Step, function: Function) -> Verdict:
        canonical = function.canonical
        shared = tuple(
            len({canonical[m, programs[m].calls[c].inputs[k]] for m, c in step.calls}) == 1
            for k in range(len(programs[step.calls[0][0]].calls[step.calls[0][1]].inputs))
        )
        key = step.signature, len(step.calls), shared
        if key not in self._verdicts:
            self._verdicts[key] = compare(programs, step, canonical, self._merged)
        return self._verdicts[key]

    def _merged(self, programs: Sequence[Program]) -> tuple[Function, Callable[..., Any]]:
        function = write_function(programs, range(len(programs)), {}, fits)
        return function, self._compiled(function)


def _hands_out(programs: Sequence[Program], step: Step) -> bool:
    """Whether the step only adds, element by element."""
    member, index = step.calls[0]
    return programs[member].calls[index].name == "fan_out"


def _can_loop(call: Call) -> bool:
    """Whether the gradients of a call can be computed by member: an ordinary convolution."""
    if not call.name.startswith("conv") or "transpose" in call.name:
        return False
    return not isinstance(arguments(call.args, call.kwargs)["padding"], str)
