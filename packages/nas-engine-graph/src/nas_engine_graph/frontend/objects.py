"""Objects of plain classes of the user's, which TorchScript compiles as class types.

Generated code uses the user's own class: its methods run as they are, and who changes an object
changes it for all who hold it. So nothing of what the methods do is part of the graph, but that
they are called, and in which order.
"""

from __future__ import annotations

import ast
import enum
from collections import OrderedDict
from collections.abc import Container, Mapping
from typing import Any

import torch
from torch import nn

from nas_engine_graph.frontend.elements import Memory
from nas_engine_graph.frontend.encode import NotEncodableError, data_of, encode, symbol_of
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.variables import value_of
from nas_engine_graph.ir import End, Object

__all__ = ["encoded", "fields_of", "has_relatives", "is_object", "is_object_class"]

_OTHERS = (nn.Module, torch.Tensor, BaseException, enum.Enum, type, tuple, list, dict, set,
           int, float, complex, str, bytes)  # fmt: skip

_NONE: Mapping[End, Memory] = {}
_OF_PYTHON = 1 << 9
"""The flag of classes that are made by a ``class`` statement (``Py_TPFLAGS_HEAPTYPE``)."""


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
    try:
        # The default, as pickle takes it, also where the class gives pickle something else.
        found: Any = object.__getstate__(value)
        plain = all(base.__flags__ & _OF_PYTHON for base in cls.__mro__[:-1])
    except TypeError:
        plain = False
    if not plain or hasattr(cls, "__getnewargs__") or hasattr(cls, "__getnewargs_ex__"):
        text = f"an object of {cls.__name__}, which consists of more than its attributes"
        raise NotEncodableError(text)
    own, slots = found if isinstance(found, tuple) else (found, None)
    return {**(own or {}), **(slots or {})}


def encoded(
    value: Any, at: End, tied: Container[End], memories: Mapping[End, Memory] = _NONE
) -> Any:
    """An attribute as data of the IR, also if there are objects in it.

    Args:
        value: the attribute, or a part of it.
        at: its place.
        tied: the places of what is made somewhere else.
        memories: those of which others have a part, by the places of the tensors that have one.

    Raises:
        NotEncodableError: there is no way to write it as source.
    """

    def part(item: Any, step: Any) -> Any:
        return encoded(item, (*at, step), tied, memories)

    if at in tied:
        return None
    match value:
        case tuple() | list() if type(value) in (tuple, list):
            return type(value)(part(item, (index,)) for index, item in enumerate(value))
        case dict() if type(value) in (dict, OrderedDict):
            return type(value)((encode(k), part(v, (k,))) for k, v in value.items())
        case torch.Tensor():
            return data_of(value, memories.get(at))
        case _ if is_object(value):
            fields = tuple((name, part(item, name)) for name, item in fields_of(value).items())
            return Object(symbol_of(type(value)).name, fields)
        case _:
            return encode(value)
