"""What the variables of a function are: its own, those around it, and the constants among them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["Variables", "name_of", "value_of", "variables_of"]


@dataclass(frozen=True)
class Variables:
    """The variables of one function.

    Attributes:
        own: their names.
        around: the global and enclosing variables that it does not hide with its own.
        integers: its variables that are assigned once, and that an integer.
        flags: its variables that may be a constant bool.
    """

    own: frozenset[str]
    around: Mapping[str, Any]
    integers: Mapping[str, int]
    flags: frozenset[str]


def name_of(expression: ast.expr) -> str:
    """The name of a variable or attribute; empty for other expressions."""
    match expression:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def value_of(node: ast.expr, around: Mapping[str, Any]) -> Any:
    """What an expression of names stands for; None if it is another one."""
    match node:
        case ast.Name(name):
            return around.get(name)
        case ast.Attribute(value, name):
            return getattr(value_of(value, around), name, None)
    return None


def variables_of(function: Any, tree: ast.AST) -> Variables:
    """The variables of a function with this source."""
    nodes = nodes_of(tree)
    stored = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    arguments = {n.arg for n in nodes if isinstance(n, ast.arg)}
    own = arguments.union(stored)
    integers, flags = {}, set()
    for node in nodes:
        match node:
            case ast.Assign([ast.Name(name)], ast.Constant(value)) if type(value) is int:
                if stored.count(name) == 1 and name not in arguments:
                    integers[name] = value
            case ast.Assign() | ast.AnnAssign() if _holds_flag(inside := nodes_of(node)):
                flags |= {n.id for n in inside if isinstance(n, ast.Name)} & set(stored)
    return Variables(frozenset(own), _around(function, own), integers, frozenset(flags))


def _holds_flag(nodes: Iterable[ast.AST]) -> bool:
    return any(isinstance(n, ast.Constant) and isinstance(n.value, bool) for n in nodes)


def _around(function: Any, own: set[str]) -> dict[str, Any]:
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not inspect.isfunction(plain):
        return {}
    found = dict(plain.__globals__)
    for name, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
        with suppress(ValueError):  # A cell that is still empty: nothing to read from it.
            found[name] = cell.cell_contents
    for name in own & found.keys():
        del found[name]
    return found
