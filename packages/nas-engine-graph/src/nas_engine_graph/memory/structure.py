"""What the graphs of a module's methods depend on, as a value that two modules may share."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nas_engine_graph.frontend.objects import is_object
from nas_engine_graph.frontend.stored import has_forward, is_stored
from nas_engine_graph.ir import key
from nas_engine_graph.memory.reading import Reading, UnreadableError, reading_of

__all__ = ["Key", "Same", "Schema", "Structure", "UnknownError", "exact"]

Key: TypeAlias = Any
"""A hashable value that is compared, and never looked into."""

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_TORCH_OWN = frozenset(vars(nn.Module()))
_DATA = (torch.dtype, torch.device, torch.layout, torch.memory_format, enum.Enum)
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_MISSING = object()


class UnknownError(LookupError):
    """TorchScript has yet to read a module like this one."""


@dataclass(frozen=True, eq=False)
class Same:
    """Equal for the very same object, which it keeps alive."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@dataclass(frozen=True)
class Schema:
    """How a module is called: name, type and whether it may be left out, for each argument."""

    arguments: tuple[tuple[str, str, bool], ...]
    returns: str

    @property
    def plain(self) -> bool:
        """Whether only the types matter to a caller, and they mean one thing everywhere."""
        kinds = [self.returns, *(kind for _, kind, _ in self.arguments)]
        optional = any(may for _, _, may in self.arguments)
        return not optional and not any("int" in kind or "__torch__" in kind for kind in kinds)


def exact(value: Any, other: Callable[[Any], Key] = Same) -> Key:
    """Equal for values that are equal in type and content.

    Args:
        value: constants, what can be imported, and lists, tuples and dicts of such.
        other: stands for anything else.

    >>> exact([1, (2.0,)]) == exact([1, (2,)])
    False
    """
    match value:
        case None | bool() | int() | float() | str() | complex():
            return (type(value), key(value))
        case list() | tuple():
            return (type(value), *(exact(item, other) for item in value))
        case dict():
            pairs = ((exact(k, other), exact(v, other)) for k, v in value.items())
            return (type(value), *pairs)
        case _ if isinstance(value, _DATA):
            return (type(value), value)
        case _ if isinstance(value, _NAMED):
            return value
        case _:
            return other(value)


def _kind(value: Any) -> Key:
    """Equal for values of one type, as far as a compiler could tell them apart."""
    match value:
        case list():
            return (list, *dict.fromkeys(map(_kind, value)))
        case dict():
            return (dict, *dict.fromkeys((_kind(k), _kind(v)) for k, v in value.items()))
        case tuple():
            return (type(value), *map(_kind, value))
        case None | bool() | int() | float() | str() | complex() | Tensor():
            return type(value)
        case _ if is_object(value):
            return type(value)
        case _:
            return exact(value)


def _is_fixed(cls: type, name: str) -> bool:
    """Whether the class declares that the attribute never changes: then its content counts."""
    return name in getattr(cls, "__constants__", ()) or any(
        "Final" in str(vars(base).get("__annotations__", {}).get(name, "")) for base in cls.__mro__
    )


def _fact(cls: type, name: str, value: Any) -> Key:
    mutable = isinstance(value, list | dict | Tensor) or is_object(value)
    return _kind(value) if mutable and not _is_fixed(cls, name) else exact(value)


def _tensors(module: nn.Module) -> Key:
    """Which parameters and buffers there are: a module may be a list of them."""
    return tuple(
        (name, tensor is None)
        for tensors in (module._parameters, module._buffers)
        for name, tensor in tensors.items()
    )


def _facts(module: nn.Module, names: Iterable[str]) -> Iterator[Key]:
    """What is known of the attributes of these names that are no modules."""
    own, parameters, buffers = vars(module), module._parameters, module._buffers
    for name in names:
        if name in own and name not in _TORCH_OWN:
            yield name, _fact(type(module), name, own[name])
        elif name in parameters or name in buffers:
            continue  # All of them are looked at, whoever names them.
        elif module._modules.get(name, _MISSING) is None:
            yield name, None
        else:
            value = getattr(type(module), name, _MISSING)
            if value is not _MISSING and not callable(value) and not isinstance(value, property):
                yield name, exact(value)


class Structure:
    """The structures of the modules of one model.

    Args:
        opaque: whether calls of a module stay calls, whatever is in it.
        schema: how a module of this structure is called; ``UnknownError`` if nobody knows.
    """

    def __init__(
        self,
        opaque: Callable[[nn.Module], bool],
        schema: Callable[[Key], Schema],
    ) -> None:
        self._opaque, self._schema = opaque, schema
        self._keys: dict[int, Key] = {}
        self._values: dict[type, Key] = {}
        self._schemas: dict[int, Schema] = {}

    def of(self, module: nn.Module) -> Key:
        """What the graphs of its methods depend on.

        Raises:
            UnknownError: a child has to be read first.
            UnreadableError: a method of its class has no source.
        """
        if id(module) not in self._keys:
            self._keys[id(module)] = self._made(module)
        return self._keys[id(module)]

    def _made(self, module: nn.Module) -> Key:
        cls = type(module)
        if is_stored(module):
            raise UnreadableError(cls.__qualname__)  # All are of one class.
        if self._opaque(module):
            # The types that a layer takes and gives depend on its class, and on this one flag.
            return ("layer", cls, bool(getattr(module, "return_indices", False)))
        if cls in _CONTAINERS:
            return ("container", cls, *self._called_items(module, frozenset()))
        reading = reading_of(cls)
        names = sorted(reading.names)
        return (
            "module",
            cls,
            _tensors(module),
            tuple(_facts(module, names)),
            tuple(self._children(module, reading)),
            self._variables(cls, reading),
        )

    def _variables(self, cls: type, reading: Reading) -> Key:
        if cls not in self._values:
            self._values[cls] = tuple(
                (name, exact(value))
                for found in reading.variables
                for name, value in found.values()
            )
        return self._values[cls]

    def _children(self, module: nn.Module, reading: Reading) -> Iterator[Key]:
        everything = reading.walks or isinstance(module, _CONTAINERS)
        for name, child in module._modules.items():
            if child is None or not (everything or name in reading.names):
                continue
            if everything or name in reading.opened:
                yield name, self._open(child, reading)
            else:
                yield name, self._reached(child, reading, name, 0)

    def _reached(self, child: nn.Module, reading: Reading, name: str, depth: int) -> Key:
        """A child that is called, or whose items are, as often as the methods iterate."""
        if (name, depth) not in reading.iterated or self._opaque(child):
            return self._called(child, reading.keywords)
        if type(child) not in _CONTAINERS:
            return self._open(child, reading)
        items = [
            (position, inner and self._reached(inner, reading, name, depth + 1))
            for position, inner in child._modules.items()
        ]
        return ("items", type(child), self._called(child, reading.keywords), *items)

    def _called_items(self, module: nn.Module, keywords: frozenset[str]) -> Iterator[Key]:
        for name, child in module._modules.items():
            yield name, child and self._called(child, keywords)

    def _called(self, module: nn.Module, keywords: frozenset[str]) -> Key:
        """All that a caller sees of a module that it only calls."""
        schema = self.schema(module)
        if schema is None or not schema.plain:
            return ("called", type(module), schema, self.of(module))
        arguments = [(kind, name if name in keywords else "") for name, kind, _ in schema.arguments]
        return ("called", *arguments, schema.returns)

    def schema(self, module: nn.Module) -> Schema | None:
        """How the module is called; None if it can't be."""
        if not has_forward(module):
            return None
        if id(module) not in self._schemas:
            self._schemas[id(module)] = self._schema(self.of(module))
        return self._schemas[id(module)]

    def _open(self, module: nn.Module, reading: Reading) -> Key:
        """All that methods of this reading could find in a module."""
        facts = tuple(_facts(module, sorted(reading.names)))
        names = tuple(name for name in sorted(reading.names) if name in module._modules)
        inner = () if self._opaque(module) else module._modules.items()
        children = tuple((name, child and self._open(child, reading)) for name, child in inner)
        return ("open", self.of(module), _tensors(module), facts, names, children)
