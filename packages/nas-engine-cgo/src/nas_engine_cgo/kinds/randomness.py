"""Dropout of several members, each with the numbers that it would draw alone."""

from __future__ import annotations

from nas_engine_cgo.kinds.fused import Fused, Operand, bound

__all__ = ["dropout"]

FEATURES = frozenset({"dropout1d", "dropout2d", "dropout3d"})


def dropout(step: Fused) -> None:
    """Write ``dropout`` and its forms that drop whole channels."""
    given = bound(step.args, step.kwargs, input=None, p=0.5, training=True)
    x: Operand = given["input"]
    layout = step.layout(x) or "stack"
    name = step.channel(x) if layout == "channel" else step.stack(x)
    if not given["training"] or given["p"] == 0.0:
        step.done(name, layout)
        return
    order = () if step.call.name in FEATURES else x.facts.order

    def masked(shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the mask of one sample."""
        return (shape[1], *(1,) * (x.rank - 2)) if step.call.name in FEATURES else shape[1:]

    known = [step.packs.facts(slot) for slot in x.slots]
    owns = [masked(facts.own or facts.shape) for facts in known]
    shape = masked(x.facts.shape)
    wide = f", {owns!r}" if set(owns) != {shape} else ""
    streams = ", ".join(f"r{member}" for member in step.members)
    members = f"({streams},)"
    mask = step.line(
        f"dropout_masks({name}, {members}, {given['p']!r}, {shape!r}, {layout!r}, {order!r}{wide})"
    )
    step.results(f"{name} * {mask}", layout)
