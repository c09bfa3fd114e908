"""Which functions can be fused, under which conditions, and by whom they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas_engine_cgo.kinds import conditions, shapes, ways
from nas_engine_cgo.kinds.convolution import convolution, transposed_convolution
from nas_engine_cgo.kinds.elementwise import elementwise, hand_out, prelu
from nas_engine_cgo.kinds.fused import Fused
from nas_engine_cgo.kinds.linear import baddbmm, einsum, linear, matmul
from nas_engine_cgo.kinds.losses import class_loss, elementwise_loss, log_softmax
from nas_engine_cgo.kinds.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from nas_engine_cgo.kinds.randomness import dropout
from nas_engine_cgo.kinds.samplewise import attention, embedding, samplewise
from nas_engine_cgo.members import ELEMENTWISE, Call, Program
from nas_engine_cgo.packs import Parts

__all__ = ["KINDS", "fits", "next_ways", "write"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a function is fused.

    Attributes:
        write: writes it.
        fits: when that can be.
        ways: the ways that are next where some did not give all their bits.
    """

    write: Callable[[Fused], None]
    fits: conditions.Condition
    ways: Callable[[Call, Parts, Sequence[bool]], Parts | None] = ways.none


def fits(call: Call, program: Program) -> bool:
    """Whether the call can be fused with equal calls of other members."""
    kind = KINDS.get(call.name)
    return kind is not None and call.function is not None and kind.fits(call, program)


def next_ways(call: Call, before: Parts, equal: Sequence[bool]) -> Parts | None:
    """Other ways to compute a fused call; None if there are none.

    Args:
        call: that of one member.
        before: the ways that were taken.
        equal: whether the results, and by position the gradients of the operands, had their bits.
    """
    return KINDS[call.name].ways(call, before, equal)


def write(step: Fused) -> None:
    """Write the step."""
    KINDS[step.call.name].write(step)


_POOLS = {
    f"{name}{d}d": Kind(samplewise, conditions.spatial(d))
    for name in (
        "avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool", "_max_pool",
        "_adaptive_max_pool",
    )
    for d in (1, 2, 3)
}  # fmt: skip

KINDS: dict[str, Kind] = {
    **dict.fromkeys(ELEMENTWISE, Kind(elementwise, conditions.elementwise)),
    "masked_fill": Kind(elementwise, conditions.filled),
    "prelu": Kind(prelu, conditions.one_result),
    **{
        f"conv{d}d": Kind(convolution, conditions.convolution, ways.of_convolution)
        for d in (1, 2, 3)
    },
    **{
        f"conv_transpose{d}d": Kind(transposed_convolution, conditions.convolution)
        for d in (1, 2, 3)
    },
    "fan_out": Kind(hand_out, conditions.always),
    "in_order": Kind(shapes.lay_out, conditions.always),
    "linear": Kind(linear, conditions.linear, ways.everything_apart),
    **dict.fromkeys(
        ("matmul", "bmm", "mm", "__matmul__", "__rmatmul__"), Kind(matmul, conditions.matmul)
    ),
    "baddbmm": Kind(baddbmm, conditions.baddbmm),
    "einsum": Kind(einsum, conditions.einsum),
    "batch_norm": Kind(batch_norm, conditions.normalization),
    "instance_norm": Kind(instance_norm, conditions.normalization),
    "group_norm": Kind(group_norm, conditions.group_norm),
    "layer_norm": Kind(layer_norm, conditions.one_result, ways.everything_apart),
    "rms_norm": Kind(rms_norm, conditions.one_result),
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "prod", "softmax", "_safe_softmax", "logsumexp",
         "cumsum", "argmax", "argmin", "max", "min", "std", "var", "glu"),
        Kind(shapes.reduce, conditions.reduction),
    ),
    "log_softmax": Kind(log_softmax, conditions.reduction, ways.otherwise),
    "flatten": Kind(shapes.flatten, conditions.one_input),
    "unflatten": Kind(shapes.unflatten, conditions.plain),
    **dict.fromkeys(("view", "reshape"), Kind(shapes.reshape, conditions.sizes)),
    "permute": Kind(shapes.permute, conditions.sizes),
    **dict.fromkeys(
        ("transpose", "swapaxes", "swapdims"), Kind(shapes.swap, conditions.sizes)
    ),
    **dict.fromkeys(("T", "mT", "t"), Kind(shapes.turn, conditions.matrix)),
    **dict.fromkeys(("movedim", "moveaxis"), Kind(shapes.move, conditions.plain)),
    "squeeze": Kind(shapes.squeeze, conditions.plain),
    "unsqueeze": Kind(shapes.unsqueeze, conditions.one_input),
    **dict.fromkeys(("expand", "broadcast_to"), Kind(shapes.expand, conditions.sizes)),
    "repeat": Kind(shapes.repeat, conditions.sizes),
    **dict.fromkeys(("narrow", "select", "flip"), Kind(shapes.along, conditions.plain)),
    **dict.fromkeys(
        ("chunk", "split", "tensor_split", "unbind"), Kind(shapes.cut, conditions.pieces)
    ),
    "__getitem__": Kind(shapes.getitem, conditions.getitem),
    **dict.fromkeys(
        ("cat", "concat", "concatenate", "stack"),
        Kind(shapes.concatenate, conditions.concatenate),
    ),
    **_POOLS,
    **dict.fromkeys(("interpolate", "upsample"), Kind(samplewise, conditions.images)),
    **dict.fromkeys(
        ("pixel_shuffle", "pixel_unshuffle"), Kind(samplewise, conditions.spatial(2))
    ),
    "pad": Kind(samplewise, conditions.pad),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d"), Kind(dropout, conditions.dropout)
    ),
    "embedding": Kind(embedding, conditions.embedding),
    "scaled_dot_product_attention": Kind(attention, conditions.attention),
    **dict.fromkeys(
        ("cross_entropy", "nll_loss"),
        Kind(class_loss, conditions.class_loss, ways.of_loss),
    ),
    **dict.fromkeys(
        ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
         "binary_cross_entropy_with_logits", "soft_margin_loss", "poisson_nll_loss",
         "multilabel_soft_margin_loss"),
        Kind(elementwise_loss, conditions.elementwise_loss, ways.of_loss),
    ),
}  # fmt: skip
