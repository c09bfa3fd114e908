"""Elementwise functions: packed operands in, packed result out, whatever the layout."""

from __future__ import annotations

from nas_engine_cgo.kinds.fused import Fused, Operand, bound
from nas_engine_cgo.packs import Layout

__all__ = ["elementwise", "hand_out", "prelu"]

_IN_PLACE = {
    "relu": "torch.relu_",
    "sigmoid": "torch.sigmoid_",
    "tanh": "torch.tanh_",
    "add": "torch.Tensor.add_",
    "__add__": "torch.Tensor.add_",
}
"""Functions whose gradient is computed from the result, if from anything."""

_NEW = frozenset({"group_norm", "add", "__add__", "sub", "__sub__"})
"""Their results are tensors of their own, which their gradients don't read."""


def elementwise(step: Fused) -> None:
    """Write a call that computes one element from one of each operand, with broadcasting."""
    layout: Layout = "stack"
    if step.layout(*step.operands) == "channel" and all(_fits(step, x) for x in step.operands):
        layout = "channel"
    spelled = {
        id(x): _in_channel(step, x) if layout == "channel" else _in_stack(step, x)
        for x in step.operands
    }
    text = step.packs.text
    assert step.call.function is not None
    function = text.function(step.call.function)
    call = text.called(function, step.args, step.kwargs, step.spell(spelled))
    if in_place := _in_place(step, layout):
        call = f"{in_place}({', '.join(spelled[id(x)] for x in step.operands)})"
    step.results(call, layout)


def _in_place(step: Fused, layout: Layout) -> str | None:
    """What puts the result where the first operand is, if nobody will miss that.

    A step of memory that fills the cache writes less, and reads less again.
    """
    function = _IN_PLACE.get(step.call.name)
    first, *others = step.operands
    if function is None or step.call.writes or len(others) != (function == "torch.Tensor.add_"):
        return None
    if others and (len(step.args) != 2 or step.kwargs or others[0].facts != first.facts):
        return None
    alike = first.facts.shape == step.result.shape and first.facts.dtype == step.result.dtype
    free = step.is_last_reader(first, layout) and _is_new(step, first)
    return function if alike and free else None


def _is_new(step: Fused, x: Operand) -> bool:
    """Whether a call has made the value as a tensor of its own that its gradient does not read."""
    if (maker := step.maker(x)) is None or maker.grad != step.call.grad:
        return False
    match maker.name:
        case "linear":  # Of more dimensions it is a view of a product.
            return x.rank == 2
        case "conv1d" | "conv2d" | "conv3d":  # With windows of one pixel, too.
            weight = bound(maker.args, maker.kwargs, input=None, weight=None)["weight"]
            return set(step.program.facts[weight.id].shape[2:]) != {1}
        case "batch_norm":  # What it writes are statistics.
            return True
        case name:
            return name in _NEW and not maker.writes


def hand_out(step: Fused) -> None:
    """Write the call that hands out a value to several readers."""
    x, count = step.args
    layout = step.layout(x) or "stack"
    name = step.channel(x) if layout == "channel" else step.stack(x)
    step.results(f"fan_out({name}, {count})", layout)


def _rank(step: Fused) -> int:
    return max(x.rank for x in step.operands)


def _fits(step: Fused, x: Operand) -> bool:
    """Whether the operand can be laid out by channels."""
    rank, channels = _rank(step), step.result.shape[1] if len(step.result.shape) > 1 else 0
    if rank < 2 or not channels:
        return False
    if step.shared(x) and (x.rank < rank - 1 or x.facts.shape[1 - (rank - x.rank)] == 1):
        return True
    if x.rank == rank:
        return x.facts.shape[1] == channels
    return x.rank == rank - 1 and x.facts.shape[0] == channels


def _in_channel(step: Fused, x: Operand) -> str:
    rank = _rank(step)
    if step.shared(x) and (x.rank < rank - 1 or x.facts.shape[1 - (rank - x.rank)] == 1):
        return step.own(x)  # Broadcasting does it.
    if x.rank == rank:
        return step.channel(x)
    return step.line(f"{step.stack(x)}.flatten(0, 1)")


def _in_stack(step: Fused, x: Operand) -> str:
    if step.shared(x) and not all(step.shared(other) for other in step.operands):
        return step.own(x)
    missing = _rank(step) - x.rank
    name = step.stack(x)
    return step.line(f"{name}[{', '.join([':', *['None'] * missing])}]") if missing else name


def prelu(step: Fused) -> None:
    """Write ``prelu``, whose weights are along the channels."""
    given = bound(step.args, step.kwargs, input=None, weight=None)
    x: Operand = given["input"]
    slope = step.line(f"{step.stack(given['weight'])}.reshape({step.n}, -1)")
    if step.layout(x) == "channel":
        channels = x.facts.shape[1]
        rows = f"{slope}.expand({step.n}, {channels}).flatten()"
        step.results(f"F.prelu({step.channel(x)}, {rows})", "channel")
        return
    name = step.stack(x)
    where = ":" if x.rank == 1 else ", ".join([":", "None", ":", *["None"] * (x.rank - 2)])
    placed = f"{slope}[{where}]"
    step.results(f"torch.where({name} > 0, {name}, {placed} * {name})", "stack")
