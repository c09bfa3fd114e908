"""Writes that last: TorchScript drops some whose tensor or list later has another name.

It does not see that what a loop carries may be, in the next round or after the loop, what another
variable is: of ``kept.add_(1); kept = x`` in a loop it leaves out the first. And ``rows[key] += x``
makes another tensor to it, if that is a dict, and ``rows.keys()`` a list. So it is told that
somebody has what is written, and what nobody reads is left out later.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from itertools import chain

from nas_engine_graph.frontend.source.mixed import as_kept, written
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["keep_writes"]

_CHANGING = frozenset(
    {"append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault",
     "sort", "update"}
)  # fmt: skip


def keep_writes(tree: ast.AST, own: Collection[str]) -> None:
    """Say after each statement what it may have written, in place, where that is hidden.

    Args:
        tree: a function.
        own: its variables.
    """
    nodes = nodes_of(tree)
    if not any(map(_hides_writes, nodes)):
        return
    for node in nodes:
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, list(chain.from_iterable(_kept(s, own) for s in block)))


def _hides_writes(node: ast.AST) -> bool:
    """Whether TorchScript may take what is written there, or in it, for something else."""
    match node:
        case ast.For() | ast.While() | ast.AugAssign(ast.Subscript()):
            return True
        case ast.Assign(_, ast.expr() as value) | ast.AnnAssign(_, _, ast.expr() as value):
            return any(map(_is_view, nodes_of(value)))
    return False


def _is_view(node: ast.AST) -> bool:
    """Whether an expression is a view of a dict, if it is one: it shows what is written later."""
    match node:
        case ast.Call(ast.Attribute(_, "keys" | "values" | "items"), [], []):
            return True
    return False


def _kept(statement: ast.stmt, own: Collection[str]) -> Iterator[ast.stmt]:
    yield statement
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Delete | ast.Expr):
        for name in sorted(set(_written(statement)) & set(own) - {"self"}):
            value = ast.copy_location(ast.Name(name, ast.Load()), statement)
            yield ast.copy_location(ast.Expr(written(as_kept, value)), statement)


def _written(statement: ast.stmt) -> Iterator[str]:
    """The variables of what a statement may write into."""
    for node in nodes_of(statement):
        match node:
            case ast.AugAssign(ast.Name(name)):
                yield name
            case ast.Subscript(value, ctx=ast.Store() | ast.Del()):
                yield _root(value)
            case ast.Call(ast.Attribute(value, name), arguments) if _writes(name):
                # One of its own, or a function such as ``torch.relu_``.
                yield from map(_root, (value, *arguments[:1]))


def _writes(name: str) -> bool:
    return name in _CHANGING or (name.endswith("_") and not name.endswith("__"))


def _root(value: ast.expr) -> str:
    """The variable of which an expression is a view or an item; empty if that is not known."""
    match value:
        case ast.Name(name):
            return name
        case ast.Subscript(inner) | ast.Call(ast.Attribute(inner)):
            return _root(inner)
    return ""
