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
        name = step.seen_whole(x) if "adaptive" in step.call.name else step.channel(x)
        call = text.called(function, step.args, step.kwargs, step.spell({id(x): name}))
        step.results(call, "channel")
        return
    name = step.line(f"{step.stack(x)}.flatten(0, 1)")
    call = text.called(function, step.args, step.kwargs, step.spell({id(x): name}))
    step.results(f"{call}.unflatten(0, ({step.n}, -1))", "stack")


def attention(step: Fused) -> None:
    """Write ``scaled_dot_product_attention`` without dropout: members are more samples."""
    text = step.packs.text
    given = bound(step.args, step.kwargs, query=None, key=None, value=None, attn_mask=None)
    query: Operand = given["query"]
    mask: Operand | None = given["attn_mask"]
    spelled = {
        id(x): step.line(f"{step.stack(x)}.flatten(0, 1)")
        for x in (query, given["key"], given["value"])
    }
    if mask is not None:
        if step.shared(mask) and mask.rank < 4:
            spelled[id(mask)] = step.own(mask)
        else:
            ones = ", ".join([":", *["None"] * (4 - mask.rank)])
            samples = f"{step.n}, {spelled[id(query)]}.shape[0] // {step.n}, -1, -1, -1"
            spelled[id(mask)] = step.line(
                f"{step.stack(mask)}[{ones}].expand({samples}).flatten(0, 1)"
            )
    function = text.function(step.call.function)  # type: ignore[arg-type]
    call = text.called(function, step.args, step.kwargs, step.spell(spelled))
    step.results(f"{call}.unflatten(0, ({step.n}, -1))", "stack")


def embedding(step: Fused) -> None:
    """Write ``embedding``: one table below the other, the indices moved on by member."""
    given = bound(step.args, step.kwargs, input=None, weight=None, padding_idx=None)
    x: Operand = given["input"]
    weight: Operand = given["weight"]
    rows = weight.facts.shape[0]
    table = step.tensor(weight, "rows")
    name = step.own(x) if step.shared(x) else step.stack(x)
    ones = ", ".join(["1"] * x.rank)
    offset = step.line(
        f"torch.arange(0, {step.n * rows}, {rows}, device={table}.device).view(-1, {ones})"
    )
    found = f"F.embedding({name} + {offset}, {table})"
    if given["padding_idx"] is not None:
        found = step.line(found)  # The row of the padding gets no gradient.
        padding = f"({name} == {given['padding_idx'] % rows})[..., None]"
        found = f"torch.where({padding}, {found}.detach(), {found})"
    step.results(found, "stack")
