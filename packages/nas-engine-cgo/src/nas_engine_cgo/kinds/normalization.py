"""Normalisation of several members: by channels side by side, or by features in a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn import functional

from nas_engine_cgo.kinds.fused import Fused, Operand, bound

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


def _rows(step: Fused, operand: Operand | None) -> str:
    return "None" if operand is None else step.tensor(operand, "rows")


def batch_norm(step: Fused) -> None:
    """Write ``batch_norm``: the statistics are by channel, and so by member."""
    _by_channel(step, functional.batch_norm, training=False)


def instance_norm(step: Fused) -> None:
    """Write ``instance_norm``."""
    _by_channel(step, functional.instance_norm, use_input_stats=True)


def _by_channel(step: Fused, function: Callable[..., Any], **flag: bool) -> None:
    """Write a normalisation with statistics by channel; the flag is the argument after them."""
    tensors = ("running_mean", "running_var", "weight", "bias")
    given = bound(
        step.args, step.kwargs, input=None, **dict.fromkeys(tensors), **flag, momentum=0.1, eps=1e-5
    )
    rows = [_rows(step, given[name]) for name in tensors]
    rest = [repr(given[name]) for name in (*flag, "momentum", "eps")]
    x = step.channel(given["input"])
    name = step.packs.text.function(function)
    step.results(f"{name}({', '.join([x, *rows, *rest])})", "channel")


def group_norm(step: Fused) -> None:
    """Write ``group_norm``: members are more groups."""
    given = bound(
        step.args, step.kwargs, input=None, num_groups=None, weight=None, bias=None, eps=1e-5
    )
    x = step.channel(given["input"])
    weight, bias = _rows(step, given["weight"]), _rows(step, given["bias"])
    groups = given["num_groups"] * step.n
    step.results(f"F.group_norm({x}, {groups}, {weight}, {bias}, {given['eps']!r})", "channel")


def layer_norm(step: Fused) -> None:
    """Write ``layer_norm``; weight and bias differ by member, so they are applied afterwards."""
    given = bound(
        step.args, step.kwargs, input=None, normalized_shape=None, weight=None, bias=None, eps=1e-5
    )
    x: Operand = given["input"]
    shape = tuple(given["normalized_shape"])
    if step.ways is not None:
        leaves = [given[name] and step.stack(given[name]) for name in ("weight", "bias")]
        rest = f"{', '.join(map(str, leaves))}, {given['eps']!r}, {bool(step.ways[0])!r}"
        step.results(f"member_layer_norm({step.stack(x)}, {shape!r}, {rest})", "stack")
        return
    name = f"F.layer_norm({step.stack(x)}, {shape!r}, None, None, {given['eps']!r})"
    between = ", ".join([":", *["None"] * (x.rank - len(shape))])
    weight, bias = (
        None if given[name] is None else f"{step.stack(given[name])}[{between}]"
        for name in ("weight", "bias")
    )
    match weight, bias:
        case None, None:
            pass
        case _, None:
            name = f"{name} * {weight}"
        case None, _:
            name = f"{name} + {bias}"
        case _:
            name = f"torch.addcmul({bias}, {name}, {weight})"
    step.results(name, "stack")


def rms_norm(step: Fused) -> None:
    """Write ``rms_norm``; as in ``layer_norm``, the weight is applied afterwards."""
    given = bound(step.args, step.kwargs, input=None, normalized_shape=None, weight=None, eps=None)
    x: Operand = given["input"]
    shape = tuple(given["normalized_shape"])
    name = f"F.rms_norm({step.stack(x)}, {shape!r}, None, {given['eps']!r})"
    if given["weight"] is not None:
        between = ", ".join([":", *["None"] * (x.rank - len(shape))])
        name = f"{name} * {step.stack(given['weight'])}[{between}]"
    step.results(name, "stack")
