"""Decorators: TorchScript reads what they wrap, eager code runs what they put around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.utils._contextlib as _contextlib
from nas_core.errors import Place

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.raising import only_checks

__all__ = ["contexts"]

_CONTEXTS = (torch.no_grad, torch.enable_grad, torch.inference_mode)
_COMPILERS = ("torch._dynamo", "torch._compile")


def contexts(function: Any, path: str) -> Iterator[str]:
    """The context managers in which decorators run a function: those that take nothing.

    Raises:
        UnsupportedModuleError: a decorator does something else.
    """
    function = getattr(function, "decorated", function)
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        home = str(getattr(function, "__globals__", {}).get("__name__", ""))
        context = _context(function)
        if type(context) in _CONTEXTS and getattr(context, "mode", True):
            yield f"torch.{type(context).__name__}"
        elif not (home.startswith(_COMPILERS) or is_of_torch(inner) or only_checks(function)):
            raise _refusal(function, inner, path)
        function = inner


def _context(wrapper: Any) -> object | None:
    """The context manager of torch in which a wrapper runs what it wraps."""
    code = getattr(wrapper, "__code__", None)
    if code is None or code.co_filename != _contextlib.__file__:
        return None
    cells = dict(zip(code.co_freevars, wrapper.__closure__ or (), strict=True))
    return getattr(cells["ctx_factory"].cell_contents, "__self__", None)


def _refusal(wrapper: Any, inner: Any, path: str) -> UnsupportedModuleError:
    code = getattr(inner, "__code__", None)
    place = Place(code.co_filename, code.co_firstlineno) if code else None
    if (context := _context(wrapper)) is not None:
        name = f"torch.{type(context).__name__}"
    else:
        name = _name(wrapper)
    return UnsupportedModuleError(f"the decorator {name!r} of {inner.__name__!r}", path, place)


def _name(wrapper: Any) -> str:
    code = getattr(wrapper, "__code__", None)
    return type(wrapper).__name__ if code is None else str(code.co_qualname).partition(".")[0]
