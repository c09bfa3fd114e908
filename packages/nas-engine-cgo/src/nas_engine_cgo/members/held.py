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

__all__ = [
    "Held",
    "changed_attribute",
    "changed_attributes",
    "held_by",
    "holders_of",
    "put_back",
]

_ATOMS = frozenset({bool, int, float, str, type(None)})
_CONTAINERS = (dict, list, set)
_MOST = 100_000
"""Containers of more are compared by how many items they have."""
_NOTHING = object()
_DEFAULT = "default "
"""A default of a function is no variable: it can change, and is never put in the place of one."""
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


def held_by(holder: object, seen: frozenset[int] = frozenset(), depth: int = 64) -> Held:
    """What a module, another object, or a function, by its defaults and the variables around it,
    holds.

    Args:
        holder: one of these.
        seen: what is being looked at, by identity.
        depth: so deep lie objects in each other that are looked into.
    """
    found, seen = Held(dict(_variables(holder)), [], [], []), seen | {id(holder)}
    for name, value in found.own.items():
        match _kind(value.__class__):
            case "container" if value:
                found.full.append((name, value, _items(value)))
            case "container":
                found.empty.append(value)
            case "object" if id(value) not in seen and depth:
                found.inner.append((name, value, held_by(value, seen, depth - 1)))
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
        if not _is_full_of(value, items):
            yield name
    for name, value, held in before.inner:
        yield from (f"{name}.{changed}" for changed in changed_attributes(value, held))
    for filled in filter(None, before.empty):
        yield next(n for n, value in own.items() if value is filled)


def put_back(holder: object, before: Held) -> None:
    """Let something hold what it has held before, as far as that can be said.

    >>> def counting(count=[]):
    ...     count.append(1)
    >>> before = held_by(counting)
    >>> counting()
    >>> changed_attribute(counting, before)
    'default 0'
    >>> put_back(counting, before)
    >>> counting.__defaults__, "default 0" in globals()
    (([],), False)
    """
    now = _variables(holder)
    for name in now.keys() | before.own.keys():
        value = before.own.get(name, _NOTHING)
        if now.get(name, _NOTHING) is not value and not name.startswith(_DEFAULT):
            _assign(holder, name, value)
    for _, value, items in before.full:
        _fill(value, items)
    for value in before.empty:
        value.clear()
    for _, value, held in before.inner:
        put_back(value, held)


def _assign(holder: object, name: str, value: Any) -> None:
    """Let a variable have a value again, wherever it lies; what was not there goes."""
    cells: dict[str, Any] = {}
    places: list[dict[str, Any]] = []
    if isinstance(holder, types.FunctionType):
        cells = dict(zip(holder.__code__.co_freevars, holder.__closure__ or (), strict=True))
        places = [holder.__dict__, holder.__globals__]
    elif isinstance(holder, type):
        if value is _NOTHING:
            delattr(holder, name)
        else:
            setattr(holder, name, value)
    else:
        places = [vars(holder)]
    if name in cells:
        cells[name].cell_contents = value
        return
    for place in places:
        if name in place:
            if value is _NOTHING:
                del place[name]
            else:
                place[name] = value
            return
    if places and value is not _NOTHING:
        places[-1][name] = value


def _fill(container: Any, items: tuple[Any, ...]) -> None:
    if isinstance(items, _Many) or _is_full_of(container, items):
        return
    container.clear()
    if isinstance(container, dict):
        half = len(items) // 2
        container.update(zip(items[:half], items[half:], strict=True))
    elif isinstance(container, set):
        container.update(items)
    else:
        container.extend(items)


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
        defaults = [*(holder.__defaults__ or ()), *(holder.__kwdefaults__ or {}).values()]
        named = {f"{_DEFAULT}{i}": value for i, value in enumerate(defaults)}
        return {**around.globals, **around.nonlocals, **vars(holder), **named}
    if isinstance(holder, (type, types.ModuleType)):
        return {name: value for name, value in vars(holder).items() if name[:2] != "__"}
    return vars(holder)


@functools.lru_cache(maxsize=1024)
def _kind(cls: type) -> Literal["container", "object", "other"]:
    """What values of a class are: those of ``object`` have attributes of their own."""
    if issubclass(cls, _CONTAINERS):
        return "container"
    plain = issubclass(cls, _OTHERWISE) or not cls.__dictoffset__
    return "other" if plain else "object"


class _Many(tuple[int]):
    """Stands for the items of a large container: their number."""

    __slots__ = ()


def _items(container: Any) -> tuple[Any, ...]:
    if len(container) > _MOST:
        return _Many((len(container),))
    return (*container, *container.values()) if isinstance(container, dict) else (*container,)


def _is_full_of(container: Any, items: tuple[Any, ...]) -> bool:
    current = _items(container)
    same = operator.eq if isinstance(items, _Many) else operator.is_
    return len(current) == len(items) and all(map(same, current, items))


def _equal(value: Any, before: Any) -> bool:
    return type(value) in _ATOMS and type(value) is type(before) and bool(value == before)
