"""Which statements change nothing of a module but the modes and flags that a trial shows."""

from __future__ import annotations

import ast
import builtins
import inspect
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.sources import nodes_of, parsed
from nas_engine_graph.frontend.source.variables import variables_of

__all__ = ["SHOWN", "Scope", "harm", "scope_of"]

SHOWN = frozenset({"training", "requires_grad"})
"""The attributes that a trial shows."""
_CALLED = frozenset(
    {"train", "eval", "requires_grad_", "apply", "modules", "children", "named_modules",
     "named_children", "parameters", "named_parameters", "buffers", "get_submodule", "get",
     "state_dict", "keys", "values", "items", "startswith", "endswith", "split", "format", "join",
     "index", "replace", "removeprefix", "removesuffix", "strip", "lower", "upper"}
)  # fmt: skip
_SETTING = frozenset({"setattr", "delattr", "vars", "exec", "eval", "globals", "locals"})


@dataclass(frozen=True, slots=True)
class Scope:
    """The variables of a function.

    Attributes:
        cls: the class of ``self``.
        around: the global and enclosing variables.
        free: its own variables that hold nothing of a module: they may be changed.
    """

    cls: type
    around: Mapping[str, Any]
    free: frozenset[str]


def scope_of(cls: type, function: Any, tree: ast.AST, reaching: frozenset[str]) -> Scope:
    """The variables of a function with this source; through ``reaching`` it reaches modules."""
    variables = variables_of(function, tree)
    reached, before = set(reaching), 0
    while len(reached) > before:
        before = len(reached)
        for node in nodes_of(tree):
            match node:
                case ast.Assign(targets, value) if _names(value) & reached:
                    reached |= _names(*targets)
                case ast.For(target, value) | ast.comprehension(target, value) if (
                    _names(value) & reached
                ):
                    reached |= _names(target)
                case (
                    ast.AnnAssign(target, _, ast.expr() as value)
                    | ast.AugAssign(target, _, value)
                    | ast.NamedExpr(target, value)
                    | ast.withitem(value, ast.expr() as target)
                ) if _names(value) & reached:
                    reached |= _names(target)
    return Scope(cls, variables.around, variables.own - reached)


def _names(*nodes: ast.AST) -> set[str]:
    return {n.id for node in nodes for n in nodes_of(node) if isinstance(n, ast.Name)}


def harm(tree: ast.AST, scope: Scope) -> ast.AST | None:
    """The first expression that may have other effects on a module; None if there is none."""
    return next(_Search().found(tree, scope), None)


class _Search:
    def __init__(self) -> None:
        self.seen: set[Any] = set()

    def found(self, tree: ast.AST, scope: Scope) -> Iterator[ast.AST]:
        for node in nodes_of(tree):
            match node:
                case ast.Attribute(_, name, ast.Store() | ast.Del()) if name not in SHOWN:
                    yield node
                case ast.Subscript(value, _, ast.Store() | ast.Del()):
                    if _root(value) not in scope.free:
                        yield node
                case ast.Global() | ast.Nonlocal() | ast.Yield() | ast.Await():
                    yield node
                case ast.Call(called) if _root(called) not in scope.free:
                    yield from self._of_call(node, called, scope)

    def _of_call(self, call: ast.Call, called: ast.expr, scope: Scope) -> Iterator[ast.AST]:
        match called:
            case ast.Name(name):
                yield from self._of_name(call, name, scope)
            case ast.Attribute(ast.Call(ast.Name("super"))):
                return
            case ast.Attribute(ast.Name("self"), name) if _is_of_user(scope.cls, name):
                yield from self._inside(getattr(scope.cls, name), scope, call)
            case ast.Attribute(_, name) if name in _CALLED:
                for argument in call.args:
                    if inspect.isfunction(scope.around.get(_root(argument))):
                        yield from self._of_name(call, _root(argument), scope)
            case ast.Attribute(value, name) if _is_known(scope.around.get(_root(value)), name):
                return
            case _:
                yield call

    def _of_name(self, call: ast.Call, name: str, scope: Scope) -> Iterator[ast.AST]:
        """What a call of a variable may do."""
        if name not in scope.around:
            if name in _SETTING or not hasattr(builtins, name):
                yield call
        elif inspect.isfunction(scope.around[name]):
            yield from self._inside(scope.around[name], scope, call)
        elif not inspect.isclass(scope.around[name]):
            yield call

    def _inside(self, function: Any, scope: Scope, call: ast.Call) -> Iterator[ast.AST]:
        plain = inspect.unwrap(function)
        if plain in self.seen or is_of_torch(plain):
            return
        self.seen.add(plain)
        try:
            tree = parsed(plain)
        except (OSError, TypeError, SyntaxError):
            yield call
            return
        given = frozenset(n.arg for n in nodes_of(tree) if isinstance(n, ast.arg))
        if any(self.found(tree.body[0], scope_of(scope.cls, plain, tree, given))):
            yield call


def _is_known(home: Any, name: str) -> bool:
    """Whether a function of a module is torch's, and changes nothing that it is given, or warns."""
    of_torch = isinstance(home, types.ModuleType) and f"{home.__name__}.".startswith("torch.")
    return home is warnings if name == "warn" else of_torch and not name.endswith("_")


def _is_of_user(cls: type, name: str) -> bool:
    member = getattr(cls, name, None)
    return inspect.isfunction(member) and not is_of_torch(member)


def _root(node: ast.expr) -> str:
    """The variable that an expression starts with; empty if it starts with none."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
