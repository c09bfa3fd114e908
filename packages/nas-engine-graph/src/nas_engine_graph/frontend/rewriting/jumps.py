"""Loops over modules that end early, as conditions: TorchScript has no ``break`` there."""

from __future__ import annotations

import ast
import itertools

from torch import nn

from nas_engine_graph.frontend.rewriting.guards import ENDS, Guards, set_flag
from nas_engine_graph.frontend.source.modules import items_of
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["without_jumps"]


def without_jumps(tree: ast.AST, owner: nn.Module) -> None:
    """Write ``break`` and ``continue`` in loops over modules as flags and conditions, in place."""
    if any(isinstance(node, ENDS) for node in nodes_of(tree)):
        _Loops(tree, owner).visit(tree)


class _Loops(Rewriter):
    def __init__(self, tree: ast.AST, owner: nn.Module) -> None:
        self.owner, self.numbers = owner, itertools.count()
        self.read = [n for n in nodes_of(tree) if isinstance(n, ast.Name)]

    def visit_For(self, node: ast.For) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        guards = Guards(ENDS, lambda jump: f"{type(jump).__name__.lower()}_{number}")
        jumps = {type(jump): jump for jump in guards.ends(node.body)}
        known = items_of(node.iter, self.owner) is not None
        if not jumps or not known or node.orelse or self.is_read_outside(node):
            return node
        number = next(self.numbers)
        body = list(guards.guarded(node.body))
        if (skipped := jumps.get(ast.Continue)) is not None:
            body.insert(0, set_flag(guards.flag_of(skipped), False, node))
        if (stopped := jumps.get(ast.Break)) is None:
            node.body = body
            return node
        node.body = [guards.unless([stopped], body)]
        return [set_flag(guards.flag_of(stopped), False, node), node]

    def is_read_outside(self, loop: ast.For) -> bool:
        """Whether a variable of the loop is read after it: it would be that of the last round."""
        variables = {n.id for n in nodes_of(loop.target) if isinstance(n, ast.Name)}
        inside = {id(n) for n in nodes_of(loop)}
        return any(n.id in variables and id(n) not in inside for n in self.read)
