"""Results of modules that are kept whole, of classes that TorchScript can't read.

Such are the outputs of transformers: dicts with attributes. To TorchScript they may be anything,
without attributes and items: so it is told of each part what the class declares.
"""

from __future__ import annotations

import ast
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, List, Optional  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from nas_engine_graph.frontend.source.mixed import PREFIX, written
from nas_engine_graph.frontend.source.modules import module_at
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["PARTS", "PARTS_BY_NAME", "argument_type", "name_parts", "record_in"]

_UNIONS = (typing.Union, types.UnionType)
_CONTAINERS = (list, tuple, dict, *_UNIONS)
_PLAIN = (bool, int, float, str, type(None), torch.device, torch.dtype)


def argument_type(hint: Any) -> Any:
    """The type of an argument as TorchScript may read it: anything, where it may not."""
    return hint if _is_plain(hint) else Any


def _is_plain(hint: Any) -> bool:
    if typing.get_origin(hint) in _CONTAINERS:
        return all(map(_is_plain, typing.get_args(hint)))
    return hint in _PLAIN or hint is Tensor


def record_in(hint: Any) -> type | None:
    """The class that a result is of, if that is a dict with attributes."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)
    found = (k for k in kinds if isinstance(k, type) and issubclass(k, dict) and k is not dict)
    return next(found, None)


# What these do is of no matter: the graph has the attribute or item instead.
def tensor_part(value: Any, _key: Any, _named: bool) -> Tensor:
    """A part of a value; a tensor to TorchScript."""
    assert isinstance(value, Tensor)
    return value


def optional_part(value: Any, _key: Any, _named: bool) -> Optional[Tensor]:  # noqa: UP045
    """A part of a value; to TorchScript a tensor that may be None."""
    return value if isinstance(value, Tensor) else None


def many_part(value: Any, _key: Any, _named: bool) -> List[Tensor]:  # noqa: UP006
    """A part of a value; a list of tensors to TorchScript."""
    return [value] if isinstance(value, Tensor) else []


def any_part(value: Any, _key: Any, _named: bool) -> Any:
    """A part of a value; anything to TorchScript."""
    return value


PARTS = frozenset({tensor_part, optional_part, many_part, any_part})
"""What the graph has as the attribute or item of a value."""
PARTS_BY_NAME = {f"{PREFIX}{function.__name__}": function for function in PARTS}


def name_parts(tree: ast.AST, owner: nn.Module) -> None:
    """Say of what type the parts of such results are, in place.

    Args:
        tree: a method.
        owner: its module; modules that are kept whole have the class of what they give.
    """
    if any(hasattr(type(child), "gives") for child in owner.modules()):
        _Parts(tree, owner).visit(tree)


class _Parts(Rewriter):
    def __init__(self, tree: ast.AST, owner: nn.Module) -> None:
        self.owner = owner
        self.variables: dict[str, type] = {}
        nodes = nodes_of(tree)
        self.asked = {node.id for compared in nodes for node in _asked_for_none(compared)}
        self.variables = dict(self.assigned(nodes))

    def assigned(self, nodes: list[ast.AST]) -> Iterator[tuple[str, type]]:
        """The variables that are such results, and nothing else."""
        stored = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for node in nodes:
            match node:
                case ast.Assign([ast.Name(name)], value) if stored.count(name) == 1:
                    if (kind := self.record(value)) is not None:
                        yield name, kind

    def record(self, node: ast.expr) -> type | None:
        match node:
            case ast.Name(name):
                return self.variables.get(name)
            case ast.Call(called):
                return getattr(type(module_at(called, self.owner)), "gives", None)
        return None

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self.part(node, False) or self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return self.part(node, False) or self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        asks = any(isinstance(v, ast.Constant) and v.value is None for v in node.comparators)
        node.left = (self.part(node.left, True) if asks else None) or self.visit(node.left)
        node.comparators = [self.visit(value) for value in node.comparators]
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        asked = [t for t in node.targets if isinstance(t, ast.Name) and t.id in self.asked]
        node.value = self.part(node.value, bool(asked)) or self.visit(node.value)
        return node

    def part(self, node: ast.expr, may_be_none: bool) -> ast.expr | None:
        """The attribute or item that an expression is of such a result."""
        match node:
            case ast.Attribute(value, name, ast.Load()) if kind := self.record(value):
                key: Any = name
            case ast.Subscript(value, ast.Constant(int() | str() as key), ast.Load()) if (
                kind := self.record(value)
            ):
                pass
            case _:
                return None
        found = _function(_declared(kind, key), may_be_none)
        named = ast.copy_location(ast.Constant(isinstance(node, ast.Attribute)), node)
        at = ast.copy_location(ast.Constant(key), node)
        made: ast.expr = self.visit(value)
        return written(found, made, at, named)


def _asked_for_none(node: ast.AST) -> list[ast.Name]:
    match node:
        case ast.Compare(ast.Name() as asked, [ast.Is() | ast.IsNot()], [ast.Constant(None)]):
            return [asked]
    return []


def _declared(kind: type, key: int | str) -> Any:
    """What a class declares of an attribute or item: of a number the one in this place."""
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, TypeError):
        return Tensor
    if isinstance(key, str):
        return hints.get(key, Any)
    return [*hints.values(), Tensor][min(key, len(hints))] if key >= 0 else Tensor


def _function(hint: Any, may_be_none: bool) -> Callable[..., Any]:
    kinds = typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)
    kind, *others = [k for k in kinds if k is not type(None)] or [Any]
    if others:
        return any_part
    if isinstance(kind, type) and issubclass(kind, Tensor):
        return optional_part if may_be_none and len(kinds) > 1 else tensor_part
    items = typing.get_args(kind)
    of_tensors = [k for k in items if isinstance(k, type) and issubclass(k, Tensor)]
    if typing.get_origin(kind) in (list, tuple) and of_tensors and not may_be_none:
        return many_part
    return any_part
