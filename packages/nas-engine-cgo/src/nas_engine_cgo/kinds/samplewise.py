"""Functions that treat each sample and channel by itself: members are more channels or samples."""

from __future__ import annotations

from nas_engine_cgo.kinds.fused import Fused, Operand, bound

__all__ = ["attention", "embedding", "samplewise"]


def samplewise(step: Fused) -> None:
    """Write pooling, padding, interpolation: over channels side by side, or samples of a stack."""
    (x,) = step.operands
    text = step.packs.text
    function = text.function(step.call.function)  # type: ignore[arg-type]
    if step.layout(x) == "channel":
        name = step.channel(x)
        call = text.called(function, step.args, step.kwargs, step.spell({id(x): name}))
        step.results(call, "channel")
        return
    name = step.line(f"{step.stack(x)}.flatten(0, 1)")
    call = text.called(function, step.args, step.kwargs, step.spell({id(x): name}))
    step.results(f"{call}.unflatten(0, ({step.n}, -1))", "stack")


def attention(step: Fused) -> None:
    """Write ``scaled_dot_product_attention`` without dropout and without a mask by member."""
    text = step.packs.text
    spelled: dict[int, str] = {}
    for x in step.operands:
        if x.rank == 4 and not (step.shared(x) and x is not step.operands[0]):
            spelled[id(x)] = step.line(f"{step.stack(x)}.flatten(0, 1)")
        elif step.shared(x) and x.rank < 4:
            spelled[id(x)] = step.own(x)
        else:
            spelled[id(x)] = step.line(f"{step.stack(x)}.flatten(0, 1)")
    function = text.function(step.call.function)  # type: ignore[arg-type]
    call = text.called(function, step.args, step.kwargs, step.spell(spelled))
    step.results(f"{call}.unflatten(0, ({step.n}, -1))", "stack")


def embedding(step: Fused) -> None:
    """Write ``embedding``: one table below the other, the indices moved on by member."""
    given = bound(step.args, step.kwargs, input=None, weight=None)
    x: Operand = given["input"]
    weight: Operand = given["weight"]
    rows = weight.facts.shape[0]
    table = step.tensor(weight, "rows")
    name = step.own(x) if step.shared(x) else step.stack(x)
    ones = ", ".join(["1"] * x.rank)
    offset = step.line(
        f"torch.arange(0, {step.n * rows}, {rows}, device={table}.device).view(-1, {ones})"
    )
    step.results(f"F.embedding({name} + {offset}, {table})", "stack")
