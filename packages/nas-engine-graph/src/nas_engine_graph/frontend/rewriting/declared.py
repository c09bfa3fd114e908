"""Types that TorchScript forgets where they are declared, told where it looks."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import torch.jit
from torch.jit._script import _unwrap_optional

from nas_engine_graph.frontend.source.mixed import written
from nas_engine_graph.frontend.source.variables import name_of, value_of

__all__ = ["declared", "is_never_none", "nothing"]


def declared(value: ast.expr, kind: ast.expr) -> ast.expr:
    """An expression that TorchScript takes for one of this type, as it fits."""
    return written(torch.jit.annotate, kind, value)


def is_never_none(kind: ast.expr, around: Mapping[str, Any]) -> bool:
    """Whether an annotation certainly is that of values that are not None."""
    match kind:
        case ast.Subscript(container):
            return name_of(container) in ("Dict", "List", "Tuple")
        case ast.Name() | ast.Attribute():
            return isinstance(value_of(kind, around), type)
    return False


def nothing(kind: ast.expr) -> ast.expr:
    """None where nobody reads it, which TorchScript takes for a value of this type."""
    none = ast.copy_location(ast.Constant(None), kind)
    optional = ast.copy_location(ast.Name("Optional", ast.Load()), kind)
    wide = ast.copy_location(ast.Subscript(optional, kind, ast.Load()), kind)
    return written(_unwrap_optional, declared(none, wide))
