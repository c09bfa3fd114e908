"""Loops over lists that grow or shrink meanwhile: TorchScript goes by their first length."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterator, Sequence

from nas_engine_graph.frontend.places import placed
from nas_engine_graph.frontend.sources import nodes_of

__all__ = ["follow_lists"]

_RESIZING = frozenset({"append", "clear", "extend", "insert", "pop", "remove"})


def follow_lists(tree: ast.AST) -> None:
    """Write loops over lists of which they change the length as Python runs them, in place."""
    _Loops().visit(tree)


class _Loops(ast.NodeTransformer):
    def __init__(self) -> None:
        self.numbers = itertools.count()

    def visit_For(self, node: ast.For) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        resized = set(_resized(node.body))
        parts = list(_parts(node.target, node.iter)) if resized else []
        if node.orelse or not any(value in resized for _, value in parts):
            return node
        lines = list(_lines(parts, resized, next(self.numbers)))
        made = placed(ast.parse("\n".join(lines)), node).body
        loop = made[-1]
        assert isinstance(loop, ast.For | ast.While)
        loop.body += node.body
        return made


def _lines(
    parts: Sequence[tuple[str, str]], resized: Collection[str], number: int
) -> Iterator[str]:
    """A loop that asks in each round how long its lists are, up to what it does in each.

    Args:
        parts: its variables, and the iterables of which each gets its values; none for a counter.
        resized: the lists that change.
        number: of the loop, in its function.
    """
    at, names = f"round_{number}", [f"rows_{number}_{part}" for part in range(len(parts))]
    given = list(zip(names, parts, strict=True))
    lists = [name for name, (_, value) in given if value in resized]
    others = [(name, value) for name, (_, value) in given if value and value not in resized]
    yield from (f"{name} = {value}" for name, (_, value) in given if value in resized)
    if others:
        items, values = (", ".join(column) for column in zip(*others, strict=True))
        yield f"for {at}, ({items},) in enumerate(zip({values})):"
    else:
        yield from (f"{at} = -1", "while True:", f"    {at} = {at} + 1")
    yield f"    if {' or '.join(f'{at} >= len({name})' for name in lists)}:"
    yield "        break"
    for name, (target, value) in given:
        item = f"{name}[{at}]" if value in resized else name if value else at
        yield f"    {target} = {item}"


def _resized(body: Sequence[ast.stmt]) -> Iterator[str]:
    """What has another length after some statement of these."""
    for node in (inner for statement in body for inner in nodes_of(statement)):
        match node:
            case ast.Call(ast.Attribute(value, name)) if name in _RESIZING:
                yield ast.unparse(value)
            case ast.AugAssign(target, ast.Add(), ast.List() | ast.ListComp()):
                yield ast.unparse(target)
            case ast.Delete(targets):
                yield from (ast.unparse(t.value) for t in targets if isinstance(t, ast.Subscript))


def _parts(target: ast.expr, iterated: ast.expr) -> Iterator[tuple[str, str]]:
    """The variables of a loop, and the iterables of which each gets its values."""
    match target, iterated:
        case ast.Tuple([counter, inner]), ast.Call(ast.Name("enumerate"), [values], []):
            yield ast.unparse(counter), ""
            yield from _parts(inner, values)
        case ast.Tuple(targets), ast.Call(ast.Name("zip"), iterables, []) if len(targets) == len(
            iterables
        ):
            for inner, values in zip(targets, iterables, strict=True):
                yield from _parts(inner, values)
        case _:
            yield ast.unparse(target), ast.unparse(iterated)
