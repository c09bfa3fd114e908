"""A module of a list or dict by what is only known in the run: ``head: Head = self.heads[i]``.

TorchScript takes it for one of an interface. The graph has a call of each, and branches.
"""

from __future__ import annotations

import ast
import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import nn

from nas_engine_graph.frontend.source.hiding import item
from nas_engine_graph.frontend.source.modules import module_at
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import value_of

__all__ = ["without_interfaces"]


def without_interfaces(tree: ast.AST, owner: nn.Module, around: Mapping[str, Any]) -> None:
    """Writes calls of each module of a list or dict where one is chosen by a variable, in place.

    Args:
        tree: the source of a method.
        owner: the module that it is a method of.
        around: the variables around it.
    """
    chosen: dict[str, list[ast.AnnAssign]] = {}
    for node in nodes_of(tree):
        match node:
            case ast.AnnAssign(ast.Name(name), kind, ast.Subscript(value)) if hasattr(
                value_of(kind, around), "__torch_script_interface__"
            ) and isinstance(module_at(value, owner), nn.ModuleList | nn.ModuleDict):
                chosen.setdefault(name, []).append(node)
    for name, nodes in chosen.items():
        lists = {ast.dump(node.value.value) for node in nodes}  # type: ignore[union-attr]
        if len(lists) == 1 and _is_only_called(tree, name, len(nodes)):
            many = nodes[0].value.value  # type: ignore[union-attr]
            module: Any = module_at(many, owner)
            choices = _OfDict if isinstance(module, nn.ModuleDict) else _OfList
            choices(name, many, module).visit(tree)


def _is_only_called(tree: ast.AST, name: str, stores: int) -> bool:
    """Whether a variable is nothing but what is chosen, and what is called."""
    calls = 0
    for node in nodes_of(tree):
        match node:
            case ast.Call(ast.Name(called) | ast.Attribute(ast.Name(called))) if called == name:
                calls += 1
    names = [n for n in nodes_of(tree) if isinstance(n, ast.Name) and n.id == name]
    return len(names) == stores + calls


class _Choices(Rewriter, ABC):
    """What becomes of a variable: it is the number or name of the module then."""

    def __init__(self, name: str, many: ast.expr, module: Any) -> None:
        self.name, self.many, self.count = name, many, len(module)
        self.keys: list[Any] = list(
            module.keys() if isinstance(module, nn.ModuleDict) else range(len(module))
        )

    @abstractmethod
    def check(self) -> str:
        """Statements that refuse what no module is for, as Python does."""

    @abstractmethod
    def is_chosen(self, key: Any) -> str:
        """The question whether it is the module of this number or name."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        self.generic_visit(node)
        match node:
            case ast.AnnAssign(ast.Name(name), _, ast.Subscript(_, index)) if name == self.name:
                made = [ast.Assign([node.target], index), *ast.parse(self.check()).body]
                for inner in (inner for statement in made for inner in nodes_of(statement)):
                    ast.copy_location(inner, node)
                return made
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node.func:
            case ast.Name(name) | ast.Attribute(ast.Name(name)) if name == self.name:
                *first, last = self.keys
                made = self.call(node, last)
                for key in reversed(first):
                    made = ast.IfExp(self.question(key, node), self.call(node, key), made)
                    ast.copy_location(made, node)
                return made
        return node

    def call(self, node: ast.Call, key: Any) -> ast.expr:
        """The call of one of the modules."""
        call = copy.deepcopy(node)
        module = ast.copy_location(item(self.many, key), node)
        if isinstance(call.func, ast.Attribute):
            call.func.value = module
        else:
            call.func = module
        return call

    def question(self, key: Any, place: ast.expr) -> ast.expr:
        test = ast.parse(self.is_chosen(key), mode="eval").body
        for inner in nodes_of(test):
            ast.copy_location(inner, place)
        return test


class _OfList(_Choices):
    def check(self) -> str:
        name, count = self.name, self.count
        raising = f"raise IndexError('index {{}} is out of range'.format({name}))"
        return f"if {name} < {-count} or {name} >= {count}:\n    {raising}"

    def is_chosen(self, key: int) -> str:
        return f"{self.name} == {key} or {self.name} == {key - self.count}"


class _OfDict(_Choices):
    def check(self) -> str:
        return f"if {self.name} not in {self.keys}:\n    raise KeyError({self.name})"

    def is_chosen(self, key: str) -> str:
        return f"{self.name} == {key!r}"
