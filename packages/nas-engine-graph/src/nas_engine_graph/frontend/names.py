"""Names in TorchScript, and what Python has for them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

import torch
import torch.jit._state as state

from nas_engine_graph.frontend.encode import NotEncodableError, symbol_of

__all__ = [
    "ACCESSOR", "annotated", "class_name", "is_of_torch", "plain_name", "public_method",
    "torch_name",
]  # fmt: skip

ACCESSOR = re.compile(r"__(?P<name>.+)_(?P<act>[gs]et)ter")
"""What TorchScript calls that which gets or sets a property."""
_CLASS = re.compile(r"__torch__\.[\w.]+")
_MANGLED = re.compile(r"\b___torch_mangle_\d+\.")


def class_name(kind: str, homes: Iterable[str]) -> str | None:
    """The dotted name of a class that can be imported; None for any other class.

    Args:
        kind: TorchScript's name.
        homes: the modules in which it may be, beside that of its name.
    """
    if (known := state._name_to_pyclass.get(kind)) is not None:
        try:
            return symbol_of(known).name
        except NotEncodableError:
            return None
    module, _, name = plain_name(kind).rpartition(".")
    for home in (module, *homes, "__main__"):
        if isinstance(getattr(sys.modules.get(home), name, None), type):
            return f"{home}.{name}"
    return None


def plain_name(kind: str) -> str:
    """The name of a class without what TorchScript has added.

    >>> plain_name("__torch__.models.___torch_mangle_3.Box")
    'models.Box'
    """
    return _MANGLED.sub("", kind).removeprefix("__torch__.")


def annotated(kind: Any, homes: Iterable[str]) -> str:
    """A type as an annotation, in which classes of the user's have their dotted names."""
    text = str(kind.annotation_str)
    if "__torch__" not in text:
        return text
    return _CLASS.sub(lambda found: class_name(found[0], homes) or found[0], text)


def is_of_torch(obj: Any) -> bool:
    """Whether a function or class is defined in torch."""
    return f"{getattr(obj, '__module__', '')}.".startswith("torch.")


def public_method(name: str) -> str:
    """The name of a method in the graph: Python mangles two leading underscores."""
    return f"_{name.strip('_')}" if name.startswith("__") else name


def torch_name(function: Any) -> str | None:
    """The public dotted name of a function of torch, or None for any other function."""
    if not is_of_torch(function):
        return None
    module, name = function.__module__, function.__name__
    for home in (torch.nn.functional, torch, torch.functional):
        if getattr(home, name, None) is function:
            if home is torch.nn.functional and name.startswith("_"):
                public = getattr(home, name.lstrip("_"), None)
                dispatch = torch._jit_internal.boolean_dispatched.get(public) if public else None
                if dispatch is not None and dispatch["if_false"] is function:
                    return f"torch.nn.functional.{name.lstrip('_')}"
            home_name = (
                "torch" if home is torch.functional and hasattr(torch, name) else home.__name__
            )
            return f"{home_name}.{name}"
    is_public = not any(part.startswith("_") for part in (*module.split("."), name))
    at_home = getattr(sys.modules.get(module), name, None) is function
    return f"{module}.{name}" if is_public and at_home else None
