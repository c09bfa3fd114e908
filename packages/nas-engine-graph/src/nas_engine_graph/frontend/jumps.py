"""Loops over modules that end early, as conditions: TorchScript has no ``break`` there."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence

from torch import nn

from nas_engine_graph.frontend.modules import items_of
from nas_engine_graph.frontend.places import placed
from nas_engine_graph.frontend.sources import nodes_of

__all__ = ["without_jumps"]


def without_jumps(tree: ast.AST, owner: nn.Module) -> None:
    """Write ``break`` and ``continue`` in loops over modules as flags and conditions, in place."""
    if any(isinstance(node, ast.Break | ast.Continue) for node in nodes_of(tree)):
        _Loops(tree, owner).visit(tree)


class _Loops(ast.NodeTransformer):
    def __init__(self, tree: ast.AST, owner: nn.Module) -> None:
        self.owner, self.numbers = owner, itertools.count()
        self.read = [n for n in nodes_of(tree) if isinstance(n, ast.Name)]

    def visit_For(self, node: ast.For) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        jumps = list(_jumps(node.body))
        known = items_of(node.iter, self.owner) is not None
        if not jumps or not known or node.orelse or self.is_read_outside(node):
            return node
        number = next(self.numbers)
        flags = {kind: f"{kind.__name__.lower()}_{number}" for kind in map(type, jumps)}
        names = [flags[kind] for kind in (ast.Break, ast.Continue) if kind in flags]
        body = list(_guarded(node.body, flags, names))
        if ast.Continue in flags:
            body.insert(0, _set(flags[ast.Continue], False, node))
        if ast.Break not in flags:
            node.body = body
            return node
        stopped = flags[ast.Break]
        node.body = [_unless([stopped], body, node)]
        return [_set(stopped, False, node), node]

    def is_read_outside(self, loop: ast.For) -> bool:
        """Whether a variable of the loop is read after it: it would be that of the last round."""
        variables = {n.id for n in nodes_of(loop.target) if isinstance(n, ast.Name)}
        inside = {id(n) for n in nodes_of(loop)}
        return any(n.id in variables and id(n) not in inside for n in self.read)


def _jumps(body: Sequence[ast.AST]) -> Iterator[ast.Break | ast.Continue]:
    """Those of a loop with this body, and not of loops in it."""
    for node in body:
        if isinstance(node, ast.Break | ast.Continue):
            yield node
        elif not isinstance(node, ast.For | ast.While):
            yield from _jumps(list(ast.iter_child_nodes(node)))


def _guarded(
    body: Sequence[ast.stmt], flags: dict[type, str], names: list[str]
) -> Iterator[ast.stmt]:
    """The statements, each run only where none before it has jumped."""
    for at, statement in enumerate(body):
        if isinstance(statement, ast.Break | ast.Continue):
            yield _set(flags[type(statement)], True, statement)
            return
        if not any(_jumps([statement])):
            yield statement
            continue
        rest = list(body[at + 1 :])
        if isinstance(statement, ast.If) and _leaves(statement.body):
            statement.orelse, rest = [*statement.orelse, *rest], []
        elif isinstance(statement, ast.If) and _leaves(statement.orelse):
            statement.body, rest = [*statement.body, *rest], []
        for part in ("body", "orelse"):
            if inside := getattr(statement, part, None):
                setattr(statement, part, list(_guarded(inside, flags, names)))
        yield statement
        if guarded := list(_guarded(rest, flags, names)):
            yield _unless(names, guarded, guarded[0])
        return


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Break | ast.Continue)


def _set(name: str, value: bool, place: ast.stmt) -> ast.stmt:
    target = ast.Name(name, ast.Store())
    return placed(ast.Assign([target], ast.Constant(value)), place)


def _unless(names: list[str], body: list[ast.stmt], place: ast.stmt) -> ast.stmt:
    asked: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
    asked = asked if len(asked) == 1 else [ast.BoolOp(ast.Or(), asked)]
    made = placed(ast.If(ast.UnaryOp(ast.Not(), asked[0]), [], []), place)
    made.body = body
    return made
