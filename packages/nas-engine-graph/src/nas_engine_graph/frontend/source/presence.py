"""Conditions that ask what there is and of which class it is, and not for the elements of tensors.

What hangs on such a condition is the same for all weights of the same names and shapes: it can be
tried out with any.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any

from nas_engine_graph.frontend.source.questions import QUESTIONS
from nas_engine_graph.frontend.source.sources import nodes_of, readable
from nas_engine_graph.frontend.source.variables import name_of, value_of, variables_of

__all__ = ["asks_what_there_is"]

_ASKING = frozenset({"isinstance", "hasattr", "callable", "issubclass"})


def asks_what_there_is(tree: ast.AST, around: Mapping[str, Any]) -> bool:
    """Whether all conditions of statements are such questions.

    Args:
        tree: what is looked through.
        around: the global and enclosing variables.

    >>> asks_what_there_is(ast.parse("if name in saved and saved[name] is not None: old = 1"), {})
    True
    >>> asks_what_there_is(ast.parse("if saved[name].any(): old = 1"), {})
    False
    """
    for node in nodes_of(tree):
        match node:
            case ast.If(test) | ast.IfExp(test) | ast.Assert(test):
                if not _is_such(test, around):
                    return False
            case ast.While() | ast.Try() | ast.Match():
                return False
    return True


def _is_such(test: ast.expr, around: Mapping[str, Any]) -> bool:
    match test:
        case ast.Constant():
            return True
        case ast.Name(name):
            return name in ("keep_vars", "strict")
        case ast.UnaryOp(ast.Not(), operand):
            return _is_such(operand, around)
        case ast.BoolOp(_, values):
            return all(_is_such(value, around) for value in values)
        case ast.Compare(_, [ast.Is() | ast.IsNot() | ast.In() | ast.NotIn()]):
            return True
        case ast.Call(ast.Name(name)) if name in _ASKING and name not in around:
            return True
        case ast.Call(called):
            return name_of(called) in QUESTIONS or _only_asks(value_of(called, around))
    return False


def _only_asks(function: Any) -> bool:
    """Whether what a function returns is the answer of such questions."""
    if not inspect.isfunction(function):
        return False
    if (tree := readable(function)) is None:
        return False
    around = variables_of(function, tree).around
    returned = [node.value for node in nodes_of(tree) if isinstance(node, ast.Return)]
    answers = all(value is not None and _is_such(value, around) for value in returned)
    return bool(returned) and answers and asks_what_there_is(tree, around)
