"""Named tuples that hold futures: to TorchScript, and in generated code, they hold the values."""

from __future__ import annotations

import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch._jit_internal import is_future

__all__ = ["futures_of", "valued"]


def futures_of(cls: Any) -> tuple[bool, ...]:
    """For each field of a named tuple whether it holds futures; empty where none does, and else.

    >>> from typing import NamedTuple
    >>> class Started(NamedTuple):
    ...     future: torch.jit.Future[torch.Tensor]
    ...     number: int
    >>> futures_of(Started)
    (True, False)
    """
    named = isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")
    return _futures_of(cls) if named else ()


@lru_cache(maxsize=4096)
def _futures_of(cls: Any) -> tuple[bool, ...]:
    try:
        kinds = typing.get_type_hints(cls)
    except (NameError, TypeError, AttributeError):  # Of a name that is known elsewhere.
        return ()
    found = tuple(_holds(kinds.get(name)) for name in cls._fields)
    return found if any(found) else ()


def _holds(kind: Any) -> bool:
    return bool(is_future(kind)) or any(map(_holds, typing.get_args(kind)))


def valued(read: Callable[..., Any], given: Callable[[Any], bool]) -> Callable[..., Any]:
    """TorchScript's reading of the fields of a named tuple, with values in the place of futures.

    Args:
        read: that reading.
        given: whether who calls the model may give such a named tuple, with futures.
    """

    def reading(cls: Any, *args: Any, **keywords: Any) -> Any:
        name, fields, kinds, defaults = read(cls, *args, **keywords)
        if futures_of(cls) and not given(cls):
            kinds = list(map(_value, kinds))
        return name, fields, kinds, defaults

    return reading


def _value(kind: Any) -> Any:
    match kind:
        case torch._C.FutureType():
            return _value(kind.getElementType())
        case torch._C.ListType():
            return torch._C.ListType(_value(kind.getElementType()))
        case torch._C.OptionalType():
            return torch._C.OptionalType(_value(kind.getElementType()))
        case torch._C.DictType():
            return torch._C.DictType(kind.getKeyType(), _value(kind.getValueType()))
        case torch._C.TupleType():
            return torch._C.TupleType(list(map(_value, kind.elements())))
    return kind
