"""What an object holds, so that a change can be seen: another run would do otherwise."""

from __future__ import annotations

import functools
import inspect
import operator
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

__all__ = ["Held", "changed_attribute", "changed_attributes", "held_by", "holders_of"]

_ATOMS = frozenset({bool, int, float, str, type(None)})
_CONTAINERS = (dict, list, set)
_OTHERWISE = (Tensor, nn.Module, type, types.ModuleType, types.FunctionType)
"""What is looked at in another way, or is no state."""


@dataclass(frozen=True, slots=True)
class Held:
    """What an object holds at a time.

    Attributes:
        own: name → value.
        full: the containers among the values, by name, with what was in them.
        empty: those in which nothing was.
        inner: the same for the objects among the values, by name.
    """

    own: dict[str, Any]
    full: list[tuple[str, Any, tuple[Any, ...]]]
    empty: list[Any]
    inner: list[tuple[str, Any, Held]]


def held_by(holder: object, seen: frozenset[int] = frozenset()) -> Held:
    """What a module, another object, or a function, by the variables around it, holds."""
    found, seen = Held(dict(_variables(holder)), [], [], []), seen | {id(holder)}
    for name, value in found.own.items():
        match _kind(value.__class__):
            case "container" if value:
                found.full.append((name, value, _items(value)))
            case "container":
                found.empty.append(value)
            case "object" if id(value) not in seen:
                found.inner.append((name, value, held_by(value, seen)))
    return found


def changed_attribute(holder: object, before: Held) -> str | None:
    """The name of something that is held otherwise than before; None if nothing is.

    >>> class Counter:
    ...     count = 0
    >>> module = nn.Identity()
    >>> module.counter = Counter()
    >>> before = held_by(module)
    >>> module.counter.count += 1
    >>> changed_attribute(module, before)
    'counter.count'
    """
    return next(changed_attributes(holder, before), None)


def changed_attributes(holder: object, before: Held) -> Iterator[str]:
    """The names of all that is held otherwise than before."""
    own, now = before.own, _variables(holder)
    if own.keys() != now.keys():
        yield from own.keys() ^ now.keys()
    for name, value in now.items():
        if name in own and value is not own[name] and not _equal(value, own[name]):
            yield name
    for name, value, items in before.full:
        current = _items(value)
        if len(current) != len(items) or not all(map(operator.is_, current, items)):
            yield name
    for name, value, held in before.inner:
        yield from (f"{name}.{changed}" for changed in changed_attributes(value, held))
    for filled in filter(None, before.empty):
        yield next(n for n, value in own.items() if value is filled)


def holders_of(function: object) -> Iterator[object]:
    """What may hold a state for a function of the user's: itself, what it is bound to, modules.

    >>> [type(holder).__name__ for holder in holders_of(nn.Sequential(nn.ReLU()))]
    ['Sequential', 'ReLU']
    """
    match function:
        case functools.partial():
            yield from holders_of(function.func)
        case types.MethodType():
            yield from holders_of(function.__self__)
            yield function.__func__
        case nn.Module():
            yield from function.modules()
        case _ if hasattr(function, "__dict__"):
            yield function


def _variables(holder: object) -> Mapping[str, Any]:
    if isinstance(holder, types.FunctionType):
        around = inspect.getclosurevars(holder)
        return {**around.globals, **around.nonlocals}
    return vars(holder)


@functools.lru_cache(maxsize=1024)
def _kind(cls: type) -> Literal["container", "object", "other"]:
    """What values of a class are: those of ``object`` have attributes of their own."""
    if issubclass(cls, _CONTAINERS):
        return "container"
    plain = issubclass(cls, _OTHERWISE) or not cls.__dictoffset__
    return "other" if plain else "object"


def _items(container: Any) -> tuple[Any, ...]:
    return (*container, *container.values()) if isinstance(container, dict) else (*container,)


def _equal(value: Any, before: Any) -> bool:
    return type(value) in _ATOMS and type(value) is type(before) and bool(value == before)
