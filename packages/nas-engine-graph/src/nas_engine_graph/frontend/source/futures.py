"""The futures of a function: which of its expressions and variables hold some."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch.jit
from torch import nn

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.calling import function_of
from nas_engine_graph.frontend.source.modules import module_at
from nas_engine_graph.frontend.source.records import futures_of
from nas_engine_graph.frontend.source.sources import nodes_of, readable
from nas_engine_graph.frontend.source.variables import value_of, variables_of

__all__ = ["ADDING", "FORKS", "WAITS", "Futures"]

FORKS = (torch.jit.fork, torch.jit._fork)
WAITS = (torch.jit.wait, torch.jit._wait)
ADDING = frozenset({"append", "insert", "extend"})
"""The methods of lists that put something into them."""


class Futures:
    """The variables of a function that are futures, or hold some."""

    def __init__(
        self,
        tree: ast.AST,
        around: Mapping[str, Any],
        owner: Any,
        outside: bool = False,
        seen: tuple[Any, ...] = (),
    ) -> None:
        self.around, self.owner, self.seen = around, owner, seen
        self.names: set[str] = set()
        self.items: dict[str, tuple[bool, ...]] = {}
        nodes = nodes_of(tree)
        for node in nodes:
            if isinstance(node, ast.arg) and self.is_declared(node.annotation) and not outside:
                self.names.add(node.arg)
        made, known = _made(nodes), None
        while known != (len(self.names), self.items):
            known = (len(self.names), self.items)
            for node in nodes:
                self.note(node)
            self.items = dict(self.tuples(made))

    def is_declared(self, annotation: ast.expr | None) -> bool:
        """Whether an annotation has a future in it."""
        inside = nodes_of(annotation) if annotation is not None else []
        names = (node for node in inside if isinstance(node, ast.Attribute | ast.Name))
        found = (value_of(name, self.around) for name in names)
        return any(each is torch.jit.Future or futures_of(each) for each in found)

    def record(self, node: ast.expr) -> Any:
        """The named tuple with futures that an expression makes; None for any other."""
        if not isinstance(node, ast.Call):
            return None
        found = value_of(node.func, self.around)
        return found if futures_of(found) else None

    def is_fork(self, node: ast.AST) -> bool:
        match node:
            case ast.Call(function) if value_of(function, self.around) in FORKS:
                return self.given_back(node) is None
        return False

    def given_back(self, node: ast.Call) -> ast.expr | None:
        """The value of a future that is made of it for who calls the model."""
        match node:
            case ast.Call(function, [forked, _, value], []) if (
                value_of(function, self.around) in FORKS
                and value_of(forked, self.around) is torch.jit.annotate
            ):
                return value
        return None

    def awaited(self, node: ast.AST) -> ast.expr | None:
        """The future whose value an expression is."""
        match node:
            case ast.Call(ast.Attribute(future, "wait"), [], []) if self.hold(future):
                return future
            case ast.Call(function, [future], []) if value_of(function, self.around) in WAITS:
                return future if self.hold(future) else None
        return None

    def called(self, node: ast.expr) -> Any:
        """The function of the user's that an expression is; None for any other."""
        if isinstance(self.owner, nn.Module):
            if (module := module_at(node, self.owner)) is not None:
                found = function_of(type(module), "forward")
                return None if is_of_torch(found) else found
            match node:
                case ast.Attribute(value, name) if home := module_at(value, self.owner):
                    return function_of(type(home), name)
        found = value_of(node, self.around)
        return found if inspect.isfunction(found) and not is_of_torch(found) else None

    def home(self, node: ast.expr) -> nn.Module | None:
        """The module of which the function of the user's that an expression is reads attributes."""
        if not isinstance(self.owner, nn.Module):
            return None
        if (module := module_at(node, self.owner)) is not None:
            return module
        return module_at(node.value, self.owner) if isinstance(node, ast.Attribute) else None

    def gives(self, called: ast.expr, function: Any, at: int | None = None) -> bool:
        """Whether what a function of the user's returns, or an item of it, holds a future."""
        home = self.home(called)
        key = function, home
        if key in self.seen or (tree := readable(function)) is None:
            return False
        around = variables_of(function, tree).around
        inner = Futures(tree, around, home, seen=(*self.seen, key))
        returned = [node.value for node in nodes_of(tree) if isinstance(node, ast.Return)]
        return any(value is not None and inner.hold_at(value, at) for value in returned)

    def hold_at(self, node: ast.expr, at: int | None) -> bool:
        """Whether an item of an expression is a future, or holds some; all of it without one."""
        match node:
            case ast.Tuple(items) if at is not None and at < len(items):
                return self.hold(items[at])
            case ast.Call() if at is not None and (record := self.record(node)) is not None:
                return at >= len(held := futures_of(record)) or held[at]
            case ast.Name(name) if at is not None and at < len(self.items.get(name, ())):
                return self.items[name][at]
            case ast.Call(called) if (function := self.called(called)) is not None:
                return self.gives(called, function, at)
        return self.hold(node)

    def hold(self, node: ast.AST) -> bool:
        """Whether the value of an expression is a future, or holds some."""
        if self.is_fork(node) or (isinstance(node, ast.Name) and node.id in self.names):
            return True
        if self.awaited(node) is not None:
            return False
        match node:
            case ast.ListComp(element):
                return self.hold(element)
            case ast.Subscript(ast.Name() as value, ast.Constant(int() as at)) if at >= 0:
                return self.hold_at(value, at)
            case ast.Attribute(value, name) if (held := self.field(name)) is not None:
                return held and self.hold(value)
            case ast.Compare() | ast.Call(ast.Name("len")):
                return False
            case ast.IfExp(_, then, other):
                return self.hold(then) or self.hold(other)
            case ast.Call(called) if (function := self.called(called)) is not None:
                return self.gives(called, function)
        return any(map(self.hold, ast.iter_child_nodes(node)))

    def tuples(self, made: Mapping[str, list[ast.expr]]) -> Iterator[tuple[str, tuple[bool, ...]]]:
        """The variables that only are new tuples, and which items of them hold futures.

        Args:
            made: variables, and all that they are.
        """
        for name, values in made.items():
            rows = list(map(self.row, values))
            if len({*map(len, rows)}) == 1:
                yield name, tuple(map(any, zip(*rows, strict=True)))

    def row(self, node: ast.expr) -> tuple[bool, ...]:
        """Which items of a new tuple hold futures; empty if it is none."""
        if isinstance(node, ast.Tuple):
            return tuple(map(self.hold, node.elts))
        record = self.record(node)
        return () if record is None else futures_of(record)

    def field(self, name: str) -> bool | None:
        """Whether a field of this name holds futures; None if no named tuple with some has it."""
        records = (cls for cls in self.around.values() if futures_of(cls))
        found = [
            held
            for cls in records
            for field, held in zip(cls._fields, futures_of(cls), strict=True)
            if field == name
        ]
        return any(found) if found else None

    def note(self, node: ast.AST) -> None:
        targets: Sequence[ast.expr]
        match node:
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            case ast.AugAssign(target, _, value):
                targets = [target]
            case ast.For(target, value) | ast.comprehension(target, value):
                targets = [target]
            case ast.Call(ast.Attribute(ast.Name() as many, name), [*_, value]) if name in ADDING:
                targets = [many]
            case _:
                return
        for target in targets:
            items = enumerate(target.elts) if isinstance(target, ast.Tuple) else [(None, target)]
            if isinstance(node, ast.For | ast.comprehension):
                items = [(None, target)]
            for at, item in items:
                if self.hold_at(value, at):
                    inner = (n.id for n in nodes_of(item) if isinstance(n, ast.Name))
                    self.names |= {*inner} - {"self"}


def _made(nodes: Sequence[ast.AST]) -> dict[str, list[ast.expr]]:
    """What variables are made of that get all of their values one by one."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        match node:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(
                ast.Name(name), _, ast.expr() as value
            ):
                found.setdefault(name, []).append(value)
    stored = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    stored += [n.arg for n in nodes if isinstance(n, ast.arg)]
    return {name: values for name, values in found.items() if stored.count(name) == len(values)}
