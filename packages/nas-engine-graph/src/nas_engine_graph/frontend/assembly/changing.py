"""Which lists and dicts the methods of a module that stays whole may change."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from torch import nn

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.objects import is_object
from nas_engine_graph.frontend.source.sources import nodes_of, readable

__all__ = ["held"]

_FUNCTIONS = frozenset(
    {"all", "any", "dict", "enumerate", "isinstance", "len", "list", "map", "max", "min", "range",
     "repr", "reversed", "set", "sorted", "str", "sum", "tuple", "zip"}
)  # fmt: skip
_METHODS = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})
_TORCH_OWN = frozenset(vars(nn.Module()))
_READERS = (ast.BinOp, ast.BoolOp, ast.Compare, ast.Starred, ast.UnaryOp)


def held(module: nn.Module) -> Iterator[tuple[Any, str, bool]]:
    """What a module and those inside hold that may change, its place, and whether it does.

    Objects may, and a list or dict if a method does anything else to the attribute than what
    certainly only reads it.
    """
    for path, inner in module.named_modules():
        if is_of_torch(type(inner)):
            continue
        for name, value in vars(inner).items():
            if is_object(value):
                yield value, f"{path}.{name}" if path else name, True
            elif isinstance(value, list | dict) and name not in _TORCH_OWN:
                items = value.values() if isinstance(value, dict) else value
                nested = any(isinstance(item, list | dict) for item in items)
                where = f"{path}.{name}" if path else name
                cls: Any = type(inner)
                yield value, where, nested or name in _changed(cls)


@lru_cache(maxsize=4096)
def _changed(cls: Any) -> frozenset[str]:
    """The attributes that methods of a class may change."""
    found: set[str] = set()
    for base in cls.__mro__:
        if is_of_torch(base) or base is object:
            continue
        for name, member in vars(base).items():
            function: Any = member.fget if isinstance(member, property) else member
            function = inspect.unwrap(getattr(function, "__func__", function))
            if name != "__init__" and inspect.isfunction(function):
                found |= _of(function)
    return frozenset(found)


def _of(function: Any) -> set[str]:
    if (tree := readable(function)) is None:
        return {*function.__code__.co_names}
    return {
        child.attr
        for node in nodes_of(tree)
        for child in ast.iter_child_nodes(node)
        if isinstance(child, ast.Attribute) and not _only_reads(node, child)
    }


def _only_reads(node: ast.AST, child: ast.Attribute) -> bool:
    """Whether an expression or statement only reads what an attribute that is its child holds."""
    match node:
        case ast.Subscript(value):
            return value is not child or isinstance(node.ctx, ast.Load)
        case ast.Call(ast.Name(name)):
            return name in _FUNCTIONS
        case ast.Attribute(_, name):
            return name in _METHODS
        case ast.For(_, iterated) | ast.comprehension(_, iterated):
            return iterated is child
        case ast.If(test) | ast.IfExp(test) | ast.While(test) | ast.Assert(test):
            return test is child
    return isinstance(node, _READERS)
