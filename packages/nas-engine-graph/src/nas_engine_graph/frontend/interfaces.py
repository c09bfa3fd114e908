"""A module of a list by a number that is only known in the run: ``head: Head = self.heads[i]``.

TorchScript takes it for one of an interface. The graph has a call of each, and branches.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from nas_engine_graph.frontend.hiding import item
from nas_engine_graph.frontend.modules import module_at
from nas_engine_graph.frontend.sources import nodes_of
from nas_engine_graph.frontend.variables import value_of

__all__ = ["without_interfaces"]


def without_interfaces(tree: ast.AST, owner: nn.Module, around: Mapping[str, Any]) -> None:
    """Writes calls of each module of a list where one is chosen by a variable, in place.

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
            ) and isinstance(module_at(value, owner), nn.ModuleList):
                chosen.setdefault(name, []).append(node)
    for name, nodes in chosen.items():
        lists = {ast.dump(node.value.value) for node in nodes}  # type: ignore[union-attr]
        if len(lists) == 1 and _is_only_called(tree, name, len(nodes)):
            many = nodes[0].value.value  # type: ignore[union-attr]
            module: Any = module_at(many, owner)
            _Choices(name, many, len(module)).visit(tree)


def _is_only_called(tree: ast.AST, name: str, stores: int) -> bool:
    """Whether a variable is nothing but what is chosen, and what is called."""
    calls = 0
    for node in nodes_of(tree):
        match node:
            case ast.Call(ast.Name(called) | ast.Attribute(ast.Name(called))) if called == name:
                calls += 1
    names = [n for n in nodes_of(tree) if isinstance(n, ast.Name) and n.id == name]
    return len(names) == stores + calls


class _Choices(ast.NodeTransformer):
    def __init__(self, name: str, many: ast.expr, count: int) -> None:
        self.name, self.many, self.count = name, many, count

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """The variable is the number then, for which there has to be a module."""
        self.generic_visit(node)
        match node:
            case ast.AnnAssign(ast.Name(name), _, ast.Subscript(_, index)) if name == self.name:
                text = f"{name} < {-self.count} or {name} >= {self.count}"
                message = f"raise IndexError('index {{}} is out of range'.format({name}))"
                check = ast.parse(f"if {text}:\n    {message}").body
                made = [ast.Assign([node.target], index), *check]
                for inner in (inner for statement in made for inner in nodes_of(statement)):
                    ast.copy_location(inner, node)
                return made
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node.func:
            case ast.Name(name) | ast.Attribute(ast.Name(name)) if name == self.name:
                *first, last = self.calls(node)
                for index, call in reversed(list(enumerate(first))):
                    last = ast.IfExp(self.is_chosen(index, node), call, last)
                    ast.copy_location(last, node)
                return last
        return node

    def calls(self, node: ast.Call) -> Iterator[ast.expr]:
        """The call of each of the modules."""
        for index in range(self.count):
            call = copy.deepcopy(node)
            module = ast.copy_location(item(self.many, index), node)
            if isinstance(call.func, ast.Attribute):
                call.func.value = module
            else:
                call.func = module
            yield call

    def is_chosen(self, index: int, place: ast.expr) -> ast.expr:
        text = f"{self.name} == {index} or {self.name} == {index - self.count}"
        test = ast.parse(text, mode="eval").body
        for inner in nodes_of(test):
            ast.copy_location(inner, place)
        return test
