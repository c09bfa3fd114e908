"""Early ends before contexts, as branches: TorchScript fails on some of these."""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass

from nas_engine_graph.frontend.rewriting.guards import ENDS, Guards, set_flag
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["Early", "early_of", "without_early_ends"]

_FAILURE = "outputs_[i]->uses().empty() INTERNAL ASSERT FAILED"
_NAMES = (ast.Name, ast.Constant, ast.Tuple, ast.Load)


@dataclass(frozen=True, slots=True)
class Early:
    """TorchScript fails: it can't move a context to where nothing has ended before."""


def early_of(text: str) -> Early | None:
    """That it does, if this is why it refuses."""
    return Early() if _FAILURE in text else None


def without_early_ends(tree: ast.AST) -> None:
    """Write what comes after early ends as branches, in place, where there are contexts."""
    _Ends().visit(tree)


class _Ends(Rewriter):
    def __init__(self) -> None:
        self.numbers = itertools.count()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self.within(node, ())

    def visit_For(self, node: ast.For) -> ast.AST:
        return self.within(node, ENDS)

    def visit_While(self, node: ast.While) -> ast.AST:
        return self.within(node, ENDS)

    def within(
        self, node: ast.FunctionDef | ast.For | ast.While, kinds: tuple[type[ast.stmt], ...]
    ) -> ast.AST:
        self.generic_visit(node)
        names: dict[object, str] = {}

        def flag_of(end: ast.stmt) -> str:
            key = end if isinstance(end, ast.Return) else type(end)
            if key not in names:
                names[key] = f"{type(end).__name__.lower()}_{next(self.numbers)}"
            return names[key]

        guards = Guards((*kinds, ast.Return), flag_of)
        contexts = [s for s in nodes_of(node) if isinstance(s, ast.With)]
        inside = (e for context in contexts for e in guards.ends(context.body))
        if contexts and all(map(_may_leave, inside)):
            body = list(guards.guarded(node.body, last=True))
            node.body = [*(set_flag(name, False, node) for name in names.values()), *body]
        return node


def _may_leave(end: ast.stmt) -> bool:
    """Whether what is returned is the same after the context in which it is returned."""
    given = end.value if isinstance(end, ast.Return) else None
    return given is None or all(isinstance(n, _NAMES) for n in nodes_of(given))
