"""Arguments of any number that are only handed on: TorchScript has none, and nobody gives any.

Where a caller gives some, TorchScript refuses the call.
"""

from __future__ import annotations

import ast

from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.spreading import spread_from, spread_names

__all__ = ["without_extras"]


def without_extras(tree: ast.Module) -> None:
    """Leaves ``*args`` and ``**kwargs`` out of a method that only hands them on, in place.

    >>> tree = ast.parse("def forward(self, x, **kwargs): return self.fn(x, **kwargs)")
    >>> without_extras(tree)
    >>> print(ast.unparse(tree))
    def forward(self, x):
        return self.fn(x)
    """
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        return
    arguments = definition.args
    extras = spread_names(arguments)
    if not extras or (arguments.vararg and arguments.kwonlyargs):
        return
    named = [n for n in nodes_of(definition) if isinstance(n, ast.Name) and n.id in extras]
    calls = _Calls(extras)
    handed = sum(len(calls.handed(n)) for n in nodes_of(definition) if isinstance(n, ast.Call))
    if handed == len(named):
        calls.visit(definition)
        arguments.vararg = arguments.kwarg = None


class _Calls(Rewriter):
    def __init__(self, extras: set[str]) -> None:
        self.extras = extras

    def handed(self, call: ast.Call) -> list[ast.expr | ast.keyword]:
        """Which arguments of a call are such."""
        arguments: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
        return [each for each in arguments if spread_from(each, self.extras) == 0]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        handed = self.handed(node)
        node.args = [a for a in node.args if a not in handed]
        node.keywords = [k for k in node.keywords if k not in handed]
        return self.generic_visit(node)
