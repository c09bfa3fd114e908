"""The modules that expressions of the source certainly are: ``self.blocks[0].head``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.hiding import item
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.stored import is_stored

__all__ = [
    "Items",
    "class_of",
    "counted",
    "holds_no_module",
    "is_misread",
    "items_of",
    "module_at",
    "number_of",
]

_LISTS: tuple[type[nn.Module], ...] = (nn.ModuleList, nn.Sequential)
_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Items:
    """What an expression has one after the other, each as an expression.

    Attributes:
        kind: what Python makes of the whole: ``ModuleList``, ``Sequential``, ``list``, ``view``,
            ``iterator``.
        items: modules, or tuples with modules.
    """

    kind: str
    items: tuple[ast.expr, ...]


def module_at(node: ast.expr, owner: nn.Module) -> nn.Module | None:
    """The module that an expression of a method of ``owner`` is, if that is certain."""
    match node:
        case ast.Name("self"):
            return owner
        case ast.Call(ast.Name("getattr"), [value, ast.Constant(str() as name)], []):
            parent = module_at(value, owner)
            return None if parent is None else parent._modules.get(name)
        case ast.Attribute(value, name) if (parent := module_at(value, owner)) is not None:
            # Of one that TorchScript has made nothing is looked at.
            return None if is_stored(parent) else parent._modules.get(name)
        case ast.Subscript(value, ast.Constant(key)):
            parent = module_at(value, owner)
            if isinstance(parent, nn.ModuleDict):
                return parent._modules.get(str(key))
            names = list(parent._modules) if isinstance(parent, _LISTS) else []
            if isinstance(key, int) and -len(names) <= key < len(names) and parent is not None:
                return parent._modules[names[key]]
    return None


def holds_no_module(node: ast.expr, owner: nn.Module) -> bool:
    """Whether an expression is an attribute that is there, and that is no module: a tensor, say."""
    match node:
        case ast.Attribute(value, name) if (parent := module_at(value, owner)) is not None:
            if is_stored(parent) or parent._modules.get(name) is not None:
                return False
            homes: tuple[Mapping[str, Any], ...] = (
                vars(parent), parent._parameters, parent._buffers, parent._modules
            )  # fmt: skip
            found = [home[name] for home in homes if name in home]
            return bool(found) and not isinstance(found[0], nn.Module)
    return False


def class_of(module: nn.Module) -> type:
    """The class of a module, or of the one that it stands for."""
    found: type = getattr(type(module), "stands_for", type(module))
    return found


def items_of(node: ast.expr, owner: nn.Module) -> Items | None:
    """What an expression has one after the other, if these certainly are modules."""
    match node:
        case ast.Subscript(value, ast.Slice() as bounds):
            return _sliced(items_of(value, owner), _bounds(bounds, owner))
        case ast.BinOp(left, ast.Add(), right):
            first, second = items_of(left, owner), items_of(right, owner)
            if first is None or second is None or first.kind != second.kind:
                return None
            return Items(first.kind, first.items + second.items)
        case ast.Call(ast.Name(name), arguments, []) if name in _FUNCTIONS:
            return _FUNCTIONS[name](arguments, owner)
        case ast.Call(ast.Attribute(value, "values" | "items" as name), [], []):
            return _of_dict(value, name, owner)
        case ast.List(elements) | ast.Tuple(elements) if elements:
            fits = all(module_at(e, owner) or items_of(e, owner) for e in elements)
            return Items("list", tuple(elements)) if fits else None
    return _of_list(node, owner)


def is_misread(node: ast.AST, owner: nn.Module) -> bool:
    """Whether TorchScript makes something else of an expression that has modules as items."""
    for inner in nodes_of(node):
        match inner:
            case (
                ast.Subscript(_, ast.Slice())
                | ast.BinOp(_, ast.Add())
                | ast.Call(ast.Name("list" | "reversed"))
                | ast.List()
                | ast.Tuple()
            ):
                if items_of(inner, owner) is not None:
                    return True
    return False


def _of_list(node: ast.expr, owner: nn.Module) -> Items | None:
    module = module_at(node, owner)
    for kind in _LISTS:
        if isinstance(module, kind) and _is_plain(type(module), kind):
            called = getattr(type(module), "forward", None) is nn.Sequential.forward
            items = tuple(item(node, index) for index in range(len(module._modules)))
            return Items("Sequential" if called else "ModuleList", items)
    return None


def _is_plain(cls: type, kind: type) -> bool:
    """Whether a slice of the module is made and read as one of ``kind``."""
    names = ("__init__", "__getitem__", "__iter__")
    return all(getattr(cls, name) is getattr(kind, name) for name in names)


def _of_dict(node: ast.expr, view: str, owner: nn.Module) -> Items | None:
    module = module_at(node, owner)
    if not isinstance(module, nn.ModuleDict) or not is_of_torch(type(module)):
        return None
    items = {key: item(node, key) for key in module._modules}
    if view == "values":
        return Items("view", tuple(items.values()))
    return Items("view", tuple(_pair(ast.Constant(k), each, node) for k, each in items.items()))


def _pair(first: ast.expr, second: ast.expr, node: ast.expr) -> ast.expr:
    items = [ast.copy_location(first, node), second]
    return ast.copy_location(ast.Tuple(items, ast.Load()), node)


def _sliced(whole: Items | None, part: slice | None) -> Items | None:
    if whole is None or part is None or whole.kind in ("view", "iterator"):
        return None
    return Items(whole.kind, whole.items[part])


def _only(arguments: list[ast.expr], owner: nn.Module) -> Items | None:
    return items_of(arguments[0], owner) if len(arguments) == 1 else None


def _list(arguments: list[ast.expr], owner: nn.Module) -> Items | None:
    found = _only(arguments, owner)
    return None if found is None else Items("list", found.items)


def _reversed(arguments: list[ast.expr], owner: nn.Module) -> Items | None:
    found = _only(arguments, owner)
    if found is None or found.kind == "iterator":
        return None
    return Items("iterator", found.items[::-1])


def _enumerate(arguments: list[ast.expr], owner: nn.Module) -> Items | None:
    if not 1 <= len(arguments) <= 2 or (found := items_of(arguments[0], owner)) is None:
        return None
    try:
        first = _number(arguments[1], owner) if len(arguments) == 2 else 0
    except LookupError:
        return None
    pairs = (_pair(ast.Constant(i), e, e) for i, e in enumerate(found.items, first or 0))
    return Items("iterator", tuple(pairs))


def _zip(arguments: list[ast.expr], owner: nn.Module) -> Items | None:
    found = [items.items for a in arguments if (items := items_of(a, owner)) is not None]
    if not found or len(found) < len(arguments):
        return None
    rows = (ast.Tuple(list(row), ast.Load()) for row in zip(*found, strict=False))
    return Items("iterator", tuple(ast.copy_location(row, arguments[0]) for row in rows))


_FUNCTIONS = {"list": _list, "reversed": _reversed, "enumerate": _enumerate, "zip": _zip}


def _divides(sign: ast.operator) -> bool:
    return isinstance(sign, ast.FloorDiv | ast.Mod)


def number_of(node: ast.expr, owner: nn.Module) -> int | None:
    """The integer that an expression always is; None if it may be none, or another one later."""
    try:
        return _number(node, owner)
    except LookupError:
        return None


def counted(node: ast.expr, owner: nn.Module) -> range | None:
    """The numbers of a ``range`` of which the bounds are constant."""
    match node:
        case ast.Call(ast.Name("range"), [_, *_] as bounds, []) if len(bounds) <= 3:
            numbers = [number_of(bound, owner) for bound in bounds]
            known = [number for number in numbers if number is not None]
            if len(known) == len(bounds) and known[2:] != [0]:
                return range(*known)
    return None


def _bounds(node: ast.Slice, owner: nn.Module) -> slice | None:
    try:
        return slice(*(_number(bound, owner) for bound in (node.lower, node.upper, node.step)))
    except LookupError:
        return None


def _number(node: ast.expr | None, owner: nn.Module) -> int | None:
    """The integer that an expression always is.

    Raises:
        LookupError: it may not be one, or another one later.
    """
    match node:
        case None | ast.Constant(None):
            return None
        case ast.Constant(value) if type(value) is int:
            return value
        case ast.UnaryOp(ast.USub(), operand) if (number := _number(operand, owner)) is not None:
            return -number
        case ast.BinOp(left, sign, right) if (act := _ARITHMETIC.get(type(sign))) is not None:
            first, second = _number(left, owner), _number(right, owner)
            if first is not None and second is not None and (second or not _divides(sign)):
                return act(first, second)
        case ast.Call(ast.Name("len"), [value], []) if found := items_of(value, owner):
            return len(found.items)
        case ast.Attribute(ast.Name("self"), name) if name in getattr(owner, "__constants__", ()):
            if type(value := getattr(owner, name, None)) is int:
                return value
    raise LookupError(ast.dump(node))
