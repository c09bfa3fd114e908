"""What is unpacked into variables, or among other values, where TorchScript has no words for it.

That is ``q, k, v = map(lambda t: t.mT, parts)``, ``b, n, d, h = *x.shape, self.heads``,
``*_, h, w = x.shape``, and ``torch.cat((x, *features))``.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence

import torch

from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import Variables, value_of

__all__ = ["write_unpacked"]

_JOINING = (
    torch.cat, torch.concat, torch.concatenate, torch.dstack, torch.hstack, torch.stack,
    torch.vstack,
)  # fmt: skip
"""Functions for which a list of tensors is what a tuple of them is."""


def write_unpacked(tree: ast.AST, variables: Variables) -> None:
    """Writes it out in the tree of a function.

    >>> tree = ast.parse("*_, width = x.shape")
    >>> write_unpacked(tree, Variables(frozenset(), {}, {}, frozenset()))
    >>> print(ast.unparse(tree))
    items_0 = x.shape
    width = items_0[-1]
    """
    _Unpacked(tree, variables).visit(tree)


class _Unpacked(Rewriter):
    """Writes assignments and calls out."""

    def __init__(self, tree: ast.AST, variables: Variables) -> None:
        self.around = variables.around
        self.own_map = "map" in variables.own or "map" in variables.around
        nodes = nodes_of(tree)
        names = [node for node in nodes if isinstance(node, ast.Name)]
        self.read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        self.taken = {node.id for node in names} | {n.arg for n in nodes if isinstance(n, ast.arg)}

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        made: list[ast.stmt] | None = None
        match node:
            case ast.Assign([ast.Tuple(targets)], value) if spare := _starred(targets):
                made = self.from_both_ends(targets, spare, value)
            case ast.Assign(
                [ast.Tuple(targets) as target], ast.Call(ast.Name("map"), [mapped, items], [])
            ) if not self.own_map:
                made = self.mapped(target, len(targets), mapped, items)
            case ast.Assign([target], ast.Tuple(values)) if len(places := _starred(values)) == 1:
                others = len(values) - 1
                count = len(target.elts) - others if isinstance(target, ast.Tuple) else None
                made = self.spread(target, count, values, places[0])
        return (
            node
            if made is None
            else [
                ast.fix_missing_locations(ast.copy_location(statement, node)) for statement in made
            ]
        )

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(
                ast.Name("list"), [ast.Call(ast.Name("map"), [mapped, items], [])], []
            ) if not self.own_map:
                name = self.fresh(_parameter(mapped) or "item")
                if (result := _applied(mapped, name)) is not None:
                    each = ast.comprehension(_set(name), items, [], 0)
                    made = ast.copy_location(ast.ListComp(result, [each]), node)
                    return ast.fix_missing_locations(made)
            case ast.Call(joining, [ast.Tuple(values) | ast.List(values) as given, *_]):
                called = value_of(joining, self.around) if _starred(values) else None
                if any(called is function for function in _JOINING):
                    joined = ast.copy_location(_joined(values), given)
                    node.args[0] = ast.fix_missing_locations(joined)
        return node

    def mapped(
        self, target: ast.expr, count: int, mapped: ast.expr, items: ast.expr
    ) -> list[ast.stmt] | None:
        """``t, u = items`` and ``q, k = f(t), f(u)``."""
        names = [self.fresh(_parameter(mapped) or "item") for _ in range(count)]
        results = [result for name in names if (result := _applied(mapped, name)) is not None]
        if len(results) < count:
            return None
        return [_assigned(names, items), ast.Assign([target], _tuple(results))]

    def spread(
        self, target: ast.expr, count: int | None, values: Sequence[ast.expr], place: int
    ) -> list[ast.stmt] | None:
        """``s, t = x.shape`` and ``b, n, h = s, t, self.heads``, in the order of the values."""
        value = values[place]
        assert isinstance(value, ast.Starred)
        match value.value:
            case ast.Call(ast.Attribute(attr="chunk"), [ast.Constant(int() as parts), *_]):
                count = parts if count is None else count
        if not count or count < 0:
            return None
        before, made = self.first(values[:place])
        names = [self.fresh("item") for _ in range(count)]
        made.append(_assigned(names, value.value))
        whole = _tuple([*before, *map(_read, names), *values[place + 1 :]])
        return [*made, ast.Assign([target], whole)]

    def from_both_ends(
        self, targets: Sequence[ast.expr], spare: Sequence[int], value: ast.expr
    ) -> list[ast.stmt] | None:
        """``sizes = x.shape`` and ``h, w = sizes[-2], sizes[-1]``, if nobody reads what is left."""
        (star, *more), left = spare, targets[spare[0]]
        assert isinstance(left, ast.Starred)
        if more or not isinstance(left.value, ast.Name) or left.value.id in self.read:
            return None
        values = value.elts if isinstance(value, ast.Tuple) else [ast.Starred(value, ast.Load())]
        places, behind = _starred(values), len(targets) - star - 1
        if len(places) != 1 or places[0] > star or len(values) - places[0] - 1 > behind:
            return None
        (place,) = places
        whole = values[place]
        assert isinstance(whole, ast.Starred)
        before, made = self.first(values[:place])
        made.append(ast.Assign([_set(name := self.fresh("items"))], whole.value))
        after = list(values[place + 1 :])
        front = [_item(name, index) for index in range(star - len(before))]
        back = [_item(name, -index) for index in range(behind - len(after), 0, -1)]
        found = [*before, *front, *back, *after]
        named = [target for target in targets if target is not left]
        if len(named) == 1:
            return [*made, ast.Assign([named[0]], found[0])]
        return [*made, ast.Assign([ast.Tuple(named, ast.Store())], _tuple(found))]

    def first(self, values: Sequence[ast.expr]) -> tuple[list[ast.expr], list[ast.stmt]]:
        """Values, and the statements that compute those of them for which the time matters."""
        found: list[ast.expr] = []
        made: list[ast.stmt] = []
        for value in values:
            if any(isinstance(n, ast.Call | ast.Subscript | ast.BinOp) for n in nodes_of(value)):
                made.append(ast.Assign([_set(name := self.fresh("item"))], value))
                found.append(_read(name))
            else:
                found.append(value)
        return found, made

    def fresh(self, name: str) -> str:
        """A name like this one that no variable has."""
        names = (f"{name}_{n}" for n in range(len(self.taken) + 1))
        found = next(name for name in names if name not in self.taken)
        self.taken.add(found)
        return found


def _starred(values: Sequence[ast.expr]) -> list[int]:
    return [i for i, value in enumerate(values) if isinstance(value, ast.Starred)]


def _joined(values: Sequence[ast.expr]) -> ast.expr:
    """``[x] + list(features)`` for ``[x, *features]``."""
    parts: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Starred):
            parts.append(ast.Call(_read("list"), [value.value], []))
        elif parts and isinstance(parts[-1], ast.List):
            parts[-1].elts.append(value)
        else:
            parts.append(ast.List([value], ast.Load()))
    whole = parts[0]
    for part in parts[1:]:
        whole = ast.BinOp(whole, ast.Add(), part)
    return whole


def _parameter(mapped: ast.expr) -> str | None:
    """The only argument of a function without a name; None for another one."""
    match mapped:
        case ast.Lambda(ast.arguments([], [ast.arg(name)], None, [], [], None, [])):
            return name
    return None


def _applied(mapped: ast.expr, variable: str) -> ast.expr | None:
    """What a function makes of a variable; None if that can't be written."""
    match mapped:
        case ast.Lambda(body=body):
            name = _parameter(mapped)
            if name is None or name in set(_bound(body)):
                return None
            made = copy.deepcopy(body)
            for node in nodes_of(made):
                if isinstance(node, ast.Name) and node.id == name:
                    node.id = variable
            return made
        case ast.Name() | ast.Attribute():
            return ast.Call(copy.deepcopy(mapped), [_read(variable)], [])
    return None


def _bound(body: ast.expr) -> Iterator[str]:
    """The variables that an expression has for itself, or sets."""
    for node in nodes_of(body):
        match node:
            case ast.arg(name) | ast.Name(name, ast.Store()):
                yield name


def _assigned(names: Sequence[str], value: ast.expr) -> ast.stmt:
    """An assignment to several variables, also if it is one."""
    return ast.Assign([ast.Tuple([_set(name) for name in names], ast.Store())], value)


def _tuple(values: Sequence[ast.expr]) -> ast.expr:
    return ast.Tuple(list(values), ast.Load())


def _read(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _set(name: str) -> ast.expr:
    return ast.Name(name, ast.Store())


def _item(name: str, index: int) -> ast.expr:
    return ast.Subscript(_read(name), ast.Constant(index), ast.Load())
