"""Dtypes, layouts and memory formats written in sources, as integers that can be told from others.

To TorchScript all of them are small integers, as soon as it has read them. So ``eager`` writes
large ones in their place, which nobody else writes.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["code", "decoded"]

_BASE = 0x6E61_7300_0000
_KINDS = (torch.dtype, torch.layout, torch.memory_format)
_OBJECTS = sorted({v for v in vars(torch).values() if isinstance(v, _KINDS)}, key=repr)
_CODES = {value: _BASE + index for index, value in enumerate(_OBJECTS)}


def code(value: Any) -> int | None:
    """The integer for a dtype, layout or memory format; None for anything else.

    >>> decoded((code(torch.float32), 3)), code("float32")
    ((torch.float32, 3), None)
    """
    return _CODES.get(value) if isinstance(value, _KINDS) else None


def decoded(value: Any) -> Any:
    """The value with what its integers stand for, also inside of tuples, lists and dicts."""
    match value:
        case bool():
            return value
        case int() if 0 <= value - _BASE < len(_OBJECTS):
            return _OBJECTS[value - _BASE]
        case tuple() | list():
            return type(value)(map(decoded, value))
        case dict():
            return {decoded(k): decoded(v) for k, v in value.items()}
        case _:
            return value
