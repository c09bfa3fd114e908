"""Cross entropy as the two calls that it consists of, of which one is the same for all members.

The samples of a member are added up in an order that the sums of several members do not have. That
of the logarithms which are added up does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch.nn import functional

from nas_engine_cgo.kinds.losses import arguments
from nas_engine_cgo.members import Call, Facts, Program, Ref

__all__ = ["with_logarithms"]


def with_logarithms(program: Program) -> Program:
    """The program in which ``cross_entropy`` of labels is ``nll_loss`` of ``log_softmax``.

    That is how torch computes it, and its gradient.
    """
    facts: dict[int, Facts] = dict(program.facts)
    calls: list[Call] = []
    position: dict[int, int] = {}
    for index, call in enumerate(program.calls):
        calls += _parts(call, facts)
        position[index] = len(calls) - 1
    moved = (replace(call, after=tuple(position[i] for i in call.after)) for call in calls)
    return replace(program, calls=tuple(moved), facts=facts)


def _parts(call: Call, facts: dict[int, Facts]) -> Iterator[Call]:
    given = arguments(call.args, call.kwargs)
    x, target = given["input"], given["target"]
    if call.name != "cross_entropy" or given["label_smoothing"] or not isinstance(x, Ref):
        yield call
        return
    if len(facts[x.id].shape) < 2 or facts[target.id].dtype.is_floating_point:
        yield call
        return
    logarithms = Ref(max(facts) + 1)
    facts[logarithms.id] = facts[x.id]
    names = ("weight", "ignore_index", "reduction")
    kwargs = {name: given[name] for name in names if given[name] is not None}
    softmax, loss = functional.log_softmax, functional.nll_loss
    yield replace(
        call, name="log_softmax", function=softmax, args=(x, 1), kwargs={}, result=logarithms
    )
    yield replace(call, name="nll_loss", function=loss, args=(logarithms, target), kwargs=kwargs)
