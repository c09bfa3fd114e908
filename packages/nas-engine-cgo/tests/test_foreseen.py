"""Results that are foreseen are those of torch, and all else is left to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from nas_engine_cgo.members import Remembered
from nas_engine_cgo.members.foreseen import foreseen
from torch import Tensor
from torch.nn import functional

X, W, B = torch.randn(5, 3, 4), torch.randn(6, 4), torch.randn(6)
LOGS, CLASSES = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
ACTIVATIONS = (
    functional.relu, functional.relu6, functional.silu, functional.mish, functional.selu,
    functional.hardswish, functional.hardsigmoid, functional.gelu, torch.relu, torch.sigmoid,
    torch.tanh, Tensor.relu, Tensor.sigmoid, Tensor.tanh,
)  # fmt: skip
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]] = {
    **{f"{f.__name__} {i}": (f, (X,), {}) for i, f in enumerate(ACTIVATIONS)},
    "relu, told": (functional.relu, (X,), {"inplace": False}),
    "gelu, told": (functional.gelu, (X,), {"approximate": "tanh"}),
    "linear": (functional.linear, (X, W, B), {}),
    "linear, without bias": (functional.linear, (X[:, 0].contiguous(), W), {}),
    "layer_norm": (functional.layer_norm, (X, (4,)), {"weight": B[:4], "bias": B[:4], "eps": 1e-5}),
    "layer_norm, plain": (functional.layer_norm, (X, [3, 4]), {}),
    "cross_entropy": (functional.cross_entropy, (LOGS, CLASSES), {}),
    "cross_entropy, told": (
        functional.cross_entropy, (LOGS, CLASSES), {"reduction": "mean", "label_smoothing": 0.0},
    ),
}  # fmt: skip
UNUSUAL: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]] = {
    "in place": (functional.relu, (X,), {"inplace": True}),
    "crosswise": (functional.relu, (X.transpose(0, 1),), {}),
    "whole numbers": (torch.sigmoid, (CLASSES,), {}),
    "a way that there is not": (functional.gelu, (X,), {"approximate": "no"}),
    "crosswise, linear": (functional.linear, (X.transpose(0, 1), W), {}),
    "too many inputs": (functional.linear, (X, W.t()), {}),
    "another bias": (functional.linear, (X, W, B[:4]), {}),
    "one row": (functional.linear, (X[0, 0], W), {}),
    "another type": (functional.linear, (X, W.double()), {}),
    "another shape": (functional.layer_norm, (X, (3,)), {}),
    "another weight": (functional.layer_norm, (X, (4,), B), {}),
    "an argument that there is not": (functional.linear, (X, W), {"scale": 2}),
    "none summed up": (functional.cross_entropy, (LOGS, CLASSES), {"reduction": "none"}),
    "weighted": (functional.cross_entropy, (LOGS, CLASSES), {"weight": B[:4]}),
    "probabilities": (functional.cross_entropy, (LOGS, LOGS.softmax(1)), {}),
    "pixels": (functional.cross_entropy, (X, CLASSES[:, None].expand(5, 4)), {}),
}


def on_meta(structure: Any) -> Any:
    match structure:
        case Tensor():
            made = structure.to("meta")
            return made.requires_grad_(made.is_floating_point())
        case tuple():
            return tuple(map(on_meta, structure))
        case dict():
            return {name: on_meta(value) for name, value in structure.items()}
    return structure


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("recording", [False, True])
def test_what_is_foreseen_is_what_torch_gives(name: str, recording: bool) -> None:
    function, args, kwargs = CALLS[name]
    assert foreseen(function, on_meta(args), on_meta(kwargs)) is not None
    with torch.set_grad_enabled(recording):
        expected: Tensor = function(*args, **kwargs)
        found = Remembered().call("linear", function, on_meta(args), on_meta(kwargs))
    facts = (found.shape, found.stride(), found.dtype, found.requires_grad)
    assert facts == (expected.shape, expected.stride(), expected.dtype, recording)


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_not_as_usual_is_left_to_torch(name: str) -> None:
    function, args, kwargs = UNUSUAL[name]
    assert foreseen(function, on_meta(args), on_meta(kwargs)) is None


def test_types_that_torch_chooses_are_left_to_it() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert foreseen(functional.linear, on_meta((X, W)), {}) is None
