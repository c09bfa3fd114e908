"""What the methods of a class may learn of its instances, read from their source.

The graph of a method depends on no more than that: on attributes that it names, and on children as
far as it looks into them. Whatever the source does not show plainly counts as looked into.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import nn

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.sources import nodes_of, parsed
from nas_engine_graph.frontend.source.supers import method_name
from nas_engine_graph.memory.uses import Origin, Uses

__all__ = ["Reading", "UnreadableError", "reading_of"]

# How calls, loops and registration work is no matter of one module. What a layer inherits is.
_WITHOUT = (object, nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)
_DYNAMIC = frozenset({"__getattr__", "__getattribute__"})
# Python calls these, compiled code never does.
_SILENT = frozenset(
    {"__init__", "__new__", "__init_subclass__", "__class_getitem__", "__repr__", "__str__",
     "__setattr__", "__delattr__", "__dir__", "__getstate__", "__setstate__", "__reduce__",
     "__reduce_ex__", "__copy__", "__deepcopy__", "__del__", "__post_init__", "extra_repr"}
)  # fmt: skip


class UnreadableError(ValueError):
    """A method has no source."""


@dataclass(frozen=True)
class Reading:
    """What the methods of one class may learn.

    Attributes:
        methods: those that were read; others are only run by the constructor.
        names: of attributes, of its own and of others.
        stored: the attributes that a method sets.
        keywords: the names of arguments in calls.
        opened: the children that are looked into, not just called or iterated over.
        iterated: the children whose items are called, and those whose items' items are, ...
        walks: whether the module itself is handed on or iterated over.
        variables: what finds the values of the global and enclosing variables.
    """

    methods: frozenset[str]
    names: frozenset[str]
    stored: frozenset[str]
    keywords: frozenset[str]
    opened: frozenset[str]
    iterated: frozenset[Origin]
    walks: bool
    variables: tuple[_Variables, ...]


@dataclass(frozen=True, eq=False)
class _Variables:
    """The variables of one function, and where their values are."""

    names: tuple[str, ...]
    scope: Mapping[str, Any]
    cells: Mapping[str, types.CellType]

    def values(self) -> Iterator[tuple[str, Any]]:
        for name in self.names:
            if name in self.cells:
                try:
                    yield name, self.cells[name].cell_contents
                except ValueError:  # Still empty.
                    continue
            elif name in self.scope:
                yield name, self.scope[name]


def _functions(cls: type) -> Iterator[tuple[str, types.FunctionType, bool]]:
    """The functions of a class and of those it inherits from, and whether they take an instance."""
    for base in cls.__mro__:
        if base in _WITHOUT:
            continue
        for name, member in vars(base).items():
            bound = not isinstance(member, staticmethod)
            found = [member.fget, member.fset] if isinstance(member, property) else [member]
            for function in filter(None, found):
                plain: Any = inspect.unwrap(getattr(function, "__func__", function))
                if inspect.isfunction(plain):
                    yield name, plain, bound


def _overridden(cls: type) -> Iterator[str]:
    """What the methods are called that it overrides."""
    for base in cls.__mro__[1:]:
        yield from (method_name(name, base) for name in vars(base))


def _attributes(function: types.FunctionType) -> frozenset[str]:
    return frozenset(n.attr for n in nodes_of(_tree(function)) if isinstance(n, ast.Attribute))


def _methods(cls: type) -> list[tuple[str, types.FunctionType, bool]]:
    """What TorchScript may read: all but what only the constructor runs, or nobody."""
    found = [f for f in _functions(cls) if f[0] not in _SILENT]
    setup: set[str] = set()
    for name, function, _ in _functions(cls):
        setup |= _attributes(function) if name == "__init__" else set()
    waiting = [name for name, _, _ in found if name not in setup]
    wanted = set(waiting)
    while waiting:
        name = waiting.pop()
        for other, function, _ in found:
            if other == name:
                new = _attributes(function) - wanted
                wanted |= new
                waiting += new
    return [f for f in found if f[0] in wanted]


@lru_cache(maxsize=4096)
def _tree(function: types.FunctionType) -> ast.AST:
    try:
        return parsed(function)
    except (OSError, SyntaxError, TypeError) as error:
        raise UnreadableError(function.__qualname__) from error


def _variables(function: types.FunctionType, seen: set[Any]) -> Iterator[_Variables]:
    """The variables of a function, and of those of the user's that it may call."""
    if function in seen:
        return
    seen.add(function)
    names = {n.id for n in nodes_of(_tree(function)) if isinstance(n, ast.Name)}
    free = function.__code__.co_freevars
    cells = dict(zip(free, function.__closure__ or (), strict=True))
    used = tuple(sorted(n for n in names if n in function.__globals__ or n in cells))
    found = _Variables(used, function.__globals__, cells)
    yield found
    for _, value in found.values():
        inner = inspect.unwrap(value) if callable(value) else value
        if inspect.isfunction(inner) and not is_of_torch(inner):
            yield from _variables(inner, seen)


def reading_of(cls: type[nn.Module]) -> Reading:
    """What the methods of a class may learn.

    Raises:
        UnreadableError: one of them has no source, or attributes are made as they are asked for.
    """
    read: Any = _read
    found: Reading = read(cls)
    return found


@lru_cache(maxsize=4096)
def _read(cls: Any) -> Reading:
    names: set[str] = set()
    stored: set[str] = set()
    keywords: set[str] = set()
    opened: set[str] = set()
    iterated: set[Origin] = set()
    walks, seen = False, set[Any]()
    variables: list[_Variables] = []
    methods = _methods(cls)
    if any(name in _DYNAMIC for name, _, _ in methods):
        raise UnreadableError(cls.__qualname__)
    for _, function, bound in methods:
        tree = _tree(function)
        for node in nodes_of(tree):
            match node:
                case ast.Attribute(attr=name, ctx=context):
                    names.add(name)
                    if not isinstance(context, ast.Load):
                        stored.add(name)
                case ast.Constant(str(text)):
                    names |= {text} if text.isidentifier() else set()
                case ast.keyword(arg=str(name)):
                    keywords.add(name)
        arguments = (node.arg for node in nodes_of(tree) if isinstance(node, ast.arg))
        uses = Uses(next(arguments, "") if bound else "")
        uses.read(tree)
        opened |= uses.opened
        iterated |= uses.iterated
        walks |= uses.walks
        variables += _variables(function, seen)
    return Reading(
        frozenset(name for name, _, _ in methods) | {"forward", *_overridden(cls)},
        frozenset(names),
        frozenset(stored),
        frozenset(keywords),
        frozenset(opened),
        frozenset(iterated),
        walks,
        tuple(variables),
    )
