"""Dropout of several members, each with the numbers that it would draw alone."""

from __future__ import annotations

from nas_engine_cgo.kinds.fused import Fused, Operand, bound

__all__ = ["dropout"]

FEATURES = {"dropout1d": 1, "dropout2d": 2, "dropout3d": 3}


def dropout(step: Fused) -> None:
    """Write ``dropout`` and its forms that drop whole channels."""
    given = bound(step.args, step.kwargs, input=None, p=0.5, training=True)
    x: Operand = given["input"]
    layout = step.layout(x) or "stack"
    name = step.channel(x) if layout == "channel" else step.stack(x)
    if not given["training"] or given["p"] == 0.0:
        step.done(name, layout)
        return
    shape, stride = x.facts.shape, x.facts.stride
    if step.call.name in FEATURES:
        kept = 2 + x.rank - 2 - FEATURES[step.call.name]
        shape = (*shape[:kept], *(1,) * (x.rank - kept))
        stride = ()
    streams = ", ".join(f"r{member}" for member in step.members)
    members = f"({streams},)"
    mask = step.line(
        f"dropout_masks({name}, {members}, {given['p']!r}, {shape[1:]!r}, {layout!r}, "
        f"{_order(stride)!r})"
    )
    step.results(f"{name} * {mask}", layout)


def _order(stride: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost."""
    return tuple(sorted(range(len(stride)), key=lambda d: (-stride[d], d)))
