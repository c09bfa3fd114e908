"""Gradients of a value that several calls read, added up in the order in which they are alone.

The backward pass comes to the readers of a value from the last to the first, and adds as it comes.
In merged code it comes to readers when it comes to their packs. So where the order counts, from
three readers on, a call of its own hands out the value and adds up what comes back.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.autograd import Function

from nas_engine_cgo.members import Call, Facts, Program, Ref, replaced

__all__ = ["fan_out", "with_fans"]


def fan_out(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """The value for so many readers, the first one first."""
    made: tuple[Tensor, ...] = _FanOut.apply(x, count)  # type: ignore[no-untyped-call]
    return made


class _FanOut(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(x.view_as(x) for _ in range(count))

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor | None) -> Any:
        total: Tensor | None = None
        for grad in reversed(grads):
            if grad is not None:
                total = grad if total is None else total + grad
        return total, None


def with_fans(program: Program) -> Program:
    """The program in which a computed value has at most two readers, or hands itself out."""
    readers: dict[int, list[int]] = defaultdict(list)
    for index, call in enumerate(program.calls):
        for number in call.inputs:
            readers[number].append(index)
    wanted = {
        n: len(found)
        for n, found in readers.items()
        if len(found) > 2 and n not in program.sources and program.facts[n].dtype.is_floating_point
    }
    facts: dict[int, Facts] = dict(program.facts)
    left: dict[int, list[int]] = {}
    calls: list[Call] = []
    position: dict[int, int] = {}
    for index, call in enumerate(program.calls):
        position[index] = len(calls)
        calls.append(_reading(call, left, position))
        for number in call.outputs:
            if (count := wanted.get(number)) is None:
                continue
            names = [max(facts) + 1 + i for i in range(count)]
            facts |= dict.fromkeys(names, facts[number])
            left[number] = list(names)
            result = tuple(Ref(name) for name in names)
            calls.append(Call("fan_out", fan_out, (Ref(number), count), {}, result, grad=call.grad))
    return replace(program, calls=tuple(calls), facts=facts)


def _reading(call: Call, left: dict[int, list[int]], position: dict[int, int]) -> Call:
    """The call with each value that is handed out taken from the next hand."""

    def taken(leaf: Any) -> Any:
        if isinstance(leaf, Ref) and leaf.id in left:
            return Ref(left[leaf.id].pop(0))
        return leaf

    args, kwargs = replaced((call.args, dict(call.kwargs)), taken)
    return replace(call, args=args, kwargs=kwargs, after=tuple(position[i] for i in call.after))
