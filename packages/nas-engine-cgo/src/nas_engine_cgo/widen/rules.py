"""What becomes of a call some of whose values have zeros added, for each kind of function.

A rule gives the call as it is then, or None: it needs its inputs as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch

from nas_engine_cgo.kinds import arguments, bound
from nas_engine_cgo.members import Call, Program, Ref
from nas_engine_cgo.widen.widths import CONVOLUTIONS, Widths

__all__ = ["RULES", "Given", "Wide", "Widened"]


@dataclass(frozen=True, slots=True)
class Wide:
    """A dimension at whose end there are zeros: of ``width`` elements ``own`` are the member's."""

    dim: int
    own: int
    width: int


@dataclass(frozen=True, slots=True)
class Widened:
    """A call as it is when something is wide.

    Attributes:
        call: what is called.
        result: how wide its result is; None if it is as it was.
        sources: parameters and buffers that it takes with zeros added, and their shapes then.
    """

    call: Call
    result: Wide | None
    sources: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """What a rule knows of a call.

    Attributes:
        call: as it was.
        program: that it belongs to.
        fits: whether it can be fused with others.
        wide: the values that are wide.
        widths: of layers.
        uses: how many calls read each value.
    """

    call: Call
    program: Program
    fits: bool
    wide: Mapping[int, Wide]
    widths: Widths
    uses: Mapping[int, int]

    def shape(self, value: Any) -> tuple[int, ...]:
        """The shape of a value as it was; of anything else, none."""
        return self.program.facts[value.id].shape if isinstance(value, Ref) else ()

    def wide_input(self) -> tuple[Ref, Wide] | None:
        """The first argument and how wide it is, if no other value is wide."""
        x = self.call.args[0] if self.call.args else self.call.kwargs.get("input")
        others = [n for n in self.call.inputs if n in self.wide]
        if not isinstance(x, Ref) or others != [x.id] or len(self.call.outputs) != 1:
            return None
        return x, self.wide[x.id]

    def padded(self, *shapes: tuple[Any, tuple[int, ...]]) -> dict[int, tuple[int, ...]] | None:
        """Those of these values, by number, that get another shape; some may be left out as None.

        None if one is no parameter or buffer, or another call reads it as well.
        """
        found = {}
        for value, shape in shapes:
            if value is None:
                continue
            source = self.program.sources.get(value.id) if isinstance(value, Ref) else None
            if source is None or source.kind not in ("parameter", "buffer"):
                return None
            if self.uses[value.id] != 1:
                return None
            if self.shape(value) != shape:
                found[value.id] = shape
        return found


Rule: TypeAlias = Callable[[Given], Widened | None]


def _linear(given: Given) -> Widened | None:
    named = bound(given.call.args, given.call.kwargs, input=None, weight=None, bias=None)
    rank = len(given.shape(named["input"]))
    return _layer(given, named, rank - 1)


def _layer(given: Given, named: Mapping[str, Any], dim: int) -> Widened | None:
    """A layer whose weights join all that lies along a dimension of its input."""
    x, weight, bias = named["input"], named["weight"], named["bias"]
    wide, source = given.wide.get(x.id), given.program.sources.get(weight.id)
    if source is None or (wide is not None and wide.dim != dim) or dim < 1:
        return None
    own, inputs, *window = given.shape(weight)
    width = given.widths.get((str(source.path), own), own)
    taken = inputs if wide is None else wide.width
    sources = given.padded((weight, (width, taken, *window)), (bias, (width,)))
    if sources is None:
        return None
    return Widened(given.call, None if width == own else Wide(dim, own, width), sources)


def _convolution(given: Given) -> Widened | None:
    named = arguments(given.call.args, given.call.kwargs)
    x, weight, bias = named["input"], named["weight"], named["bias"]
    if len(given.shape(x)) != len(given.shape(weight)):
        return None
    if named["groups"] == 1:
        return _layer(given, named, 1)
    found = given.wide_input()
    if found is None or found[1].dim != 1:
        return None
    wide, (outputs, _, *window) = found[1], given.shape(weight)
    sources = given.padded((weight, (wide.width, 1, *window)), (bias, (wide.width,)))
    if sources is None or not outputs == named["groups"] == wide.own:
        return None  # Only of each channel by itself the others know nothing.
    args = list(given.call.args)
    kwargs = dict(given.call.kwargs)
    if len(args) == len(named):
        args[-1] = wide.width
    else:
        kwargs["groups"] = wide.width
    return Widened(replace(given.call, args=tuple(args), kwargs=kwargs), wide, sources)


def _batch_norm(given: Given) -> Widened | None:
    found = given.wide_input()
    if found is None or found[1].dim != 1:
        return None
    tensors = ("running_mean", "running_var", "weight", "bias")
    named = bound(
        given.call.args, given.call.kwargs, input=None, **dict.fromkeys(tensors),
        training=False, momentum=0.1, eps=1e-5,
    )  # fmt: skip
    sources = given.padded(*((named[name], (found[1].width,)) for name in tensors))
    # What is zero everywhere has no variance to divide by.
    if sources is None or named["eps"] <= 0:
        return None
    return Widened(given.call, found[1], sources)


def _alike(given: Given) -> Widened | None:
    """A function of one value that gives zero for zero, in the same place."""
    found = given.wide_input()
    if found is None or given.call.writes:
        return None
    return Widened(given.call, found[1])


def _dropped(given: Given) -> Widened | None:
    """Dropout, each member's of what is its own: only fused code can tell."""
    return _alike(given) if given.fits else None


def _added(given: Given) -> Widened | None:
    """A sum or difference of values that are equally wide."""
    return _combined(given, lambda _other, _wide: False)


def _multiplied(given: Given) -> Widened | None:
    """A product with what is equally wide, a number, or the same for all along the dimension."""
    rank = max(map(len, map(given.shape, _operands(given))), default=0)

    def same_along(other: Any, wide: Wide) -> bool:
        if not isinstance(other, Ref):
            return isinstance(other, (int, float)) and math.isfinite(other)
        shape = given.shape(other)
        along = wide.dim - (rank - len(shape))
        return other.id not in given.wide and (along < 0 or shape[along] == 1)

    return _combined(given, same_along)


def _divided(given: Given) -> Widened | None:
    """A quotient by a number."""
    x, divisor = _operands(given)
    plain = isinstance(divisor, (int, float)) and divisor != 0 and math.isfinite(divisor)
    return _alike(given) if plain and isinstance(x, Ref) else None


def _operands(given: Given) -> tuple[Any, Any]:
    named = bound(given.call.args, given.call.kwargs, input=None, other=None)
    return named["input"], named["other"]


def _combined(given: Given, allowed: Callable[[Any, Wide], bool]) -> Widened | None:
    operands = _operands(given)
    if given.call.writes or given.call.kwargs.keys() - {"input", "other", "alpha"}:
        return None
    wide = next(given.wide[n] for n in given.call.inputs if n in given.wide)
    rank = max(map(len, map(given.shape, operands)))
    for operand in operands:
        there = given.wide.get(operand.id) if isinstance(operand, Ref) else None
        equally = there == wide and len(given.shape(operand)) == rank
        if not equally and not allowed(operand, wide):
            return None
    return Widened(given.call, wide)


def _of_images(given: Given) -> Widened | None:
    """A function that treats each channel by itself, and gives zeros for zeros."""
    found = given.wide_input()
    if found is None or found[1].dim != 1 or len(given.shape(found[0])) < 3:
        return None
    return Widened(given.call, found[1])


def _padded(given: Given) -> Widened | None:
    """Zeros at the borders of other dimensions."""
    named = bound(given.call.args, given.call.kwargs, input=None, pad=(), mode="constant", value=0)
    found = given.wide_input()
    if found is None or named["value"] not in (None, 0):
        return None
    apart = len(named["pad"]) // 2 <= len(given.shape(found[0])) - 1 - found[1].dim
    return Widened(given.call, found[1]) if apart else None


def _reduced(given: Given) -> Widened | None:
    """A mean or sum along other dimensions."""
    found = given.wide_input()
    named = bound(given.call.args, given.call.kwargs, input=None, dim=None, keepdim=False)
    dims = named["dim"]
    if found is None or dims is None or dims == () or dims == []:
        return None
    x, wide = found
    rank = len(given.shape(x))
    along = {d % rank for d in (dims if isinstance(dims, (tuple, list)) else (dims,))}
    if wide.dim in along:
        return None
    before = 0 if named["keepdim"] else sum(d < wide.dim for d in along)
    return Widened(given.call, replace(wide, dim=wide.dim - before))


def _flattened(given: Given) -> Widened | None:
    """Dimensions as one, of which the outermost is wide: zeros stay at the end."""
    found = given.wide_input()
    if found is None:
        return None
    x, wide = found
    named = bound(given.call.args, given.call.kwargs, input=None, start_dim=0, end_dim=-1)
    shape = given.shape(x)
    start, end = (named[name] % len(shape) for name in ("start_dim", "end_dim"))
    if wide.dim < start:
        return Widened(given.call, wide)
    if wide.dim > end:
        return Widened(given.call, replace(wide, dim=wide.dim - (end - start)))
    if wide.dim != start:
        return None
    times = math.prod(shape[start + 1 : end + 1])
    return Widened(given.call, Wide(start, wide.own * times, wide.width * times))


def _viewed(given: Given) -> Widened | None:
    """All but the first dimension as one, whatever way it is written."""
    found = given.wide_input()
    if found is None or found[1].dim != 1:
        return None
    (first, *rest) = given.shape(found[0])
    if given.program.facts[given.call.outputs[0]].shape != (first, math.prod(rest)):
        return None
    call = replace(
        given.call, name="flatten", function=torch.flatten, args=(found[0], 1), kwargs={}
    )
    return _flattened(replace(given, call=call))


def _names(text: str) -> list[str]:
    return text.split()


RULES: Mapping[str, Rule] = {
    "linear": _linear,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    "batch_norm": _batch_norm,
    **dict.fromkeys(
        _names(
            """
            relu relu6 gelu silu mish tanh leaky_relu elu celu selu hardswish softsign tanhshrink
            hardshrink softshrink abs neg clone detach sin atan sinh asinh erf expm1 square
            """
        ),
        _alike,
    ),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), _dropped),
    **dict.fromkeys(("add", "__add__", "__radd__", "sub", "__sub__", "__rsub__"), _added),
    **dict.fromkeys(("mul", "__mul__", "__rmul__"), _multiplied),
    **dict.fromkeys(("div", "true_divide", "__truediv__"), _divided),
    **{
        f"{kind}_pool{d}d": _of_images
        for kind in ("avg", "max", "adaptive_avg", "adaptive_max", "_max", "_adaptive_max")
        for d in (1, 2, 3)
    },
    **dict.fromkeys(("interpolate", "upsample"), _of_images),
    "pad": _padded,
    **dict.fromkeys(("mean", "sum"), _reduced),
    "flatten": _flattened,
    **dict.fromkeys(("view", "reshape"), _viewed),
}
"""Function → its rule."""
