"""What is done to slices of module lists, written out for each module.

Of a slice TorchScript makes a tuple, whose modules it can't call.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from torch import nn

from nas_engine_graph.frontend.rewriting.summed import chained, is_in_turn
from nas_engine_graph.frontend.source.modules import (
    class_of,
    counted,
    holds_no_module,
    is_misread,
    items_of,
    module_at,
    number_of,
)
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import value_of

__all__ = ["classes_of", "unroll"]

_MANY = 256
"""Loops of more trips than this over numbers are not written out."""
Names = Mapping[str, ast.expr]
Tree = TypeVar("Tree", bound=ast.AST)


class _Replaced(Rewriter):
    """Variables replaced by what they are."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if (found := self.names.get(node.id)) is None:
            return node
        return _moved(found, node)


def _moved(node: Tree, place: ast.expr | ast.stmt) -> Tree:
    """A copy that stands at another place."""
    made = copy.deepcopy(node)
    for inner in nodes_of(made):
        if isinstance(inner, ast.expr):
            ast.copy_location(inner, place)
    return made


def _replaced(tree: Tree, names: Names) -> Tree:
    made: Tree = _Replaced(names).visit(copy.deepcopy(tree))
    return made


def _bound(target: ast.expr, item: ast.expr, owner: nn.Module) -> dict[str, ast.expr] | None:
    """What the variables of a loop are for one item."""
    match target, item:
        case ast.Name(name), _:
            return {name: item}
        case ((ast.Tuple(targets) | ast.List(targets)), _):
            inside = items_of(item, owner)
            items = item.elts if isinstance(item, ast.Tuple) else inside.items if inside else ()
            if len(targets) != len(items):
                return None
            found = [_bound(t, i, owner) for t, i in zip(targets, items, strict=True)]
            known = [names for names in found if names is not None]
            return {k: v for n in known for k, v in n.items()} if known == found else None
    return None


def _unpacks(target: ast.expr, item: ast.expr) -> bool:
    """Whether a module inside of a loop is unpacked into those inside of it."""
    match target, item:
        case ((ast.Tuple(targets) | ast.List(targets)), ast.Tuple(items)):
            return any(_unpacks(t, i) for t, i in zip(targets, items, strict=False))
    return isinstance(target, ast.Tuple | ast.List)


def _is_chain(loop: ast.For) -> bool:
    """Whether the rounds of a loop do nothing but run one after the other, with these variables."""
    inside = [node for statement in loop.body for node in nodes_of(statement)]
    jumps = any(isinstance(node, ast.Break | ast.Continue) for node in inside)
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    variables = {n.id for n in nodes_of(loop.target) if isinstance(n, ast.Name)}
    return not jumps and not loop.orelse and stored.isdisjoint(variables)


class _Unrolled(Rewriter):
    def __init__(self, tree: ast.AST, owner: nn.Module, around: Mapping[str, Any]) -> None:
        self.owner, self.around = owner, around
        self.reads = _reads(tree)

    def visit_For(self, node: ast.For) -> Any:
        rounds = self.rounds(node.target, node.iter)
        if (
            rounds is None
            or not _is_chain(node)
            or not self.is_needed(node.target, node.iter, node.body, rounds)
        ):
            return self.generic_visit(node)
        inside = _reads(node)
        made: list[ast.stmt] = [_replaced(s, names) for names in rounds for s in node.body]
        for name, item in rounds[-1].items() if rounds else ():
            if self.reads[name] > inside[name]:
                target = ast.copy_location(ast.Name(name, ast.Store()), node)
                made.append(ast.copy_location(ast.Assign([target], _moved(item, node)), node))
        visited = [self.visit(statement) for statement in made]
        flat = [s for v in visited for s in (v if isinstance(v, list) else [v])]
        return flat or ast.copy_location(ast.Pass(), node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> Any:
        return self.comprehension(node)

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        return self.comprehension(node)

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Any:
        (first, *others) = node.generators
        rounds = self.rounds(first.target, first.iter)
        if rounds is None or others or first.ifs:
            return self.generic_visit(node)
        if not self.is_needed(first.target, first.iter, [node.elt], []):
            return self.generic_visit(node)
        items = [self.visit(_replaced(node.elt, names)) for names in rounds]
        return ast.copy_location(ast.List(items, ast.Load()), node)

    def visit_Call(self, node: ast.Call) -> Any:
        if is_in_turn(node):
            return chained(node, self.in_turn(node.args[0]))
        match node:
            case ast.Call(ast.Name("getattr"), [_, name], []) if (text := _text(name)) is not None:
                node.args[1] = ast.copy_location(ast.Constant(text), name)
            case ast.Call(ast.Name("isinstance"), [value, kinds], []):
                module, classes = module_at(value, self.owner), classes_of(kinds, self.around)
                if module is not None and classes is not None:
                    fits = issubclass(class_of(module), classes)
                    return ast.copy_location(ast.Constant(fits), node)
                if classes is not None and holds_no_module(value, self.owner):
                    return ast.copy_location(ast.Constant(False), node)
            case ast.Call(ast.Name("len"), [value], []) if self.misread(value) is not None:
                return ast.copy_location(ast.Constant(len(self.misread(value) or ())), node)
            case ast.Call(function, [value], []) if self.is_sequential(function):
                found = self.visit(value)
                for item in self.misread(function) or ():
                    found = ast.copy_location(ast.Call(_moved(item, node), [found], []), node)
                return found
        return self.generic_visit(node)

    def in_turn(self, node: ast.expr) -> list[ast.expr]:
        """What a generator computes, if it is known for what."""
        match node:
            case ast.GeneratorExp(item, [ast.comprehension(target, iterated, [], 0)]):
                rounds = self.rounds(target, iterated) or ()
                return [self.visit(_replaced(item, names)) for names in rounds]
        return []

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        if (index := self.place(node)) is not None:
            node.slice = ast.copy_location(ast.Constant(index), node.slice)
        elif (key := self.key(node)) is not None:
            node.slice = ast.copy_location(ast.Constant(key), node.slice)
        match node:
            case ast.Subscript(value, ast.Constant(int() as index)):
                items = self.misread(value) or ()
                if -len(items) <= index < len(items):
                    return _moved(items[index], node)
        return self.generic_visit(node)

    def place(self, node: ast.AST) -> int | None:
        """The index of a module in a list, where it is an expression of constants."""
        match node:
            case ast.Subscript(value, (ast.BinOp() | ast.UnaryOp() | ast.Call()) as index):
                return number_of(index, self.owner) if items_of(value, self.owner) else None
        return None

    def key(self, node: ast.Subscript) -> str | None:
        """The name of a module in a dict, where it is put together of constants."""
        of_dict = isinstance(module_at(node.value, self.owner), nn.ModuleDict)
        return _text(node.slice) if of_dict else None

    def rounds(self, target: ast.expr, iterated: ast.expr) -> list[dict[str, ast.expr]] | None:
        items: Sequence[ast.expr] | None = None
        if (found := items_of(iterated, self.owner)) is not None:
            items = found.items
        elif (numbers := counted(iterated, self.owner)) is not None and len(numbers) <= _MANY:
            items = [ast.copy_location(ast.Constant(number), iterated) for number in numbers]
        elif isinstance(iterated, ast.Tuple | ast.List) and all(
            isinstance(item, ast.Constant) for item in iterated.elts
        ):
            items = iterated.elts
        bound = [_bound(target, item, self.owner) for item in items or ()]
        known = [names for names in bound if names is not None]
        return None if items is None or len(known) < len(bound) else known

    def is_needed(
        self,
        target: ast.expr,
        iterated: ast.expr,
        body: Sequence[ast.AST],
        rounds: Sequence[Names],
    ) -> bool:
        """Whether TorchScript reads a loop otherwise, or not at all."""
        found = items_of(iterated, self.owner)
        if found is not None and any(_unpacks(target, item) for item in found.items):
            return True
        variables = {n.id for n in nodes_of(target) if isinstance(n, ast.Name)}
        inside = [node for statement in body for node in nodes_of(statement)]
        if any(self.selects(node, variables) for node in inside):
            return True
        written = (_replaced(s, names) for names in rounds[:1] for s in body)
        return any(is_misread(node, self.owner) for node in (iterated, *written))

    def selects(self, node: ast.AST, variables: set[str]) -> bool:
        """Whether a module of a list is chosen by the variable of a loop."""
        match node:
            case ast.Subscript(value, index) if not isinstance(index, ast.Slice):
                of_modules = items_of(value, self.owner) is not None or isinstance(
                    module_at(value, self.owner), nn.ModuleDict
                )
                return of_modules and _mentions(index, variables)
            case ast.Call(ast.Name("getattr"), [_, name]):
                return _mentions(name, variables)
            case ast.Call(ast.Name("isinstance"), [value, kinds]):
                asks = classes_of(kinds, self.around) is not None
                return asks and _mentions(value, variables)
        return False

    def misread(self, node: ast.expr) -> tuple[ast.expr, ...] | None:
        found = items_of(node, self.owner) if is_misread(node, self.owner) else None
        return None if found is None or found.kind == "iterator" else found.items

    def is_sequential(self, node: ast.expr) -> bool:
        found = items_of(node, self.owner) if is_misread(node, self.owner) else None
        return found is not None and found.kind == "Sequential"


def _reads(tree: ast.AST) -> Counter[str]:
    names = (node for node in nodes_of(tree) if isinstance(node, ast.Name))
    return Counter(node.id for node in names if isinstance(node.ctx, ast.Load))


def _mentions(node: ast.AST, variables: set[str]) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id in variables for inner in nodes_of(node))


def _text(node: ast.expr) -> str | None:
    """The text that an expression of constants is: ``f"layer{1}"``."""
    parts: list[str] = []
    match node:
        case ast.JoinedStr(values):
            for value in values:
                match value:
                    case ast.Constant(part) | ast.FormattedValue(ast.Constant(part), -1, None):
                        parts.append(str(part))
                    case _:
                        return None
            return "".join(parts)
        case ast.BinOp(ast.Constant(str() as form), ast.Mod(), ast.Constant(part)):
            return form % part
        case ast.BinOp(left, ast.Add(), right):
            first, second = _text(left), _text(right)
            return None if first is None or second is None else first + second
        case ast.Call(ast.Attribute(ast.Constant(str() as form), "format"), items, []):
            given = [item.value for item in items if isinstance(item, ast.Constant)]
            return form.format(*given) if len(given) == len(items) else None
        case ast.Call(ast.Name("str"), [ast.Constant(part)], []):
            return str(part)
        case ast.Constant(str() as text):
            return text
    return None


def classes_of(node: ast.expr, around: Mapping[str, Any]) -> tuple[type, ...] | None:
    """The classes of modules that an expression is; None if there are others among them."""
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    found = [value_of(name, around) for name in names]
    known = tuple(c for c in found if isinstance(c, type) and issubclass(c, nn.Module))
    return known if known and len(known) == len(found) else None


def unroll(tree: ast.AST, owner: nn.Module, around: Mapping[str, Any]) -> None:
    """Write loops over slices and the like out, in place: with the modules one by one."""
    _Unrolled(tree, owner, around).visit(tree)
