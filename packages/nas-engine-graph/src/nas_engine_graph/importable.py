"""What dotted names stand for."""

from __future__ import annotations

import builtins
import importlib
import sys
from functools import cache
from typing import Any

__all__ = ["resolve"]


@cache
def resolve(name: str) -> Any:
    """What a dotted name stands for; its modules are imported.

    >>> resolve("math.gcd")(4, 6), resolve("len")("abc")
    (2, 3)
    """
    parts = name.split(".")
    if len(parts) == 1 and hasattr(builtins, name):
        return getattr(builtins, name)
    # A module and what it defines may have one name: the longest name of a module counts.
    homes = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
    home = next((home for home in homes if home in sys.modules), parts[0])
    found: Any = importlib.import_module(home)
    path = home
    for part in parts[home.count(".") + 1 :]:
        path = f"{path}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)
    return found
