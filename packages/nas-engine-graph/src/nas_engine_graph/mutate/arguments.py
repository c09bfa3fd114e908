"""The constructor arguments of a layer, by their names."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import lru_cache
from typing import Any

from nas_core.errors import nearest

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import Layer

__all__ = ["arguments", "why_not", "with_arguments"]


def arguments(layer: Layer) -> dict[str, Any]:
    """The arguments that the constructor of a layer gets, those too that have their defaults.

    >>> arguments(Layer("torch.nn.Conv2d", (3, 8, 5)))["kernel_size"]
    5
    >>> arguments(Layer("torch.nn.Conv2d", (3, 8, 5)))["groups"]
    1

    Raises:
        InvalidGraphError: there is no such class, or it does not take them.
    """
    bound = _known_signature(layer).bind(*layer.args, **dict(layer.kwargs))
    bound.apply_defaults()
    return dict(bound.arguments)


def with_arguments(layer: Layer, **changes: Any) -> Layer:
    """The layer with other arguments; the rest of it stays.

    >>> conv = Layer("torch.nn.Conv2d", (3, 8, 3), (("padding", 1),))
    >>> changed = with_arguments(conv, kernel_size=5, padding=2)
    >>> changed.args, changed.kwargs
    ((3, 8, 5), (('padding', 2),))
    >>> with_arguments(conv, kernelsize=5)
    Traceback (most recent call last):
    nas_engine_graph.errors.InvalidGraphError: torch.nn.Conv2d takes no 'kernelsize'; \
did you mean 'kernel_size'?

    Raises:
        InvalidGraphError: its constructor does not take them.
    """
    positional = _known_signature(layer).bind_partial(*layer.args)
    kwargs = dict(layer.kwargs)
    for name, value in changes.items():
        where = positional.arguments if name in positional.arguments else kwargs
        where[name] = value
    changed = replace(layer, args=positional.args, kwargs=tuple(kwargs.items()))
    if (reason := why_not(changed)) is not None:
        raise InvalidGraphError((reason,))
    return changed


def why_not(layer: Layer) -> str | None:
    """Why there is no such layer: no such class, or a constructor that takes other arguments."""
    home, _, name = layer.target.rpartition(".")
    try:
        signature = _signature(resolve(layer.target))
    except (ImportError, AttributeError, LookupError):
        try:
            there = dir(resolve(home))
        except (ImportError, AttributeError, LookupError):
            there = []
        return f"there is no {layer.target}{nearest(name, there)}"
    if signature is None:
        return None
    try:
        signature.bind(*layer.args, **dict(layer.kwargs))
    except TypeError as error:
        taken = signature.parameters
        for keyword, _ in layer.kwargs:
            if keyword not in taken:
                return f"{layer.target} takes no {keyword!r}{nearest(keyword, taken)}"
        return f"{layer.target}: {error}"
    return None


def _known_signature(layer: Layer) -> inspect.Signature:
    signature = None if (reason := why_not(layer)) else _signature(resolve(layer.target))
    if signature is None:
        raise InvalidGraphError((reason or f"what {layer.target} takes is not known",))
    return signature


@lru_cache(maxsize=4096)
def _signature(cls: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(cls)
    except (TypeError, ValueError):  # It is not written in Python.
        return None
