"""Variables that are several things one after the other, told apart by where each is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from torch import nn

from nas_engine_graph.frontend.source.modules import items_of
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["UnclearError", "definitions"]

Definition = int | None
"""The number of an assignment; None where there may be several, or none."""

_SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class UnclearError(LookupError):
    """It depends on the way through the function which assignment a variable is read from."""


def definitions(tree: ast.AST, name: str, owner: nn.Module) -> list[list[ast.Name]]:
    """The places that belong together: for each assignment of a variable, where it is read.

    Raises:
        UnclearError: a place may read what several assignments have left.
    """
    reading = _Reading(name, owner)
    for function in ast.iter_child_nodes(tree):
        if isinstance(function, ast.FunctionDef):
            if name in {node.arg for node in nodes_of(function.args) if isinstance(node, ast.arg)}:
                raise UnclearError
            reading.statements(function.body, None)
    return reading.found


class _Reading:
    def __init__(self, name: str, owner: nn.Module) -> None:
        self.name, self.owner = name, owner
        self.found: list[list[ast.Name]] = []

    def statements(self, body: Sequence[ast.stmt], current: Definition) -> Definition:
        """The assignment that holds after statements before which another one does."""
        for statement in body:
            current = self.statement(statement, current)
        return current

    def statement(self, node: ast.stmt, current: Definition) -> Definition:
        match node:
            case ast.If(test, then, orelse):
                self.read(test, current)
                arms = [self.statements(arm, current) for arm in (then, orelse)]
                return arms[0] if arms[0] == arms[1] else None
            case ast.With(items, body):
                self.read_all(items, current)
                return self.statements(body, current)
            case ast.For(target, iterated, body, orelse):
                return self.loop(target, iterated, body, orelse, current)
            case ast.While(test, body, orelse):
                before = None if self.stored(node) else current
                self.read(test, before)
                self.statements(body, before)
                return self.statements(orelse, before)
            case ast.Assign(targets, value) if self.stored(node):
                self.read(value, current)
                return self.define(targets)
        if self.stored(node):
            raise UnclearError
        self.read(node, current)
        return current

    def loop(
        self,
        target: ast.expr,
        iterated: ast.expr,
        body: Sequence[ast.stmt],
        orelse: Sequence[ast.stmt],
        current: Definition,
    ) -> Definition:
        self.read(iterated, current)
        again = any(map(self.stored, body))
        if any(self.named(target)):
            inside = self.define([target])
            after = self.statements(body, inside)
            items = items_of(iterated, self.owner)
            runs = items is not None and len(items.items) > 0
            current = after if runs else None  # Of these TorchScript reads none with a break.
        else:
            current = None if again else current
            self.statements(body, current)
        return self.statements(orelse, None if again else current)

    def define(self, targets: Sequence[ast.expr]) -> Definition:
        names = [name for target in targets for name in self.named(target)]
        if not all(isinstance(name.ctx, ast.Store) for name in names):
            raise UnclearError
        self.found.append(names)
        return len(self.found) - 1

    def read_all(self, nodes: Sequence[ast.AST], current: Definition) -> None:
        for node in nodes:
            self.read(node, current)

    def read(self, node: ast.AST, current: Definition) -> None:
        names = list(self.named(node))
        if not names:
            return
        in_scope = any(isinstance(inner, _SCOPES) for inner in nodes_of(node))
        if current is None or in_scope or not all(isinstance(n.ctx, ast.Load) for n in names):
            raise UnclearError
        self.found[current] += names

    def named(self, node: ast.AST) -> Iterator[ast.Name]:
        yield from (n for n in nodes_of(node) if isinstance(n, ast.Name) and n.id == self.name)

    def stored(self, node: ast.AST) -> bool:
        return any(isinstance(name.ctx, ast.Store) for name in self.named(node))
