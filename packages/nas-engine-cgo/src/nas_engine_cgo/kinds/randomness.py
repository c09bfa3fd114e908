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
    shape, order = x.facts.shape, x.facts.order
    if step.call.name in FEATURES:
        shape, order = (*shape[:2], *(1,) * (x.rank - 2)), ()
    streams = ", ".join(f"r{member}" for member in step.members)
    members = f"({streams},)"
    mask = step.line(
        f"dropout_masks({name}, {members}, {given['p']!r}, {shape[1:]!r}, {layout!r}, {order!r})"
    )
    step.results(f"{name} * {mask}", layout)
