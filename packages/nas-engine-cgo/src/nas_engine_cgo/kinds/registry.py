"""Which functions can be fused, under which conditions, and by whom they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from nas_engine_cgo.kinds.convolution import convolution, transposed_convolution
from nas_engine_cgo.kinds.elementwise import elementwise, hand_out
from nas_engine_cgo.kinds.fused import Fused, bound
from nas_engine_cgo.kinds.linear import linear, matmul
from nas_engine_cgo.kinds.losses import class_loss, elementwise_loss
from nas_engine_cgo.kinds.normalization import batch_norm, group_norm, instance_norm, layer_norm
from nas_engine_cgo.kinds.randomness import dropout
from nas_engine_cgo.kinds.samplewise import attention, embedding, samplewise
from nas_engine_cgo.kinds.shapes import (
    concatenate,
    flatten,
    getitem,
    permute,
    reduce,
    reshape,
    swap,
    unsqueeze,
)
from nas_engine_cgo.members import ELEMENTWISE, Call, Program, Ref, refs_in

__all__ = ["fits", "write"]

Condition: TypeAlias = Callable[[Call, Program], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a function is fused."""

    write: Callable[[Fused], None]
    fits: Condition


def fits(call: Call, program: Program) -> bool:
    """Whether the call can be fused with equal calls of other members."""
    kind = KINDS.get(call.name)
    return kind is not None and call.function is not None and kind.fits(call, program)


def write(step: Fused) -> None:
    """Write the step."""
    KINDS[step.call.name].write(step)


# ---------------------------------------------------------------------- conditions


def _shape(program: Program, value: Any) -> tuple[int, ...]:
    return program.facts[value.id].shape if isinstance(value, Ref) else ()


def _always(call: Call, _program: Program) -> bool:
    return len(call.outputs) == 1


def _elementwise(call: Call, program: Program) -> bool:
    if len(call.outputs) != 1 or not call.inputs:
        return False
    made = call.outputs[0]
    return not call.writes or program.facts[made].shape == program.facts[call.inputs[0]].shape


def _convolution(call: Call, program: Program) -> bool:
    given = bound(call.args, call.kwargs, input=None, weight=None)
    x, weight = given["input"], given["weight"]
    return isinstance(x, Ref) and len(_shape(program, x)) == len(_shape(program, weight))


def _linear(call: Call, program: Program) -> bool:
    given = bound(call.args, call.kwargs, input=None, weight=None, bias=None)
    return len(_shape(program, given["weight"])) == 2 and _shape(program, given["input"]) != ()


def _matmul(call: Call, program: Program) -> bool:
    return len(call.inputs) == 2 and all(len(program.facts[n].shape) >= 2 for n in call.inputs)


def _normalization(call: Call, program: Program) -> bool:
    given = bound(
        call.args, call.kwargs, input=None, running_mean=None, running_var=None, weight=None,
        bias=None,
    )  # fmt: skip
    return len(_shape(program, given["input"])) >= 2 and not _computed(
        program, *(given[name] for name in ("running_mean", "running_var"))
    )


def _computed(program: Program, *values: Any) -> bool:
    """Whether one of these is computed, so that it can't be changed in place."""
    return any(isinstance(v, Ref) and v.id not in program.sources for v in values)


def _group_norm(call: Call, program: Program) -> bool:
    return len(_shape(program, bound(call.args, call.kwargs, input=None)["input"])) >= 2


def _reduce(call: Call, program: Program) -> bool:
    given = bound(call.args, call.kwargs, input=None, dim=None)
    ref, dimension = given["input"], given["dim"]
    numbers = dimension if isinstance(dimension, (tuple, list)) else (dimension,)
    return (
        len(call.inputs) == 1
        and isinstance(ref, Ref)
        and _shape(program, ref) != ()
        and (dimension is None or all(type(number) is int for number in numbers))
        and not (dimension is None and (len(call.args) > 2 or call.kwargs.keys() - {"dtype"}))
    )


def _one_input(call: Call, _program: Program) -> bool:
    return len(call.inputs) == 1 and len(call.outputs) == 1


def _sizes(call: Call, _program: Program) -> bool:
    if len(call.inputs) != 1 or len(call.outputs) != 1 or not isinstance(call.args[0], Ref):
        return False
    rest = (*call.args[1:], *call.kwargs.values())
    flat = rest[0] if len(rest) == 1 and isinstance(rest[0], (tuple, list)) else rest
    return bool(flat) and all(type(size) is int for size in flat)


def _getitem(call: Call, _program: Program) -> bool:
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    plain = all(
        item is None or item is Ellipsis or type(item) is int or _plain_slice(item)
        for item in index
    )
    return plain and len(call.inputs) == 1


def _plain_slice(item: Any) -> bool:
    return isinstance(item, slice) and not any(True for _ in refs_in(item))


def _concatenate(call: Call, program: Program) -> bool:
    given = bound(call.args, call.kwargs, tensors=None, dim=0)
    parts, dimension = given["tensors"], given["dim"]
    ranks = {len(_shape(program, part)) for part in parts}
    return type(dimension) is int and len(ranks) == 1 and 0 not in ranks


def _spatial(dimensions: int) -> Condition:
    """A function of batches of images: no unbatched input, no indices wanted."""

    def condition(call: Call, program: Program) -> bool:
        if len(call.inputs) != 1 or len(call.outputs) != 1:
            return False
        return len(program.facts[call.inputs[0]].shape) == dimensions + 2

    return condition


def _batched_images(call: Call, program: Program) -> bool:
    return _one_input(call, program) and len(program.facts[call.inputs[0]].shape) >= 3


def _pad(call: Call, program: Program) -> bool:
    given = bound(call.args, call.kwargs, input=None, pad=(), mode="constant", value=None)
    rank = len(_shape(program, given["input"]))
    return _one_input(call, program) and rank >= 3 and len(given["pad"]) <= 2 * (rank - 2)


def _dropout(call: Call, program: Program) -> bool:
    given = bound(call.args, call.kwargs, input=None, p=0.5, training=True)
    rank = len(_shape(program, given["input"]))
    return rank >= (1 if call.name == "dropout" else 3) and 0 <= given["p"] < 1


def _embedding(call: Call, _program: Program) -> bool:
    given = bound(
        call.args, call.kwargs, input=None, weight=None, padding_idx=None, max_norm=None,
        norm_type=2.0, scale_grad_by_freq=False, sparse=False,
    )  # fmt: skip
    special = ("padding_idx", "max_norm", "scale_grad_by_freq", "sparse")
    return not any(given[name] not in (None, False) for name in special)


def _attention(call: Call, program: Program) -> bool:
    given = bound(
        call.args, call.kwargs, query=None, key=None, value=None, attn_mask=None, dropout_p=0.0
    )
    ranks = {len(_shape(program, given[name])) for name in ("query", "key", "value")}
    mask = given["attn_mask"]
    return ranks == {4} and given["dropout_p"] == 0.0 and mask is None


def _class_loss(call: Call, program: Program) -> bool:
    given = bound(
        call.args, call.kwargs, input=None, target=None, weight=None, size_average=None,
        ignore_index=-100, reduce=None, reduction="mean",
    )  # fmt: skip
    x = _shape(program, given["input"])
    legacy = given["size_average"] is not None or given["reduce"] is not None
    return given["weight"] is None and len(x) >= 2 and not legacy


def _elementwise_loss(call: Call, program: Program) -> bool:
    given = bound(call.args, call.kwargs, input=None, target=None)
    same = _shape(program, given["input"]) == _shape(program, given["target"])
    legacy = any(call.kwargs.get(name) is not None for name in ("size_average", "reduce", "weight"))
    return len(call.inputs) == 2 and same and not legacy and _shape(program, given["input"]) != ()


# ---------------------------------------------------------------------- the table

_POOLS = {
    f"{name}{d}d": Kind(samplewise, _spatial(d))
    for name in (
        "avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool", "_max_pool",
        "_adaptive_max_pool",
    )
    for d in (1, 2, 3)
}  # fmt: skip

KINDS: dict[str, Kind] = {
    **dict.fromkeys(ELEMENTWISE, Kind(elementwise, _elementwise)),
    **{f"conv{d}d": Kind(convolution, _convolution) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": Kind(transposed_convolution, _convolution) for d in (1, 2, 3)},
    "fan_out": Kind(hand_out, lambda _call, _program: True),
    "linear": Kind(linear, _linear),
    **dict.fromkeys(("matmul", "bmm", "mm", "__matmul__", "__rmatmul__"), Kind(matmul, _matmul)),
    "batch_norm": Kind(batch_norm, _normalization),
    "instance_norm": Kind(instance_norm, _normalization),
    "group_norm": Kind(group_norm, _group_norm),
    "layer_norm": Kind(layer_norm, _always),
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "prod", "softmax", "log_softmax", "logsumexp", "cumsum",
         "argmax", "argmin", "max", "min", "std", "var", "glu"),
        Kind(reduce, _reduce),
    ),
    "flatten": Kind(flatten, _one_input),
    **dict.fromkeys(("view", "reshape"), Kind(reshape, _sizes)),
    "permute": Kind(permute, _sizes),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), Kind(swap, _sizes)),
    "unsqueeze": Kind(unsqueeze, _one_input),
    "__getitem__": Kind(getitem, _getitem),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), Kind(concatenate, _concatenate)),
    **_POOLS,
    **dict.fromkeys(("interpolate", "upsample"), Kind(samplewise, _batched_images)),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), Kind(samplewise, _spatial(2))),
    "pad": Kind(samplewise, _pad),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), Kind(dropout, _dropout)),
    "embedding": Kind(embedding, _embedding),
    "scaled_dot_product_attention": Kind(attention, _attention),
    **dict.fromkeys(("cross_entropy", "nll_loss"), Kind(class_loss, _class_loss)),
    **dict.fromkeys(
        ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
         "binary_cross_entropy_with_logits"),
        Kind(elementwise_loss, _elementwise_loss),
    ),
}  # fmt: skip
