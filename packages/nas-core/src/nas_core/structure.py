"""Structures of values: change their leaves, share what stays the same."""

from __future__ import annotations

import copy
import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any

__all__ = ["ATOMS", "has_attributes", "map_values"]


ATOMS = frozenset({bool, int, float, str, type(None)})


def map_values(obj: Any, change: Callable[[Any], Any], attributes: bool = False) -> Any:
    """A copy of a structure with its leaves changed; the structure itself if none does.

    Lists, tuples, dicts, dataclasses and partials are structure, and with ``attributes`` the
    object itself. Numbers, strings and None are never changed.
    """
    if type(obj) in ATOMS:
        return obj
    if isinstance(obj, (list, tuple)):
        items = [map_values(x, change) for x in obj]
        if all(a is b for a, b in zip(items, obj, strict=True)):
            return obj
        return type(obj)(*items) if hasattr(obj, "_fields") else type(obj)(items)
    if isinstance(obj, dict):
        values = {k: map_values(v, change) for k, v in obj.items()}
        if all(values[k] is v for k, v in obj.items()):
            return obj
        result = copy.copy(obj)  # Not its class: a defaultdict is called otherwise.
        result.update(values)
        return result
    if isinstance(obj, functools.partial):
        args, keywords = map_values(obj.args, change), map_values(obj.keywords, change)
        if args is obj.args and keywords is obj.keywords:
            return obj
        return functools.partial(obj.func, *args, **keywords)
    if attributes or (dataclasses.is_dataclass(obj) and not isinstance(obj, type)):
        return _map_attributes(obj, change)
    return change(obj)


def has_attributes(obj: object) -> bool:
    """Whether it is an object of a user's class, whose attributes may hold anything.

    >>> has_attributes(3), has_attributes(len), has_attributes(type("Config", (), {})())
    (False, False, True)
    """
    if isinstance(obj, (type, types.FunctionType, types.MethodType, types.ModuleType)):
        return False
    return hasattr(obj, "__dict__")


def _map_attributes(obj: Any, change: Callable[[Any], Any]) -> Any:
    old = getattr(obj, "__dict__", {})
    changed = {k: new for k, v in old.items() if (new := map_values(v, change)) is not v}
    if not changed:
        return obj
    # Not the constructor: the object keeps whatever else it holds.
    result = copy.copy(obj)
    for name, value in changed.items():
        object.__setattr__(result, name, value)
    return result
