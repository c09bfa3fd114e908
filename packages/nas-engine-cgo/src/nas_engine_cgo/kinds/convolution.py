"""Convolutions of several members as one grouped convolution.

Members whose input is the same share it: that is one dense convolution with more output channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_engine_cgo.kinds.fused import Fused, Operand, bound
from nas_engine_cgo.members import Call
from nas_engine_cgo.packs import AT_ONCE

__all__ = ["arguments", "convolution", "is_strided", "transposed_convolution"]


def arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a convolution by name."""
    return bound(
        args, kwargs, input=None, weight=None, bias=None, stride=1, padding=0, dilation=1, groups=1
    )


def is_strided(call: Call) -> bool:
    """Whether windows are more than a pixel away from each other."""
    stride = arguments(call.args, call.kwargs)["stride"]
    return any(step > 1 for step in (stride if isinstance(stride, (tuple, list)) else (stride,)))


def convolution(step: Fused) -> None:
    """Write ``conv1d``, ``conv2d`` or ``conv3d``."""
    given = arguments(step.args, step.kwargs)
    geometry = [given[name] for name in ("stride", "padding", "dilation")]
    pixels = _of_pixels(step, given)
    if pixels and not step.packs.exact:
        _pointwise(step, given)
        return
    if (ways := step.ways or ((AT_ONCE,) * 3 if pixels else None)) is None:
        _write(step, given, geometry, dense=given["groups"] == 1)
        return
    x: Operand = given["input"]
    name = step.own(x) if step.shared(x) and given["groups"] == 1 else step.channel(x)
    weight, bias = _rows(step, given)
    sizes = [_spread(size, x.rank - 2) for size in geometry]
    step.results(
        f"member_convolution({name}, {weight}, {bias}, {(*sizes, given['groups'])!r}, {step.n}, "
        f"{(ways[0], ways[1], max(ways[2:]))!r})",
        "channel",
    )


def _of_pixels(step: Fused, given: Mapping[str, Any]) -> bool:
    """Whether each member's pixels are multiplied with a matrix of its own, one by one."""
    x, weight = given["input"], given["weight"]
    padding = given["padding"]
    padded = padding not in ("valid", "same") and any(_spread(padding, x.rank - 2))
    alone = given["groups"] == 1 and not step.shared(x)
    return alone and not padded and set(weight.facts.shape[2:]) == {1}


def _pointwise(step: Fused, given: Mapping[str, Any]) -> None:
    x: Operand = given["input"]
    weight, bias = _rows(step, given)
    stride = tuple(_spread(given["stride"], x.rank - 2))
    step.results(f"pointwise({step.channel(x)}, {weight}, {bias}, {stride!r}, {step.n})", "channel")


def _rows(step: Fused, given: Mapping[str, Any]) -> tuple[str, str | None]:
    """The weights and biases of all members."""
    bias = given["bias"]
    return step.tensor(given["weight"], "rows"), bias and step.tensor(bias, "rows")


def _spread(size: Any, dimensions: int) -> list[int]:
    sizes = list(size) if isinstance(size, (tuple, list)) else [size]
    return sizes * dimensions if len(sizes) == 1 else sizes


def transposed_convolution(step: Fused) -> None:
    """Write ``conv_transpose1d``, ``conv_transpose2d`` or ``conv_transpose3d``."""
    given = bound(
        step.args, step.kwargs, input=None, weight=None, bias=None, stride=1, padding=0,
        output_padding=0, groups=1, dilation=1,
    )  # fmt: skip
    names = ("stride", "padding", "output_padding", "dilation")
    _write(step, given, [given[name] for name in names], dense=False)


def _write(step: Fused, given: dict[str, Any], geometry: list[Any], dense: bool) -> None:
    x: Operand = given["input"]
    dense = dense and step.shared(x)
    name = step.own(x) if dense else step.channel(x)
    groups = given["groups"] * (1 if dense else step.n)
    weight, bias = _rows(step, given)
    *middle, dilation = map(repr, geometry)
    order = (dilation, groups) if len(geometry) == 3 else (groups, dilation)
    function = step.packs.text.function(step.call.function)  # type: ignore[arg-type]
    step.results(
        f"{function}({name}, {weight}, {bias}, {', '.join(middle)}, {order[0]}, {order[1]})",
        "channel",
    )
