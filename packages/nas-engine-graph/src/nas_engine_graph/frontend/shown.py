"""Futures that a method returns to who calls the model: new ones, of the values that they are."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch.jit

from nas_engine_graph.frontend.futures import Futures
from nas_engine_graph.frontend.mixed import as_future, written
from nas_engine_graph.frontend.places import placed
from nas_engine_graph.frontend.sources import nodes_of, readable
from nas_engine_graph.frontend.variables import value_of

__all__ = ["Shown"]

Expression = TypeVar("Expression", bound=ast.expr)

_EACH = "each_future"


class Shown:
    """What of the values of a function is shown to who calls the model, and as what."""

    def __init__(self, tree: ast.AST, futures: Futures) -> None:
        self.futures = futures
        self.shapes: dict[str, str] = {}
        nodes, known = nodes_of(tree), None
        while known != self.shapes:
            known = dict(self.shapes)
            for node in nodes:
                self.note(node)

    def to_caller(self, node: ast.expr) -> ast.expr | None:
        """An expression with futures for who calls the model; None if it is not clear where."""
        if not self.futures.hold(node):
            return node
        match node:
            case ast.Tuple(items) | ast.List(items):
                found = self.all_of(items)
                return None if found is None else _with(node, elts=found)
            case ast.Dict(values=items):
                found = self.all_of(items)
                return None if found is None else _with(node, values=found)
            case ast.ListComp(element) if (one := self.to_caller(element)) is not None:
                return _with(node, elt=one)
        match self.shape(node):
            case "future":
                return written(as_future, node)
            case "list":
                each = placed(ast.parse(f"[{_EACH} for {_EACH} in many]", mode="eval").body, node)
                assert isinstance(each, ast.ListComp)
                each.elt, each.generators[0].iter = written(as_future, each.elt), node
                return each
        return None

    def all_of(self, items: Sequence[ast.expr]) -> list[ast.expr] | None:
        found = [made for item in items if (made := self.to_caller(item)) is not None]
        return found if len(found) == len(items) else None

    def note(self, node: ast.AST) -> None:
        """Notes what the variables are that a statement sets: one that is two things is unclear."""
        match node:
            case ast.AnnAssign(ast.Name(name), kind):
                self.set(name, self.declared(kind))
            case ast.Assign([ast.Tuple(targets)], value):
                for at, target in enumerate(targets):
                    if isinstance(target, ast.Name):
                        self.set(target.id, self.shape(value, at))
            case ast.Assign([ast.Name(name)], value):
                self.set(name, self.shape(value))
            case ast.For(ast.Name(name), value) | ast.comprehension(ast.Name(name), value):
                self.set(name, "future" if self.shape(value) == "list" else "")

    def set(self, name: str, shape: str) -> None:
        self.shapes[name] = shape if self.shapes.get(name, "") in ("", shape) else "unclear"

    def shape(self, node: ast.expr, at: int | None = None) -> str:
        """Whether an expression is a future, or a list of futures; empty for anything else.

        Args:
            node: the expression.
            at: the place in it of what is meant, if it is a tuple.
        """
        match node:
            case ast.Tuple(items) if at is not None and at < len(items):
                return self.shape(items[at])
            case ast.Name(name):
                return self.shapes.get(name, "")
            case ast.ListComp(element) | ast.List([element, *_]):
                return "list" if self.shape(element) == "future" else ""
            case ast.Call(ast.Attribute(_, "annotate"), [kind, _]):
                return self.declared(kind, at)
            case ast.Call(called) if (function := self.futures.called(called)) is not None:
                tree = readable(function)
                head = tree.body[0] if isinstance(tree, ast.Module) and tree.body else None
                if isinstance(head, ast.FunctionDef) and head.returns is not None:
                    return self.declared(head.returns, at)
        return "future" if self.futures.is_fork(node) else ""

    def declared(self, kind: ast.expr, at: int | None = None) -> str:
        """The same of what is declared so."""
        match kind:
            case ast.Subscript(_, ast.Tuple(items)) if at is not None and at < len(items):
                return self.declared(items[at])
            case ast.Subscript(home) if value_of(home, self.futures.around) is torch.jit.Future:
                return "future"
            case ast.Subscript(ast.Name("List" | "list"), item):
                return "list" if self.declared(item) == "future" else ""
        return ""


def _with(node: Expression, **fields: Any) -> Expression:
    """An expression with other parts."""
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made
