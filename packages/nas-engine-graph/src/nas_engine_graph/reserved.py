"""The names that nothing of the user's has in generated code."""

from __future__ import annotations

import builtins
import keyword

__all__ = ["RESERVED"]

RESERVED = frozenset(
    {*keyword.kwlist, *dir(builtins), "self", "torch", "nn", "F", "Tensor", "math", "warnings",
     "Dict", "List", "Optional", "Tuple", "Any", "Union"}
)  # fmt: skip
