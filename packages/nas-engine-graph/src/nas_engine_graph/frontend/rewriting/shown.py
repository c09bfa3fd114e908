"""Futures that a method returns to who calls the model: new ones, of the values that they are."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import torch.jit

from nas_engine_graph.frontend.source.futures import Futures
from nas_engine_graph.frontend.source.hiding import hidden, item
from nas_engine_graph.frontend.source.mixed import as_future, written
from nas_engine_graph.frontend.source.places import placed
from nas_engine_graph.frontend.source.sources import nodes_of, readable
from nas_engine_graph.frontend.source.variables import name_of, value_of

__all__ = ["Shown"]

Expression = TypeVar("Expression", bound=ast.expr)
Shape: TypeAlias = tuple[Any, ...]
"""Where in a value futures are: what it is, and the shapes inside; empty where there are none."""

_FUTURE: Shape = ("future",)
_UNCLEAR: Shape = ("unclear",)


class Shown:
    """What of the values of a function is shown to who calls the model, and as what."""

    def __init__(self, tree: ast.AST, futures: Futures) -> None:
        self.futures = futures
        self.shapes: dict[str, Shape] = {}
        nodes = nodes_of(tree)
        for self.unclear in (None, _UNCLEAR):  # At first most variables are not known yet.
            known = None
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
            case ast.IfExp(_, then, other):
                found = self.all_of([then, other])
                return None if found is None else _with(node, body=found[0], orelse=found[1])
        return _given_back(node, self.shape(node))

    def all_of(self, items: Sequence[ast.expr]) -> list[ast.expr] | None:
        found = [made for item in items if (made := self.to_caller(item)) is not None]
        return found if len(found) == len(items) else None

    def note(self, node: ast.AST) -> None:
        """Notes what the variables are that a statement sets: one that is two things is unclear."""
        match node:
            case ast.AnnAssign(target, kind):
                self.set(target, self.declared(kind))
            case ast.Assign([target], value):
                self.set(target, self.shape(value))
            case ast.For(target, value) | ast.comprehension(target, value):
                self.set(target, _inside(self.shape(value), 0, "list"))

    def set(self, target: ast.expr, shape: Shape | None) -> None:
        shape = self.unclear if shape is None else shape
        match target:
            case ast.Name(name) if shape is not None:
                known = self.shapes.get(name, ())
                self.shapes[name] = shape if known in ((), shape) else _UNCLEAR
            case ast.Tuple(targets):
                for at, inner in enumerate(targets):
                    self.set(inner, _inside(shape, at, "tuple"))

    def shape(self, node: ast.expr) -> Shape | None:
        """Where in the value of an expression there are futures; None if that is not clear."""
        match node:
            case ast.Name(name) if name in self.shapes:
                return self.shapes[name]
            case ast.IfExp(_, then, other) if self.shape(then) == self.shape(other):
                return self.shape(then)
            case ast.Tuple(items):
                return _holding("tuple", *map(self.shape, items))
            case ast.ListComp(element) | ast.List([element, *_]):
                return _holding("list", self.shape(element))
            case ast.DictComp(value=element) | ast.Dict(values=[element, *_]):
                return _holding("dict", self.shape(element))
            case ast.Subscript(value, ast.Constant(at)):
                return _inside(self.shape(value), at, "tuple", "list", "dict")
            case ast.Call(ast.Attribute(value, "pop"), [] | [_]):
                return _inside(self.shape(value), None, "list", "dict")
            case ast.Call() if (kind := self.told(node)) is not None:
                return self.declared(kind)
        if self.futures.is_fork(node):
            return _FUTURE
        return None if self.futures.hold(node) else ()

    def told(self, node: ast.Call) -> ast.expr | None:
        """What a call is declared to give."""
        match node:
            case ast.Call(ast.Attribute(_, "annotate"), [kind, _]):
                return kind
        function = self.futures.called(node.func)
        tree = None if function is None else readable(function)
        head = tree.body[0] if tree is not None and tree.body else None
        return head.returns if isinstance(head, ast.FunctionDef) else None

    def declared(self, kind: ast.expr) -> Shape | None:
        """The same of what is declared so."""
        match kind:
            case ast.Subscript(home) if value_of(home, self.futures.around) is torch.jit.Future:
                return _FUTURE
            case ast.Subscript(home, ast.Tuple([_, item])) if name_of(home).lower() == "dict":
                return _holding("dict", self.declared(item))
            case ast.Subscript(home, ast.Tuple(items)) if name_of(home).lower() == "tuple":
                return _holding("tuple", *map(self.declared, items))
            case ast.Subscript(home, item) if name_of(home).lower() == "list":
                return _holding("list", self.declared(item))
        return None if self.futures.is_declared(kind) else ()


def _holding(kind: str, *inside: Shape | None) -> Shape | None:
    if None in inside:
        return None
    return (kind, *inside) if any(inside) else ()


def _inside(shape: Shape | None, at: Any, *kinds: str) -> Shape | None:
    """What an item of a value is, if the value is of one of these kinds."""
    found: Shape | None = None
    match shape:
        case ():
            found = ()
        case ("tuple", *items) if "tuple" in kinds and at in range(len(items)):
            found = items[at]
        case ("list" | "dict" as kind, inside) if kind in kinds:
            found = inside
    return found


def _given_back(node: ast.expr, shape: Shape | None, depth: int = 0) -> ast.expr | None:
    """What who calls the model gets for a value of this shape; None if that is not clear."""
    each = ast.copy_location(ast.Name(f"each_future_{depth}", ast.Load()), node)
    match shape:
        case ():
            return node
        case ("future",):
            return written(as_future, node)
        case ("list", inside):
            made = _parsed(f"[None for {each.id} in many]", node)
            made.elt = _given_back(each, inside, depth + 1)
            made.generators[0].iter = node
            return made if made.elt else None
        case ("dict", inside) if _is_there(node):
            made = _parsed(f"{{{each.id}: None for {each.id} in many}}", node)
            value = ast.copy_location(ast.Subscript(copy.deepcopy(node), each, ast.Load()), node)
            made.value = _given_back(value, inside, depth + 1)
            made.generators[0].iter = node
            return hidden(made) if made.value else None  # Or TorchScript wants it to be anything.
        case ("tuple", *shapes) if _is_there(node):
            items = [item(copy.deepcopy(node), index) for index in range(len(shapes))]
            found = [_given_back(one, of, depth) for one, of in zip(items, shapes, strict=True)]
            elements = [one for one in found if one is not None]
            made = ast.copy_location(ast.Tuple(elements, ast.Load()), node)
            return made if len(elements) == len(shapes) else None
    return None


def _is_there(node: ast.expr) -> bool:
    """Whether an expression may be read several times."""
    return not any(isinstance(inner, ast.Call) for inner in nodes_of(node))


def _parsed(text: str, node: ast.expr) -> Any:
    return placed(ast.parse(text, mode="eval").body, node)


def _with(node: Expression, **fields: Any) -> Expression:
    """An expression with other parts."""
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made
