"""Modules that TorchScript has compiled or traced before: they stay as it stores them.

Nothing tells what they were made of, and TorchScript computes some things otherwise than Python.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
import torch.jit
from torch import nn

from nas_engine_graph.frontend.encode import NotEncodableError, initial
from nas_engine_graph.ir import Data, Layer, Normal

__all__ = ["has_forward", "is_stored", "stored_layer"]


def is_stored(module: nn.Module) -> bool:
    """Whether TorchScript has made a module."""
    return isinstance(module, torch.jit.ScriptModule)


def has_forward(module: nn.Module) -> bool:
    """Whether a module can be called."""
    return is_stored(module) or type(module).forward is not nn.Module.forward


def stored_layer(module: nn.Module) -> Layer:
    """The layer that loads what TorchScript stores of a module; larger parameters are drawn anew.

    Raises:
        NotEncodableError: modules inside are in another mode.
    """
    if {inner.training for inner in module.modules()} != {module.training}:
        raise NotEncodableError("modules in it are in another mode")
    copy = _loaded(_archive(module)).train()
    drawn = []
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            match initial(parameter, drawn=True):
                case Normal() as found:
                    drawn.append((name, found))
                    parameter.zero_()
    content = _archive(copy)
    return Layer("torch.jit.load", (Data("uint8", (len(content),), content), tuple(drawn)))


def _archive(module: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript says that it is deprecated.
        torch.jit.save(module, file)
    return file.getvalue()


def _loaded(content: bytes) -> Any:
    load: Any = torch.jit.load
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(io.BytesIO(content))
