"""One node without blocks, evaluated: what its operation does with values."""

from __future__ import annotations

import builtins
import operator
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import (
    Builtin,
    Call,
    Constant,
    Device,
    Dtype,
    Layout,
    MemoryFormat,
    Operator,
    Size,
    Symbol,
)

__all__ = ["constant", "evaluate"]

_META = torch.device("meta")


def constant(value: Constant) -> Any:
    """The Python value of a constant; every device is the one without elements."""
    match value:
        case Symbol(name):
            return resolve(name)
        case Dtype(name) | Layout(name) | MemoryFormat(name):
            return getattr(torch, name)
        case Device():
            return _META
        case Size():
            return torch.Size(value)
        case tuple():
            return tuple(map(constant, value))
        case _:
            return value


def _dict(*items: Any) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _slice(value: Any, *bounds: Any) -> Any:
    return value[slice(*bounds)]


def _places(places: Sequence[Any]) -> Any:
    return tuple(slice(None) if place is None else place for place in places)


def _index(value: Any, *places: Any) -> Any:
    if all(place is None or isinstance(place, torch.Tensor) for place in places):
        return torch.ops.aten.index(value, places)  # Where Python would look into the elements.
    return value[places[0] if len(places) == 1 else _places(places)]


def _assign(value: Any, content: Any, *places: Any) -> None:
    value[_places(places) or ...] = content


def _derive(index: int, start: int, step: int) -> int:
    return start + index * step


def _trips(*many: Any) -> int:
    return min(value if isinstance(value, int) else len(value) for value in many)


def _item(many: Any, index: int) -> Any:
    return many[index] if hasattr(many, "__getitem__") else list(many)[index]


_BUILTINS: dict[str, Callable[..., Any]] = {
    "truediv": operator.truediv, "and": operator.and_, "or": operator.or_, "not": operator.not_,
    "is": operator.is_, "is_not": operator.is_not, "percent": operator.mod,
    "list": lambda *items: list(items), "tuple": lambda *items: items, "dict": _dict,
    "list_of": list, "dict_of": dict, "unpack": lambda items: items, "slice": _slice,
    "typed": lambda value: value,
    "range_length": lambda *bounds: len(range(*bounds)), "derive_index": _derive,
    "trips": _trips, "item": _item,
    "rangelist": lambda *bounds: list(range(*bounds)), "truncdiv": lambda a, b: int(a / b),
    "format": lambda text, *items: text.format(*items), "print": lambda *_: None,
    "warn": lambda *_: None, "index": _index, "assign": _assign,
}  # fmt: skip


def _builtin(name: str) -> Callable[..., Any]:
    if name in _BUILTINS:
        return _BUILTINS[name]
    if name.startswith(("finfo.", "iinfo.")):
        limits, _, attribute = name.partition(".")
        return lambda dtype: getattr(getattr(torch, limits)(dtype), attribute)
    kind, _, member = name.partition(".")
    if kind in ("attribute", "field", "property"):
        return operator.attrgetter(member)
    if kind == "set_field":
        return lambda owner, value: setattr(owner, member, value)
    if kind in ("method", "call"):
        return lambda owner, *rest, **words: getattr(owner, member)(*rest, **words)
    found: Callable[..., Any] = getattr(operator, name, None) or getattr(builtins, name)
    return found


@cache
def _operator(target: str) -> tuple[Callable[..., Any], int]:
    """An operator, and the place of its argument ``device``, if it has one, or -1."""
    namespace, name, overload = target.split(".")
    found: Any = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    names = [argument.name for argument in found._schema.arguments]
    return found, names.index("device") if "device" in names else -1


def evaluate(
    operation: Operator | Builtin | Call, inputs: Sequence[Any], keywords: dict[str, Any]
) -> Any:
    """What the operation gives for these values, on the device without elements."""
    match operation:
        case Operator(target):
            function, device = _operator(target)
            if len(inputs) <= device:
                keywords = {"device": _META} | keywords
            found = function(*inputs, **keywords)
            return tuple(found) if isinstance(found, list) else found
        case Builtin(name):
            return _builtin(name)(*inputs, **keywords)
        case Call(target):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Nothing is really computed here.
                return resolve(target)(*inputs, **keywords)
