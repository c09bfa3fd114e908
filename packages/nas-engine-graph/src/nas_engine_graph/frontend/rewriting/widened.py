"""Variables that may be None, and that TorchScript takes for something that is not, or for None.

After ``mask = x`` it goes by that, whatever was declared, and lets no block set it to anything
else. So it is told before each block that the variable is what was declared.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from nas_engine_graph.frontend.rewriting.declared import declared
from nas_engine_graph.frontend.source.hiding import item
from nas_engine_graph.frontend.source.places import placed
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["is_declared", "widen_around"]


def is_declared(tree: ast.AST, name: str) -> bool:
    """Whether a function says of what type its variable or argument is."""
    return any(_declares(node, name) for node in nodes_of(tree))


def _declares(node: ast.AST, name: str) -> bool:
    match node:
        case ast.AnnAssign(ast.Name(id=declared_name)):
            return declared_name == name
        case ast.arg(arg=declared_name, annotation=ast.expr()):
            return declared_name == name
    return False


def widen_around(tree: ast.Module, line: int, name: str, kind: str) -> None:
    """Say before the blocks around a line of what type a variable is, in place.

    Args:
        tree: a function.
        line: where the variable is set.
        name: of the variable.
        kind: its type.
    """
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    known = any(argument.arg == name for argument in function.args.args)
    function.body = list(_widened(function.body, line, name, kind, known))


def _widened(
    body: list[ast.stmt], line: int, name: str, kind: str, known: bool
) -> Iterator[ast.stmt]:
    for statement in body:
        parts = [part for part in ("body", "orelse") if hasattr(statement, part)]
        if parts and any(_stores(node, name, line) for node in nodes_of(statement)):
            if known:
                yield _widening(name, kind, statement)
            for part in parts:
                block = getattr(statement, part)
                setattr(statement, part, list(_widened(block, line, name, kind, known)))
        known = known or any(_stores(node, name) for node in nodes_of(statement))
        yield statement


def _stores(node: ast.AST, name: str, line: int | None = None) -> bool:
    match node:
        case ast.Name(id=stored, ctx=ast.Store()):
            return stored == name and line in (None, node.lineno)
    return False


def _widening(name: str, kind: str, place: ast.stmt) -> ast.stmt:
    """``name = name``, which TorchScript takes for a value of the type: it has it of an item."""
    one = ast.List([ast.Name(name, ast.Load())], ast.Load())
    many = ast.parse(f"List[{kind}]", mode="eval").body
    value = item(declared(placed(one, place), placed(many, place)), 0)
    return placed(ast.Assign([ast.Name(name, ast.Store())], value), place)
