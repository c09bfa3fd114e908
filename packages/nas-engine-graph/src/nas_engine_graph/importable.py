"""What dotted names stand for, also those of classes that functions define."""

from __future__ import annotations

import builtins
import importlib
import sys
from functools import cache
from typing import Any

__all__ = ["is_local", "local_class", "local_name", "resolve"]

_LOCALS = "__locals__"
_CLASSES: dict[str, type] = {}
"""The classes that functions define and that have a name here, for as long as the process runs:
TorchScript keeps those that it compiles, too."""


@cache
def resolve(name: str) -> Any:
    """What a dotted name stands for; its modules are imported.

    >>> resolve("math.gcd")(4, 6), resolve("len")("abc")
    (2, 3)
    """
    parts = name.split(".")
    if len(parts) == 1 and hasattr(builtins, name):
        return getattr(builtins, name)
    if is_local(name):
        return _inside(name)
    # A module and what it defines may have one name: the longest name of a module counts.
    homes = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
    home = next((home for home in homes if home in sys.modules), parts[0])
    found: Any = importlib.import_module(home)
    path = home
    for part in parts[home.count(".") + 1 :]:
        path = f"{path}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)
    return found


def is_local(name: str) -> bool:
    """Whether a dotted name is that of a class that a function defines, or of its member."""
    return f".{_LOCALS}." in name


def local_name(cls: type) -> str:
    """The dotted name of a class that a function defines: ``models.make.__locals__.Config``.

    Each call of the function makes another class, so others of the same name get numbers.
    """
    base = f"{cls.__module__}.{cls.__qualname__}".replace("<locals>", _LOCALS)
    base = base.replace("<", "").replace(">", "")  # Of functions without a name.
    name, number = base, 0
    while _CLASSES.setdefault(name, cls) is not cls:
        number += 1
        name = f"{base}_{number}"
    return name


def local_class(name: str) -> tuple[str, type] | None:
    """The class of such a name or around it, after its own name; None if this process has none."""
    parts = name.split(".")
    names = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next(((known, _CLASSES[known]) for known in names if known in _CLASSES), None)


def _inside(name: str) -> Any:
    if (known := local_class(name)) is None:
        raise LookupError(f"{name} is a class that a function of another process has defined")
    home, found = known
    for part in name.removeprefix(home).split(".")[1:]:
        found = getattr(found, part)
    return found
