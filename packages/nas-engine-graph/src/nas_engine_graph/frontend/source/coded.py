"""What ``eager`` writes into sources as integers that can be told from others.

Dtypes, layouts and memory formats are small integers to TorchScript, as soon as it has read them;
of some signs it makes other operators than Python. So large integers stand for them, which nobody
else writes.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["SIGNS", "code", "decoded", "sign_of"]

_BASE = 0x6E61_7300_0000
_KINDS = (torch.dtype, torch.layout, torch.memory_format)
_OBJECTS = sorted({v for v in vars(torch).values() if isinstance(v, _KINDS)}, key=repr)
_FIRST_SIGN = _BASE + 0x1000
_SIGNS = (
    "%", "**", "//", "|", "&", "^", "<<", ">>", "let", "size", "type", "float", "finfo.max",
    "finfo.min", "finfo.eps", "finfo.tiny", "iinfo.max", "iinfo.min",
)  # fmt: skip
_CODES = {value: _BASE + index for index, value in enumerate(_OBJECTS)}


def code(value: Any) -> int | None:
    """The integer for a dtype, layout or memory format; None for anything else.

    >>> decoded((code(torch.float32), 3)), code("float32")
    ((torch.float32, 3), None)
    """
    return _CODES.get(value) if isinstance(value, _KINDS) else None


SIGNS = {sign: _FIRST_SIGN + index for index, sign in enumerate(_SIGNS)}
"""The integers for the signs of assignments such as ``x |= y``, and for words of our own."""


def sign_of(number: object) -> str | None:
    """The sign that an integer stands for."""
    return next((sign for sign, code in SIGNS.items() if code == number), None)


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
