"""Expressions hidden from TorchScript, which has other rules for them than Python.

To it ``2 ** 3`` is ``8.0``, ``round(2.5)`` is ``2.0``, ``max(2, 1.0)`` is ``2.0``, ``str(1.0)`` is
``"1."``, and a bool becomes an integer where an operator takes a number.
"""

from __future__ import annotations

import ast
import types
from typing import Any

from nas_engine_graph.frontend.schema import takes_number
from nas_engine_graph.frontend.source.coded import SIGNS
from nas_engine_graph.frontend.source.variables import Variables, name_of

__all__ = ["called", "hidden", "hide_flags", "is_flag", "item"]


_OF_DTYPES = frozenset({"promote_types", "result_type", "can_cast"})


def hidden(node: ast.expr, index: int = 0) -> ast.expr:
    """``[node][index]``, which TorchScript does not fold.

    ``sequences`` finds these lists and takes them away again.
    """
    return item(ast.copy_location(ast.List([node], ast.Load()), node), index)


def item(node: ast.expr, index: int | str) -> ast.expr:
    """``node[index]``."""
    at = ast.copy_location(ast.Constant(value=index), node)
    return ast.copy_location(ast.Subscript(node, at, ast.Load()), node)


def called(node: ast.Call, name: str) -> ast.expr:
    """A call of a builtin function of which TorchScript folds the result, or leaves it out."""
    match name, node.args:
        case "round", [ast.Constant(float(number))]:
            return ast.copy_location(ast.Constant(value=round(number)), node)
        case "pow", [_, power]:
            node.args[1] = hidden(power)
        case (("round" | "str"), [value, *_]):
            node.args[0] = hidden(value)
        case (("max" | "min"), [value, _, *_]):
            node.args[0] = hidden(value)
        case "float", [_]:
            # What it takes for a float already may be an integer, as ``2 ** 3`` is.
            zero = hidden(ast.copy_location(ast.Constant(value=0), node), SIGNS["float"])
            return ast.copy_location(ast.BinOp(node, ast.Sub(), zero), node)
    return node


def is_flag(node: ast.expr, variables: Variables, owner: Any) -> bool:
    """Whether an expression may be a constant bool."""
    match node:
        case ast.Constant(value):
            return type(value) is bool
        case ast.Compare() | ast.UnaryOp(ast.Not()):
            return True
        case ast.Name(name):
            return name in variables.flags
        case ast.Attribute(ast.Name("self"), name):
            return type(getattr(owner, name, None)) is bool
    return False


def hide_flags(node: ast.Call, variables: Variables, owner: Any) -> None:
    """Hide the bools among the arguments of a call that takes them for numbers."""
    name, first = name_of(node.func), _is_method(node.func, variables)
    if name in _OF_DTYPES:
        node.args[:1] = [hidden(value) for value in node.args[:1]]
    for index, value in enumerate(node.args):
        if is_flag(value, variables, owner) and takes_number(name, index + first):
            node.args[index] = hidden(value)
    for word in node.keywords:
        if is_flag(word.value, variables, owner) and takes_number(name, word.arg or ""):
            word.value = hidden(word.value)


def _is_method(function: ast.expr, variables: Variables) -> bool:
    match function:
        case ast.Attribute(ast.Name(name)):
            return not isinstance(variables.around.get(name), types.ModuleType)
        case _:
            return True
