"""Changes of trees by the kinds of their nodes."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, ClassVar

from nas_engine_graph.frontend.source.sources import CHILDREN

__all__ = ["Rewriter"]


class Rewriter(ast.NodeTransformer):
    """What ``ast.NodeTransformer`` is, in less time: it visits no contexts and operators.

    >>> class Shouted(Rewriter):
    ...     def visit_Name(self, node):
    ...         return ast.Name(node.id.upper())
    >>> ast.unparse(Shouted().visit(ast.parse("f(x) + y")))
    'F(X) + Y'
    """

    _visitors: ClassVar[dict[type[ast.AST], Callable[[Any, Any], Any]]]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._visitors = {
            kind: getattr(cls, f"visit_{kind.__name__}", cls.generic_visit) for kind in CHILDREN
        }

    def visit(self, node: ast.AST) -> Any:
        return self._visitors[node.__class__](self, node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        inside = node.__dict__
        for name in CHILDREN[node.__class__]:
            if value := inside.get(name):
                if value.__class__ is list:
                    value[:] = self._all(value)
                elif (made := self.visit(value)) is None:
                    delattr(node, name)
                else:
                    inside[name] = made
        return node

    def _all(self, nodes: list[ast.AST | None]) -> list[ast.AST | None]:
        found: list[ast.AST | None] = []
        for node in nodes:
            made = None if node is None else self._visitors[node.__class__](self, node)
            if isinstance(made, list):
                found += made
            elif made is not None or node is None:
                found.append(made)
        return found
