"""Results whose shapes are plain to see.

On the meta device torch works these out in Python, which takes a tenth of a millisecond to one.
What is not as usual, or may raise, is left to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["foreseen"]


def foreseen(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Tensor | None:
    """A tensor like the result of a function of tensors on the meta device; None if unknown.

    >>> x, weight = torch.empty(5, 4, device="meta"), torch.empty(3, 4, device="meta")
    >>> tuple(foreseen(functional.linear, (x, weight), {}).shape)
    (5, 3)
    >>> foreseen(functional.linear, (x, weight.t()), {})
    """
    if (find := _FORESEEN.get(function)) is None or torch.is_autocast_enabled("cpu"):
        return None
    try:
        return find(*args, **kwargs)
    except TypeError:
        return None  # Arguments that are not as usual.


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    outputs, inputs = weight.shape if weight.dim() == 2 else (0, -1)
    fits = x.dim() > 1 and x.shape[-1] == inputs and _is_usual(x, weight, bias)
    if not fits or not (bias is None or bias.shape == (outputs,)):
        return None
    return x.new_empty((*x.shape[:-1], outputs))


def _layer_norm(
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor | None:
    last = tuple(normalized_shape)
    fits = 0 < len(last) <= x.dim() and x.shape[-len(last) :] == last and type(eps) is float
    if not fits or any(part is not None and part.shape != last for part in (weight, bias)):
        return None
    return x.new_empty(x.shape) if _is_usual(x, weight, bias) else None


def _elementwise(x: Tensor, inplace: bool = False) -> Tensor | None:
    return None if inplace is not False or not _is_usual(x) else x.new_empty(x.shape)


def _cross_entropy(x: Tensor, target: Tensor, **options: Any) -> Tensor | None:
    usual = all(_USUAL_LOSS.get(name, target) == value for name, value in options.items())
    classes = x.dim() == 2 and target.dtype == torch.int64 and target.shape == x.shape[:1]
    return x.new_empty(()) if usual and classes and _is_usual(x) else None


_USUAL_LOSS = {
    "weight": None, "size_average": None, "ignore_index": -100, "reduce": None,
    "reduction": "mean", "label_smoothing": 0.0,
}  # fmt: skip


def _is_usual(x: Tensor, *others: Tensor | None) -> bool:
    """Whether the result of a tensor and parameters is contiguous and has its type."""
    same = all(other is None or (other.dtype == x.dtype and other.is_meta) for other in others)
    return same and x.is_meta and x.is_contiguous() and x.dtype.is_floating_point


_FORESEEN: Mapping[Callable[..., Any], Callable[..., Tensor | None]] = {
    functional.linear: _linear,
    functional.layer_norm: _layer_norm,
    functional.cross_entropy: _cross_entropy,
    **dict.fromkeys(
        (
            functional.relu, functional.relu6, functional.silu, functional.mish, functional.selu,
            functional.hardswish, functional.hardsigmoid, torch.relu, torch.sigmoid, torch.tanh,
            Tensor.relu, Tensor.sigmoid, Tensor.tanh,
        ),
        _elementwise,
    ),
    functional.gelu: lambda x, approximate="none": (
        _elementwise(x) if approximate in ("none", "tanh") else None
    ),
}  # fmt: skip
