"""What the methods of a class do with attributes, read from their sources."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import nn

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.sources import nodes_of, readable
from nas_engine_graph.ir import RESETTING

__all__ = [
    "asked", "assigned", "empty", "literals", "looped", "named", "opened", "spreads", "unrolls",
]  # fmt: skip

_OF_ALL = frozenset(vars(nn.Module()))
_FIRST = ("forward", "__call__", *RESETTING)
"""The methods that PyTorch calls."""


@dataclass(frozen=True, slots=True)
class _Method:
    """What a method does with attributes.

    Attributes:
        stored: those that it assigns.
        open: those that it uses otherwise than to go through them in loops.
        mentioned: all of them, and what texts may name.
        asked: those that may be of a module, each after the attribute that has the module, which is
            empty for the module itself, and where it is not known.
        literal: those whose numbers become part of the source: beside ``**`` and in bounds.
        unrolled: whether there may be loops that are written out for each module of a list.
        spreads: whether it writes out tuples as arguments, as ``f(*size)`` does.
        inherits: whether it may call methods that the class overrides.
    """

    stored: frozenset[str]
    open: frozenset[str]
    mentioned: frozenset[str]
    asked: frozenset[tuple[str, str]]
    literal: frozenset[str]
    unrolled: bool
    spreads: bool
    inherits: bool


@lru_cache(maxsize=4096)
def _methods(cls: type) -> dict[str, tuple[_Method, ...]]:
    """The methods by their names, with those that they override if these are called, too."""
    found: dict[str, list[_Method]] = {}
    for base in cls.__mro__:
        if is_of_torch(base) or base is object:
            continue
        for name, member in vars(base).items():
            function = member.fget if isinstance(member, property) else member
            if name == "__init__" or not inspect.isfunction(function):
                continue
            if (tree := readable(function)) is not None:
                found.setdefault(name, []).append(_method(tree))
    inherits = any(method.inherits for methods in found.values() for method in methods)
    return {name: tuple(methods[: None if inherits else 1]) for name, methods in found.items()}


def _all(cls: type) -> Iterator[_Method]:
    for methods in _methods(cls).values():
        yield from methods


def _method(tree: ast.AST) -> _Method:
    nodes = nodes_of(tree)
    found = dict[type, list[Any]]()
    for node in nodes:
        found.setdefault(type(node), []).append(node)

    def of(*kinds: type) -> list[Any]:
        return [node for kind in kinds for node in found.get(kind, ())]

    attributes, calls = of(ast.Attribute), of(ast.Call)
    constants = (node.value for node in of(ast.Constant))
    texts = {value for value in constants if isinstance(value, str) and value.isidentifier()}
    others = _others(of(ast.FunctionDef, ast.Assign))
    owners = ((_owner(node.value, others), node.attr) for node in attributes)
    literal = [node for node in of(ast.BinOp, ast.AugAssign) if isinstance(node.op, ast.Pow)]
    bounds = [*of(ast.Slice), *filter(_counts, (*calls, *of(ast.Subscript)))]
    loops = of(ast.For, ast.comprehension)
    gone_through = set(map(id, filter(None, map(looped, loops))))
    return _Method(
        frozenset(
            {
                *(node.attr for node in attributes if isinstance(node.ctx, ast.Store)),
                *filter(None, map(_set_by_name, calls)),
            }
        ),
        frozenset(node.attr for node in attributes if id(node) not in gone_through) | texts,
        frozenset({*(node.attr for node in attributes), *texts}),
        frozenset(
            {
                *((owner, name) for owner, name in owners if owner is not None),
                *(("", text) for text in texts),
            }
        ),
        frozenset(
            inner.attr
            for node in (*literal, *bounds)
            for inner in nodes_of(node)
            if isinstance(inner, ast.Attribute)
        ),
        bool(bounds) or not all(map(_is_plain, loops)),
        ast.Starred in found,
        any(map(_inherits, (*calls, *of(ast.Name)))),
    )


def _set_by_name(call: ast.Call) -> str | None:
    """The attribute that ``setattr`` sets."""
    match call:
        case ast.Call(ast.Name("setattr"), [_, ast.Constant(str() as name), _], []):
            return name
    return None


def _others(nodes: list[ast.AST]) -> set[str]:
    """The variables that are no modules: arguments, and what is computed."""
    found: set[str] = set()
    for node in nodes:
        match node:
            case ast.FunctionDef():
                arguments = [*node.args.posonlyargs, *node.args.args][1:]
                found |= {argument.arg for argument in (*arguments, *node.args.kwonlyargs)}
            case ast.Assign([ast.Name(name)], ast.Call() | ast.BinOp()):
                found.add(name)
    return found


def _owner(node: ast.expr, others: set[str]) -> str | None:
    """The attribute that has the module that an expression may be; None if it is no module."""
    match node:
        case ast.Name(name):
            return None if name in others else ""
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(value):
            return _owner(value, others)
        case ast.Call(ast.Name("super" | "getattr")):
            return ""
    return None


def looped(loop: ast.For | ast.comprehension) -> ast.Attribute | None:
    """The attribute whose items, values or keys a loop goes through."""
    match loop.iter:
        case ast.Call(
            ast.Attribute(ast.Attribute() as found, "values" | "items" | "keys"), [], []
        ) | (ast.Attribute() as found):
            return found
    return None


def _counts(node: ast.AST) -> bool:
    """Whether numbers choose modules: of a range, or computed for an index."""
    match node:
        case ast.Call(ast.Name("range" | "isinstance")):
            return True
        case ast.Subscript(ast.Attribute(), ast.BinOp() | ast.Call()):
            return True
    return False


def _is_plain(loop: ast.For | ast.comprehension) -> bool:
    """Whether a loop is over what a variable or attribute is, with one variable."""
    return isinstance(loop.iter, ast.Name | ast.Attribute) and isinstance(loop.target, ast.Name)


def _inherits(node: ast.AST) -> bool:
    match node:
        case ast.Name("super") | ast.Call(ast.Attribute(), [ast.Name("self"), *_]):
            return True
    return False


def literals(cls: type) -> list[str]:
    """The attributes whose numbers become part of the source of some method."""
    return sorted({name for method in _all(cls) for name in method.literal})


def unrolls(cls: type) -> bool:
    """Whether the source of some method may depend on the lists of modules of an instance."""
    return any(method.unrolled for method in _all(cls))


def spreads(cls: type) -> bool:
    """Whether some method writes out tuples as arguments."""
    return any(method.spreads for method in _all(cls))


def assigned(classes: set[type]) -> frozenset[str]:
    """The attributes that are assigned by any method that PyTorch calls, or comes to from there."""
    reached = _reached(classes, _FIRST)
    return frozenset(name for method in reached for name in method.stored)


def empty(modules: Iterable[nn.Module]) -> frozenset[str]:
    """The names of attributes that are empty lists or dicts wherever there are any."""
    found, others = set[str](), set[str]()
    for module in modules:
        for name in vars(module).keys() - _OF_ALL:
            value = vars(module)[name]
            (found if isinstance(value, list | dict) and not value else others).add(name)
    return frozenset(found - others)


def opened(classes: set[type]) -> frozenset[str]:
    """The attributes that methods may change which PyTorch comes to, or hand on."""
    reached = _reached(classes, _FIRST)
    return frozenset(name for method in reached for name in method.open)


def named(classes: set[type]) -> frozenset[str]:
    """The attributes that are mentioned on the way of a call of any module."""
    return frozenset(name for method in _called(classes) for name in method.mentioned)


def asked(modules: Iterable[nn.Module]) -> frozenset[str]:
    """Those that may be asked of a module on the way of a call of any of these."""
    known = list(modules)
    homes = {"", *(name for module in known for name in module._modules)}
    called = _called(set(map(type, known)))
    return frozenset(name for method in called for home, name in method.asked if home in homes)


def _called(classes: set[type]) -> Iterator[_Method]:
    special = {name for cls in classes for name in _methods(cls) if name.startswith("__")}
    return _reached(classes, ("forward", *special))


def _reached(classes: set[type], first: Iterable[str]) -> Iterator[_Method]:
    """The methods to which one may come from these names."""
    methods: dict[str, list[_Method]] = {}
    for cls in classes:
        for name, found in _methods(cls).items():
            methods.setdefault(name, []).extend(found)
    waiting = list(first)
    seen = set(waiting)
    while waiting:
        for method in methods.get(waiting.pop(), ()):
            yield method
            waiting += [name for name in method.mentioned if name in methods and name not in seen]
            seen |= method.mentioned
