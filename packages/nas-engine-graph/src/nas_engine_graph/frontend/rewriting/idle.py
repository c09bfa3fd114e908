"""Loops through lists and dicts of a module that are always empty, such as those of its own hooks.

TorchScript does not know of what they would be.
"""

from __future__ import annotations

import ast
from collections.abc import Set as AbstractSet

from nas_engine_graph.frontend.source.methods import looped
from nas_engine_graph.frontend.source.rewriter import Rewriter

__all__ = ["without_idle_loops"]


def without_idle_loops(tree: ast.AST, empty: AbstractSet[str]) -> None:
    """Leaves out the loops of a method, in place, that never do a round.

    Args:
        tree: the method.
        empty: the attributes of modules in which there never is anything.
    """
    if empty:
        _Idle(empty).visit(tree)


class _Idle(Rewriter):
    def __init__(self, empty: AbstractSet[str]) -> None:
        self.empty = empty

    def visit_For(self, node: ast.For) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        match looped(node):
            case ast.Attribute(ast.Name("self"), name) if name in self.empty:
                return node.orelse or ast.copy_location(ast.Pass(), node)
        return node
