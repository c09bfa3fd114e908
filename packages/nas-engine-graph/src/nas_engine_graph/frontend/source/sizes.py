"""The expressions of a method that certainly are a ``torch.Size``: TorchScript has tuples there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from nas_engine_graph.frontend.source.modules import module_at
from nas_engine_graph.frontend.source.signatures import declared_of
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["beside_tuples", "given_as_tuples", "only_returns", "sizes"]


def sizes(nodes: Iterable[ast.AST], owner: nn.Module) -> set[int]:
    """The ids of the expressions in a method with these nodes that are a ``torch.Size``."""
    search = _Search(nodes, owner)
    return {id(node) for node in nodes if search.is_size(node)}


def given_as_tuples(node: ast.Call, around: Mapping[str, Any], owner: Any) -> Iterator[int]:
    """Which arguments of a call are written as ``torch.Size(...)``, where a tuple is declared."""
    at = [i for i, argument in enumerate(node.args) if _is_new_size(argument)]
    declared = declared_of(node, around, owner) if at else []
    yield from (i for i in at if "uple[" in "".join(map(str, declared[i : i + 1])))


def beside_tuples(nodes: Iterable[ast.AST]) -> set[int]:
    """The ids of calls of ``torch.Size`` for a variable or result that may be a tuple, too."""
    values: dict[str, list[ast.expr]] = {}
    for node in nodes:
        for name, value in (("", node.value),) if isinstance(node, ast.Return) else _pairs(node):
            values.setdefault(name, []).extend([] if value is None else [value])
    mixed = (found for found in values.values() if any(isinstance(v, ast.Tuple) for v in found))
    return {id(value) for found in mixed for value in found if _is_new_size(value)}


def _pairs(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The variables that an assignment sets, each with its value."""
    match node:
        case ast.Assign([ast.Name(name)], value):
            yield name, value
        case ast.Assign([ast.Tuple(targets)], ast.Tuple(items)) if len(targets) == len(items):
            for target, item in zip(targets, items, strict=True):
                if isinstance(target, ast.Name):
                    yield target.id, item


def _is_new_size(node: ast.expr) -> bool:
    match node:
        case ast.Call(function, [_], []):
            return ast.unparse(function) == "torch.Size"
    return False


def only_returns(nodes: Iterable[ast.AST], found: set[int]) -> bool:
    """Whether a function declares no type of its result, and returns nothing but what was found."""
    returned = [node.value for node in nodes if isinstance(node, ast.Return)]
    declared = any(isinstance(node, ast.FunctionDef) and node.returns for node in nodes)
    return not declared and bool(returned) and all(id(value) in found for value in returned)


class _Search:
    def __init__(self, nodes: Iterable[ast.AST], owner: nn.Module) -> None:
        self.owner = owner
        self.values: dict[str, list[ast.expr | None]] = {}
        for node in nodes:
            for name, value in _assigned(node):
                self.values.setdefault(name, []).append(value)

    def is_size(self, node: ast.AST | None) -> bool:
        match node:
            case ast.Name(name) if values := self.values.pop(name, None):
                # Not itself: what is made of itself is made of the others.
                found = all(map(self.is_size, values))
                self.values[name] = values
                return found
            case ast.Attribute(value, name):
                module = module_at(value, self.owner)
                return module is not None and isinstance(vars(module).get(name), torch.Size)
            case ast.Subscript(value, ast.Slice()) | ast.BinOp(value, ast.Mult()):
                return self.is_size(value)
            case ast.BinOp(left, ast.Add(), right):
                return self.is_size(left) or self.is_size(right)
        return False


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """The variables that a node sets, each with its value; None for one that is not known."""
    match node:
        case ast.Assign([ast.Name(name)], value):
            yield name, value
        case ast.arg(name):
            yield name, None
        case ast.Assign(targets):
            names = (n for t in targets for n in nodes_of(t) if isinstance(n, ast.Name))
            yield from ((n.id, None) for n in names)
        case (
            ast.AugAssign(target)
            | ast.AnnAssign(target)
            | ast.For(target)
            | ast.comprehension(target)
            | ast.NamedExpr(target)
        ):
            yield from ((n.id, None) for n in nodes_of(target) if isinstance(n, ast.Name))
