"""What functions of the user's declare, which expressions of the source call."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.calling import function_of
from nas_engine_graph.frontend.source.modules import module_at
from nas_engine_graph.frontend.source.variables import name_of

__all__ = ["declared_of", "gives_number", "taken_for_numbers"]

_NUMBER = ("int", "float")


def declared_of(node: ast.Call, around: Mapping[str, Any], owner: Any) -> list[inspect.Parameter]:
    """The parameters of the function or method that is called, if it is known."""
    called = _called_by(node.func, around, owner)
    if not inspect.isfunction(called) or is_of_torch(called):
        return []
    declared = list(inspect.signature(called).parameters.values())
    return declared if isinstance(node.func, ast.Name) else declared[1:]


def _called_by(node: ast.expr, around: Mapping[str, Any], owner: Any) -> Any:
    """The function, or the unbound method, that an expression is."""
    match node:
        case ast.Name(name):
            return around.get(name)
        case _ if isinstance(owner, nn.Module) and (module := module_at(node, owner)) is not None:
            return function_of(type(module), "forward")
        case ast.Attribute(value, name) if isinstance(owner, nn.Module):
            return function_of(type(module_at(value, owner)), name)
    return None


def taken_for_numbers(node: ast.Call, around: Mapping[str, Any], owner: Any) -> Iterator[ast.expr]:
    """The arguments of a call for which the function declares a number."""
    declared = declared_of(node, around, owner)
    by_name = {parameter.name: parameter for parameter in declared}
    given = [*zip(declared, node.args, strict=False)]
    given += [(by_name[w.arg], w.value) for w in node.keywords if w.arg in by_name]
    for parameter, value in given:
        kind = parameter.annotation
        if getattr(kind, "__name__", kind) in _NUMBER:
            yield value


def gives_number(nodes: Iterable[ast.AST]) -> bool:
    """Whether a function with these nodes declares that it gives a number."""
    definitions = (node for node in nodes if isinstance(node, ast.FunctionDef))
    return any(d.returns is not None and name_of(d.returns) in _NUMBER for d in definitions)
