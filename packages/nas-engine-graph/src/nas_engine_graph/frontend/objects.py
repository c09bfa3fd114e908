"""Objects of plain classes of the user's, which TorchScript compiles as class types.

Generated code uses the user's own class: its methods run as they are, and who changes an object
changes it for all who hold it. So nothing of what the methods do is part of the graph, but that
they are called, and in which order.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nas_engine_graph.frontend.encode import NotEncodableError, encode, symbol_of
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.variables import value_of
from nas_engine_graph.ir import Object

__all__ = ["encoded", "fields_of", "has_relatives", "is_object", "is_object_class"]

_OTHERS = (nn.Module, torch.Tensor, BaseException, enum.Enum, type, tuple, list, dict, set,
           int, float, complex, str, bytes)  # fmt: skip


def is_object_class(cls: Any) -> bool:
    """Whether instances of a class are objects that TorchScript knows by their attributes alone."""
    plain = isinstance(cls, type) and not issubclass(cls, _OTHERS) and not is_of_torch(cls)
    return plain and cls.__module__ != "builtins"


def is_object(value: Any) -> bool:
    """Whether a value is an object of a plain class of the user's.

    >>> from fractions import Fraction
    >>> is_object(Fraction(1, 2)), is_object([1]), is_object(Fraction)
    (True, False, False)
    """
    return is_object_class(type(value))


def has_relatives(node: ast.expr, around: Mapping[str, Any]) -> bool:
    """Whether an expression has a class of objects that inherits, or that others inherit from."""
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    found = (value_of(name, around) for name in names)
    return any(is_object_class(c) and (c.__subclasses__() or c.__mro__[2:]) for c in found)


def fields_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, which are all that it consists of.

    Raises:
        NotEncodableError: it has more than these.

    >>> class Point:
    ...     __slots__ = ("x",)
    >>> point = Point()
    >>> point.x = 1
    >>> fields_of(point)
    {'x': 1}
    """
    cls: Any = type(value)
    text = f"an object of {cls.__name__}, which consists of more than its attributes"
    if cls.__getstate__ is not object.__getstate__:
        raise NotEncodableError(text)
    try:
        reduced: Any = object.__reduce_ex__(value, 2)
    except TypeError as error:
        raise NotEncodableError(text) from error
    make, given, found, *more = reduced
    if make.__name__ != "__newobj__" or given != (cls,) or more != [None, None]:
        raise NotEncodableError(text)
    own, slots = found if isinstance(found, tuple) else (found, None)
    return {**(own or {}), **(slots or {})}


def encoded(value: Any) -> Any:
    """A Python value as data of the IR, also if there are objects in it.

    Raises:
        NotEncodableError: there is no way to write it as source.
    """
    return encode(value, _object)


def _object(value: Any) -> Object:
    name = symbol_of(type(value)).name
    return Object(name, tuple((field, encoded(v)) for field, v in fields_of(value).items()))
