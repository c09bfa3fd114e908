"""Statements that only raise: TorchScript has no ``try``.

What they do beside raising another error is nothing, so that code does without them what it does
with them, as long as nothing is raised.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache
from inspect import getsourcelines
from textwrap import dedent
from typing import Any

from nas_engine_graph.frontend.source.harmless import Scope, harm
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import variables_of

__all__ = ["only_checks", "only_raises", "without_handlers"]


def without_handlers(tree: ast.AST) -> None:
    """Writes what a ``try`` tries without it, in place, where its handlers only raise."""
    _Tried().visit(tree)


class _Tried(Rewriter):
    def visit_Try(self, node: ast.Try) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        if node.finalbody or not all(only_raises(handler.body) for handler in node.handlers):
            return node
        return [*node.body, *node.orelse]


def only_raises(statements: Sequence[ast.stmt]) -> bool:
    """Whether statements end with an error in any case, and change nothing before.

    >>> only_raises(ast.parse("if n < 0: raise IndexError(n)\\nraise").body)
    True
    >>> only_raises(ast.parse("if n < 0: raise IndexError(n)").body)
    False
    """
    if not statements or not _ends(statements[-1], ast.Raise):
        return False
    return all(map(_changes_nothing, statements))


def _ends(statement: ast.stmt, *kinds: type[ast.stmt]) -> bool:
    """Whether a statement is of such a kind, or each of its branches ends with one."""
    match statement:
        case ast.If(_, then, [_, *_] as otherwise):
            return _ends(then[-1], *kinds) and _ends(otherwise[-1], *kinds)
    return isinstance(statement, kinds)


def _changes_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.If(_, then, otherwise):
            return all(map(_changes_nothing, (*then, *otherwise)))
        case ast.Raise() | ast.Pass() | ast.Assign([ast.Name()]) | ast.Expr(ast.Constant()):
            return not any(isinstance(n, ast.NamedExpr) for n in nodes_of(statement))
    return False


@lru_cache(maxsize=4096)
def only_checks(wrapper: Any) -> bool:
    """Whether what a decorator has made calls what it wraps with all that it is given, or raises.

    >>> import functools
    >>> def checked(function):
    ...     @functools.wraps(function)
    ...     def wrapper(*args, **keywords):
    ...         if not args:
    ...             raise TypeError("nothing is given")
    ...         return function(*args, **keywords)
    ...     return wrapper
    >>> only_checks(checked(len))
    True
    """
    try:
        (definition,) = ast.parse(dedent("".join(getsourcelines(wrapper.__code__)[0]))).body
        cells = dict(zip(wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=True))
        around = {**wrapper.__globals__, **{n: cell.cell_contents for n, cell in cells.items()}}
    except (AttributeError, OSError, TypeError, SyntaxError, ValueError):
        return False
    if not isinstance(definition, ast.FunctionDef):
        return False
    if not _ends(definition.body[-1], ast.Return, ast.Raise):
        return False
    own = variables_of(wrapper, definition).own
    for node in nodes_of(definition):
        if isinstance(node, ast.Return):
            called = _hands_on(node.value, definition.args)
            if called in own or around.get(called) is not wrapper.__wrapped__:
                return False
            node.value = None
    return harm(ast.Module(definition.body, []), Scope(object, around, own)) is None


def _hands_on(node: ast.expr | None, given: ast.arguments) -> str:
    """What an expression calls with all that a function is given; empty if it does not."""
    match node:
        case ast.Call(ast.Name(name), args, keywords):
            taken = [a.arg for a in (*given.posonlyargs, *given.args)]
            taken += [f"*{given.vararg.arg}"] if given.vararg else []
            named = [a.arg for a in given.kwonlyargs]
            named += [f"**{given.kwarg.arg}"] if given.kwarg else []
            handed = [f"{k.arg}=" if k.arg else "**" for k in keywords]
            handed = [h + ast.unparse(k.value) for h, k in zip(handed, keywords, strict=True)]
            expected = [n if n.startswith("**") else f"{n}={n}" for n in named]
            return name if [*map(ast.unparse, args)] == taken and handed == expected else ""
    return ""
