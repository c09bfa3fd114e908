"""What the constructor of a module was called with, as far as the instance tells."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from nas_core.model import arguments_of
from torch import Tensor, nn

__all__ = ["UnrecoverableError", "call_of", "flags_of", "is_same", "parameters_of"]

_RECURRENT = [
    "input_size",
    "hidden_size",
    "num_layers",
    "nonlinearity",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
    "proj_size",
]
_DEFAULTS: dict[str, Any] = {
    "num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "dropout": 0.0,
    "bidirectional": False, "proj_size": 0,
}  # fmt: skip
_MISSING = object()


class UnrecoverableError(ValueError):
    """The constructor call can't be recovered from the instance."""


def _activation(module: Any) -> Any:
    return module.activation


_SPECIAL: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("MultiheadAttention", "bias"): lambda m: m.in_proj_bias is not None,
    ("MultiheadAttention", "add_bias_kv"): lambda m: m.bias_k is not None,
    ("MultiheadAttention", "kdim"): lambda m: None if m.kdim == m.embed_dim else m.kdim,
    ("MultiheadAttention", "vdim"): lambda m: None if m.vdim == m.embed_dim else m.vdim,
    ("PairwiseDistance", "p"): lambda m: m.norm,
    ("AdaptiveLogSoftmaxWithLoss", "cutoffs"): lambda m: list(m.cutoffs[:-1]),
    ("TransformerEncoder", "encoder_layer"): lambda m: m.layers[0],
    ("TransformerDecoder", "decoder_layer"): lambda m: m.layers[0],
    ("Softmax", "dim"): lambda m: m.dim,
}
_SPECIAL |= {
    ("Transformer", "num_encoder_layers"): lambda m: len(m.encoder.layers),
    ("Transformer", "num_decoder_layers"): lambda m: len(m.decoder.layers),
    ("Transformer", "dim_feedforward"): lambda m: m.encoder.layers[0].linear1.out_features,
    ("Transformer", "dropout"): lambda m: m.encoder.layers[0].dropout.p,
    ("Transformer", "activation"): lambda m: m.encoder.layers[0].activation,
    ("Transformer", "layer_norm_eps"): lambda m: m.encoder.layers[0].norm1.eps,
    ("Transformer", "norm_first"): lambda m: m.encoder.layers[0].norm_first,
    ("Transformer", "bias"): lambda m: m.encoder.layers[0].linear1.bias is not None,
}
for _kind in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
    _SPECIAL |= {
        (_kind, "d_model"): lambda m: m.self_attn.embed_dim,
        (_kind, "nhead"): lambda m: m.self_attn.num_heads,
        (_kind, "dim_feedforward"): lambda m: m.linear1.out_features,
        (_kind, "dropout"): lambda m: m.dropout.p,
        (_kind, "activation"): _activation,
        (_kind, "layer_norm_eps"): lambda m: m.norm1.eps,
        (_kind, "batch_first"): lambda m: m.self_attn.batch_first,
        (_kind, "bias"): lambda m: m.linear1.bias is not None,
    }


def parameters_of(cls: type[nn.Module]) -> Iterator[tuple[str, Any]]:
    """Names and defaults of what the constructor takes."""
    if issubclass(cls, nn.RNNBase) and cls is not nn.RNNBase:
        for name in _RECURRENT:
            if (name == "nonlinearity") <= (cls is nn.RNN) and not (
                name == "proj_size" and cls is not nn.LSTM
            ):
                yield name, _DEFAULTS.get(name, _MISSING)
        return
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield (
                parameter.name,
                _MISSING if parameter.default is parameter.empty else parameter.default,
            )


def _dtype(module: nn.Module) -> Any:
    found = {t.dtype for t in module.parameters() if t.is_floating_point() or t.is_complex()}
    return found.pop() if len(found) == 1 and found != {torch.get_default_dtype()} else None


def _argument(module: nn.Module, cls: type[nn.Module], name: str, default: Any) -> Any:
    for base in cls.__mro__:
        if special := _SPECIAL.get((base.__name__, name)):
            return special(module)
    if name == "dtype":
        return _dtype(module)
    if name == "device" or name.startswith("_"):
        return default
    found = getattr(module, name, _MISSING)
    if isinstance(default, bool) and (found is None or isinstance(found, Tensor)):
        return found is not None
    if name in module._parameters and not isinstance(default, bool):
        return default
    return default if found is _MISSING else found


def _collapsed(cls: type[nn.Module], value: Any) -> Any:
    """``3`` for the ``(3, 3)`` that a convolution makes of it; the remade layer is compared."""
    if (
        cls.__module__ == "torch.nn.modules.conv"
        and isinstance(value, tuple)
        and len(set(value)) == 1
    ):
        return value[0]
    return value


def call_of(module: nn.Module, cls: type[nn.Module]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of its constructor, positional and by keyword.

    Raises:
        UnrecoverableError: one has no default, and nothing tells it.
    """
    if (record := arguments_of(module)) is not None:
        return list(record[0]), dict(record[1])
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, default in parameters_of(cls):
        value = _collapsed(cls, _argument(module, cls, name, default))
        if value is _MISSING:
            raise UnrecoverableError(
                f"the constructor of {cls.__qualname__} needs {name!r}, and the instance has no "
                "attribute of this name to recover it from"
            )
        if default is _MISSING and not kwargs:
            args.append(value)
        elif default is _MISSING or not is_same(value, default):
            kwargs[name] = value
    return args, kwargs


def is_same(a: Any, b: Any) -> bool:
    """Whether a value is the very tensor that another one is, or equal to it and of its type."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return a is b
    return type(a) is type(b) and bool(a == b)


def flags_of(module: nn.Module, cls: type[nn.Module]) -> list[str]:
    """The arguments that are true or false by default, and of which an instance keeps nothing."""
    if arguments_of(module) is not None:
        return []
    flags = (name for name, default in parameters_of(cls) if isinstance(default, bool))
    return [name for name in flags if not hasattr(module, name)]
