"""What dotted names stand for."""

from __future__ import annotations

import builtins
import importlib
from functools import cache
from typing import Any

__all__ = ["resolve"]


@cache
def resolve(name: str) -> Any:
    """What a dotted name stands for; its modules are imported.

    >>> resolve("math.gcd")(4, 6), resolve("len")("abc")
    (2, 3)
    """
    first, *rest = name.split(".")
    if not rest and hasattr(builtins, first):
        return getattr(builtins, first)
    found: Any = importlib.import_module(first)
    path = first
    for part in rest:
        path = f"{path}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)
    return found
