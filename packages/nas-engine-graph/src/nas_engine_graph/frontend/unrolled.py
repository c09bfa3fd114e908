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

from nas_engine_graph.frontend.modules import is_misread, items_of

__all__ = ["unroll"]

Names = Mapping[str, ast.expr]
Tree = TypeVar("Tree", bound=ast.AST)


class _Replaced(ast.NodeTransformer):
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
    for inner in ast.walk(made):
        if isinstance(inner, ast.expr):
            ast.copy_location(inner, place)
    return made


def _replaced(tree: Tree, names: Names) -> Tree:
    made: Tree = _Replaced(names).visit(copy.deepcopy(tree))
    return made


def _bound(target: ast.expr, item: ast.expr) -> dict[str, ast.expr] | None:
    """What the variables of a loop are for one item."""
    match target, item:
        case ast.Name(name), _:
            return {name: item}
        case ((ast.Tuple(targets) | ast.List(targets)), ast.Tuple(items)):
            if len(targets) != len(items):
                return None
            found = [_bound(t, i) for t, i in zip(targets, items, strict=True)]
            known = [names for names in found if names is not None]
            return {k: v for n in known for k, v in n.items()} if known == found else None
    return None


def _is_chain(loop: ast.For) -> bool:
    """Whether the rounds of a loop do nothing but run one after the other, with these variables."""
    inside = [node for statement in loop.body for node in ast.walk(statement)]
    jumps = any(isinstance(node, ast.Break | ast.Continue) for node in inside)
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    variables = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    return not jumps and not loop.orelse and stored.isdisjoint(variables)


class _Unrolled(ast.NodeTransformer):
    def __init__(self, tree: ast.AST, owner: nn.Module) -> None:
        self.owner = owner
        self.reads = _reads(tree)

    def visit_For(self, node: ast.For) -> Any:
        rounds = self.rounds(node.target, node.iter)
        if rounds is None or not _is_chain(node) or not self.is_needed(node, rounds):
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
        if rounds is None or others or first.ifs or not is_misread(first.iter, self.owner):
            return self.generic_visit(node)
        items = [self.visit(_replaced(node.elt, names)) for names in rounds]
        return ast.copy_location(ast.List(items, ast.Load()), node)

    def visit_Call(self, node: ast.Call) -> Any:
        match node:
            case ast.Call(ast.Name("len"), [value], []) if self.misread(value) is not None:
                return ast.copy_location(ast.Constant(len(self.misread(value) or ())), node)
            case ast.Call(function, [value], []) if self.is_sequential(function):
                found = self.visit(value)
                for item in self.misread(function) or ():
                    found = ast.copy_location(ast.Call(_moved(item, node), [found], []), node)
                return found
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        match node:
            case ast.Subscript(value, ast.Constant(int() as index)):
                items = self.misread(value) or ()
                if -len(items) <= index < len(items):
                    return _moved(items[index], node)
        return self.generic_visit(node)

    def rounds(self, target: ast.expr, iterated: ast.expr) -> list[dict[str, ast.expr]] | None:
        found = items_of(iterated, self.owner)
        bound = [] if found is None else [_bound(target, item) for item in found.items]
        known = [names for names in bound if names is not None]
        return None if found is None or len(known) < len(bound) else known

    def is_needed(self, loop: ast.For, rounds: Sequence[Names]) -> bool:
        written = (_replaced(s, names) for names in rounds[:1] for s in loop.body)
        return any(is_misread(node, self.owner) for node in (loop.iter, *written))

    def misread(self, node: ast.expr) -> tuple[ast.expr, ...] | None:
        found = items_of(node, self.owner) if is_misread(node, self.owner) else None
        return None if found is None or found.kind == "iterator" else found.items

    def is_sequential(self, node: ast.expr) -> bool:
        found = items_of(node, self.owner) if is_misread(node, self.owner) else None
        return found is not None and found.kind == "Sequential"


def _reads(tree: ast.AST) -> Counter[str]:
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Counter(node.id for node in names if isinstance(node.ctx, ast.Load))


def unroll(tree: ast.AST, owner: nn.Module) -> None:
    """Write loops over slices and the like out, in place: with the modules one by one."""
    _Unrolled(tree, owner).visit(tree)
