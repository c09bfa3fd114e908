"""Contexts of gradients that TorchScript has no words for: it is given classes for them.

They do nothing, and say of each method what TorchScript wants to know.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import torch

from nas_engine_graph.frontend.names import plain_name, torch_name
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import value_of

__all__ = ["MODES", "mode_of", "name_of_mode", "with_modes"]


class EnableGrad:
    """``torch.enable_grad`` to TorchScript."""

    def __init__(self) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:  # noqa: PYI036
        pass


class SetGradEnabled:
    """``torch.set_grad_enabled`` to TorchScript."""

    def __init__(self, mode: bool) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:  # noqa: PYI036
        pass


class InferenceMode:
    """``torch.inference_mode`` to TorchScript."""

    def __init__(self, mode: bool = True) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:  # noqa: PYI036
        pass


class SetMultithreadingEnabled:
    """``torch.autograd.set_multithreading_enabled`` to TorchScript."""

    def __init__(self, mode: bool) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:  # noqa: PYI036
        pass


_CLASSES = {
    torch.enable_grad: EnableGrad,
    torch.set_grad_enabled: SetGradEnabled,
    torch.inference_mode: InferenceMode,
    torch.autograd.grad_mode.set_multithreading_enabled: SetMultithreadingEnabled,
}
MODES = {f"nas_engine_graph_{cls.__name__}": cls for cls in _CLASSES.values()}
"""The classes that ``with_modes`` writes, by names that no class of the user's has."""


def with_modes(tree: ast.AST, around: Mapping[str, Any]) -> None:
    """Let ``with`` enter what TorchScript can compile, in place."""
    for node in nodes_of(tree):
        match node:
            case ast.withitem(ast.Call(called) as made):
                value = value_of(called, around)
                for cls in (cls for mode, cls in _CLASSES.items() if mode is value):
                    name = ast.Name(f"nas_engine_graph_{cls.__name__}", ast.Load())
                    made.func = ast.copy_location(name, called)


def name_of_mode(context: type) -> str | None:
    """The dotted name of a class of torch that is a context of gradients; None for any other."""
    return torch_name(context) if context in (torch.no_grad, *_CLASSES) else None


def mode_of(kind: str) -> str | None:
    """The context of torch that a class of TorchScript stands for; None for any other.

    >>> mode_of("__torch__.nas_engine_graph.frontend.source.modes.EnableGrad")
    'torch.enable_grad'
    """
    stands = {f"{cls.__module__}.{cls.__name__}": mode for mode, cls in _CLASSES.items()}
    mode = stands.get(plain_name(kind))
    return None if mode is None else torch_name(mode)
