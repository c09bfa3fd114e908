"""Losses of several members: one value for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_engine_cgo.kernels import FEW
from nas_engine_cgo.kinds.fused import Fused, Operand, bound
from nas_engine_cgo.kinds.shapes import reduce

__all__ = ["arguments", "class_loss", "elementwise_loss", "log_softmax"]

_SHORT = 2
"""So many sums of two numbers for each member take less time than a call of a loss."""


def _reduced(reduction: str, rank: int) -> str:
    """What makes a value for each member of its elements; they lie in a stack of this rank."""
    if reduction == "none":
        return ""
    dimensions = tuple(range(1, rank + 1))
    return f".{reduction}({dimensions!r})"


def elementwise_loss(step: Fused) -> None:
    """Write ``mse_loss`` and others that average over all elements."""
    reduction = step.kwargs.get("reduction", "mean")
    rank = step.operands[0].rank - (step.call.name == "multilabel_soft_margin_loss")
    spelled = {
        id(x): step.own(x) if step.shared(x) and i else step.stack(x)
        for i, x in enumerate(step.operands)
    }
    function = step.packs.text.function(step.call.function)  # type: ignore[arg-type]
    kwargs = {**step.kwargs, "reduction": "none"}
    expanded = _expanded(step, spelled)
    call = step.packs.text.called(function, step.args, kwargs, step.spell(expanded))
    _losses(step, call + _reduced(reduction, rank))


def _expanded(step: Fused, spelled: dict[int, str]) -> dict[int, str]:
    """The target in the shape of the outputs: torch warns where it has to broadcast."""
    first = spelled[id(step.operands[0])]
    return {
        key: name if key == id(step.operands[0]) else f"{name}.expand_as({first})"
        for key, name in spelled.items()
    }


def arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a loss of classes by name."""
    return bound(
        args, kwargs, input=None, target=None, weight=None, size_average=None,
        ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0,
    )  # fmt: skip


def log_softmax(step: Fused) -> None:
    """Write ``log_softmax``: of few classes for many samples at once, if that gives their bits."""
    given = bound(step.args, step.kwargs, input=None, dim=None)
    x: Operand = given["input"]
    few = x.rank == 2 and x.facts.shape[1] < FEW and given["dim"] in (1, -1)
    plain = len(step.args) <= 2 and given.get("dtype") is None
    if few and plain and step.packs.exact and step.ways is None:
        step.results(f"log_softmax_of_few({step.stack(x)})", "stack")
    else:
        reduce(step)


def class_loss(step: Fused) -> None:
    """Write ``cross_entropy`` and ``nll_loss`` over the samples of all members."""
    given = arguments(step.args, step.kwargs)
    x: Operand = given["input"]
    target: Operand = given["target"]
    weight: Operand | None = given["weight"]
    if weight is not None and not step.shared(weight):
        _one_by_one(step)
        return
    name, wanted = step.stack(x), step.stack(target)
    if turned := _has_few_classes(step, x, target):
        name = f"{name}.mT"
    else:
        name, wanted = step.line(f"{name}.flatten(0, 1)"), step.line(f"{wanted}.flatten(0, 1)")
    weights = "" if weight is None else step.own(weight)
    more = f", ignore_index={given['ignore_index']}"
    more += f", weight={weights}" if weights else ""
    if step.call.name == "cross_entropy":
        more += f", label_smoothing={given['label_smoothing']!r}"
    losses = f"F.{step.call.name}({name}, {wanted}{more}, reduction='none')"
    if given["reduction"] == "none":
        _losses(step, losses if turned else f"{losses}.unflatten(0, ({step.n}, -1))")
        return
    _losses(step, _over_samples(step, f"{losses}.reshape({step.n}, -1)", wanted, weights))


def _over_samples(step: Fused, losses: str, wanted: str, weights: str) -> str:
    """The sums or means of losses of shape ``(members, samples)``."""
    given = arguments(step.args, step.kwargs)
    known, total = f"{wanted} != {given['ignore_index']}", f"{losses}.sum(1)"
    if added := _adds_up(step):
        losses, known = step.line(losses), step.line(known)
        values = f"added_up({losses}.detach(), {known}.reshape({step.n}, -1))"
        total = f"with_values({losses}.sum(1), {values})"
    total = step.line(total)
    if given["reduction"] == "sum":
        return total
    if given["target"].facts.dtype.is_floating_point:  # Probabilities: the mean is over samples.
        return f"{total} / ({wanted}.numel() // {step.n * given['input'].facts.shape[1]})"
    if not added:
        known = step.line(known)
    if weights:
        known = step.line(f"{weights}[{wanted} * {known}] * {known}")
    return f"{total} / {known}.reshape({step.n}, -1).sum(1)"


def _adds_up(step: Fused) -> bool:
    """Whether losses are added up sample by sample for all members, as torch does for each.

    Where bits count, and if that is less than to call the loss for each member.
    """
    target = step.operands[1]
    short = target.rank == 1 and target.facts.shape[0] <= _SHORT * step.n
    return step.packs.exact and step.call.name == "nll_loss" and short and step.ways is None


def _has_few_classes(step: Fused, x: Operand, target: Operand) -> bool:
    """Whether softmax is slow, since torch takes the few classes of each sample by themselves.

    With the samples beside each other in memory they are computed many at once.
    """
    vectors = x.rank == 2 and target.rank == 1
    few = step.call.name == "cross_entropy" and x.facts.shape[-1] < FEW
    return vectors and few and not step.packs.exact


def _losses(step: Fused, expression: str) -> None:
    """Define the losses, whose values may have to be those of the calls of each member."""
    if step.ways is None:
        step.results(expression, "stack")
        return
    fused = step.line(expression)
    step.results(f"with_values({fused}, torch.stack([{_each(step)}]))", "stack")


def _each(step: Fused) -> str:
    """The call of one member after the other, without a gradient."""
    stacks = {f"x{i}": x for i, x in enumerate(step.operands) if not step.shared(x)}
    spelled = {id(x): step.own(x) for x in step.operands if step.shared(x)}
    spelled |= {id(x): name for name, x in stacks.items()}
    text = step.packs.text
    function = text.function(step.call.function)  # type: ignore[arg-type]
    call = text.called(function, step.args, step.kwargs, step.spell(spelled))
    parts = [f"{step.stack(x)}.detach().unbind(0)" for x in stacks.values()]
    if len(parts) == 1:
        return f"{call} for {', '.join(stacks)} in {parts[0]}"
    return f"{call} for {', '.join(stacks)} in zip({', '.join(parts)})"


def _one_by_one(step: Fused) -> None:
    """Write the call of each member by itself."""
    text, calls = step.packs.text, []
    function = text.function(step.call.function)  # type: ignore[arg-type]
    for position in range(step.n):
        spelled = {id(x): step.packs.own(x.slots[position]) for x in step.operands}
        calls.append(text.called(function, step.args, step.kwargs, step.spell(spelled)))
    step.results(f"torch.stack(({', '.join(calls)},))", "stack")
