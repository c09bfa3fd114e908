"""What is computed from constants alone, as Python computes it."""

from __future__ import annotations

import math
import operator as python
from collections.abc import Callable, Sequence
from typing import Any

from nas_engine_graph.ir import Builtin, Call, Const, Operand, Operation, Size

__all__ = ["FOLDED", "folded"]

_FOLDED: dict[str, Callable[..., Any]] = {
    "add": python.add, "sub": python.sub, "mul": python.mul, "truediv": python.truediv,
    "floordiv": python.floordiv, "mod": python.mod, "pow": python.pow, "neg": python.neg,
    "eq": python.eq, "ne": python.ne, "lt": python.lt, "le": python.le, "gt": python.gt,
    "ge": python.ge, "and": python.and_, "or": python.or_, "xor": python.xor, "not": python.not_,
    "is": python.is_, "is_not": python.is_not, "int": int, "float": float, "bool": bool,
    "abs": abs, "min": min, "max": max, "round": round, "str": str, "getitem": python.getitem,
    "len": len, "contains": python.contains, "rshift": python.rshift, "ord": ord, "chr": chr,
    "hex": hex, "oct": oct, "bin": bin, "percent": python.mod, "format": str.format,
    "slice": lambda items, *bounds: items[slice(*bounds)],
    "lshift": lambda value, count: value << min(count, 64),
    "range_length": lambda start, stop, step: len(range(start, stop, step)) if step else None,
}  # fmt: skip
FOLDED = frozenset(_FOLDED)
"""The builtins whose results are constant where their operands are, but for methods of texts."""


def folded(operation: Operation, operands: Sequence[Operand]) -> Const | None:
    """What an operation makes of constants; None if that shows in no constant of Python."""
    values = [operand.value for operand in operands if isinstance(operand, Const)]
    if len(values) < len(operands) or (function := _function(operation, values)) is None:
        return None
    try:
        found = function(*values)
    except (ArithmeticError, TypeError, ValueError, LookupError):
        return None
    if isinstance(found, tuple) and any(isinstance(value, Size) for value in values):
        return None  # It may be a size again.
    return None if isinstance(found, list) else Const(found)


def _function(operation: Operation, values: Sequence[Any]) -> Callable[..., Any] | None:
    match operation:
        case Builtin(name) if name.startswith("method.") and isinstance(values[0], str):
            return getattr(str, name.removeprefix("method."), None)
        case Builtin(name):
            return _FOLDED.get(name)
        case Call(target) if target.startswith("math."):
            return getattr(math, target.removeprefix("math."), None)
    return None
