"""How a method uses the children of its module: by calling them, by looping, or in other ways."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["Origin", "Uses"]

_ITERATION = frozenset({"children", "values"})
_PAIRS = frozenset({"items", "named_children"})
_WALKS = frozenset(dir(nn.Module)) - {"forward", "training"}

Origin = tuple[str, int]
"""A child by its name, or what iterating over it as often as the number says comes to."""


@dataclass
class Uses(ast.NodeVisitor):
    """Follows the children of ``owner``, the name of the module itself, through one method.

    Attributes:
        opened: the children that are used in other ways than called or iterated over.
        iterated: those that are, and how deep.
        walks: whether the module itself is handed on, iterated over, or asked for its parts.
        bound: the variables that hold children.
    """

    owner: str
    opened: set[str] = field(default_factory=set)
    iterated: set[Origin] = field(default_factory=set)
    walks: bool = False
    bound: dict[str, set[Origin]] = field(default_factory=dict)

    def read(self, tree: ast.AST) -> None:
        """Follow them through this method."""
        before = -1
        while before != (before := sum(map(len, self.bound.values()))):
            for node in nodes_of(tree):
                if isinstance(node, ast.For | ast.comprehension):
                    self._bind(node.target, node.iter)
        self.visit(tree)

    def origins(self, node: ast.expr) -> set[Origin]:
        """The children that an expression may stand for."""
        match node:
            case ast.Attribute(ast.Name(name), attribute) if name == self.owner:
                return {(attribute, 0)}
            case ast.Name(name):
                return self.bound.get(name, set())
            case ast.Subscript(inner):
                return {(name, depth + 1) for name, depth in self.origins(inner)}
            case _:
                return set()

    def _container(self, node: ast.expr) -> ast.expr:
        """What a loop runs over, without the call that only asks for its items."""
        match node:
            case ast.Call(ast.Attribute(inner, name), [], []) if name in _ITERATION | _PAIRS:
                return inner if self.origins(inner) else node
            case _:
                return node

    def _sources(self, target: ast.expr, run: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
        """Which variable takes the items of what."""
        match run, target:
            case ast.Call(ast.Name("enumerate"), [inner, *_]), ast.Tuple([_, second]):
                yield from self._sources(second, inner)
            case ast.Call(ast.Name("zip"), runs), ast.Tuple(targets) if len(runs) == len(targets):
                for inner, one in zip(runs, targets, strict=True):
                    yield from self._sources(one, inner)
            case ast.Call(ast.Attribute(inner, name), [], []), ast.Tuple([_, second]) if (
                name in _PAIRS and self.origins(inner)
            ):
                yield second, inner
            case _:
                yield target, self._container(run)

    def _bind(self, target: ast.expr, run: ast.expr) -> None:
        for one, container in self._sources(target, run):
            items = {(name, depth + 1) for name, depth in self.origins(container)}
            if isinstance(one, ast.Name):
                # Deeper than any model: a variable that is bound to its own items.
                items = {(name, min(depth, 20)) for name, depth in items}
                self.bound.setdefault(one.id, set()).update(items)
            else:
                self.opened |= {name for name, _ in items}

    def _iterate(self, node: ast.expr) -> None:
        self.iterated |= self.origins(node)
        self._parts(node)

    def _parts(self, node: ast.expr) -> None:
        """Visit what is inside an expression that stands for a child."""
        match node:
            case ast.Subscript(inner, index):
                self._iterate(inner)
                self.visit(index)
            case ast.Attribute(ast.Name(name), attribute) if name == self.owner:
                self.walks |= attribute in _WALKS
            case ast.Name(name):
                self.walks |= name == self.owner
            case _:
                self.visit(node)

    def _loop(self, target: ast.expr, run: ast.expr) -> None:
        pairs = list(self._sources(target, run))
        if run is pairs[0][1] and not self.origins(run):
            self.visit(run)
            return
        for _, container in pairs:
            if self.origins(container):
                self._iterate(container)
            else:
                self.visit(container)
        if isinstance(run, ast.Call) and isinstance(run.func, ast.Name):
            for extra in run.args[len(pairs) :]:
                self.visit(extra)

    def visit_For(self, node: ast.For) -> None:
        self._loop(node.target, node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._loop(node.target, node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(ast.Name("len"), [inner], []) if self.origins(inner):
                self._iterate(inner)
                return
        if self.origins(node.func):
            self._parts(node.func)
        else:
            self.visit(node.func)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.visit(argument)

    def visit_Compare(self, node: ast.Compare) -> None:
        match node:
            case ast.Compare(left, [ast.Is() | ast.IsNot()], [ast.Constant(None)]):
                self._parts(left)
            case _:
                self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == self.owner:
            if isinstance(node.ctx, ast.Load):
                self.opened.add(node.attr)
                self.walks |= node.attr in _WALKS
            return
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.opened |= {name for name, _ in self.origins(node)}
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.opened |= {name for name, _ in self.bound.get(node.id, ())}
            self.walks |= node.id == self.owner
