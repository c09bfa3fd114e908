"""What an operand of a node can be: a reference to a value, or a constant that compares by type."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = [
    "Const",
    "Constant",
    "Data",
    "Device",
    "Dtype",
    "Fill",
    "Init",
    "Layout",
    "MemoryFormat",
    "Normal",
    "Object",
    "Operand",
    "Ref",
    "Role",
    "Size",
    "Symbol",
    "TensorType",
    "key",
]


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something that Python can import, by its dotted name: ``torch.nn.functional.relu``."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtype:
    """An element type: ``Dtype("float32")``."""

    name: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device: ``Device("cuda:0")``."""

    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A memory layout: ``Layout("strided")``."""

    name: str


@dataclass(frozen=True, slots=True)
class MemoryFormat:
    """An order of dimensions in memory: ``MemoryFormat("channels_last")``."""

    name: str


class Size(tuple[int, ...]):
    """A ``torch.Size``, which is not equal to a plain tuple: ``Size((2, 3))``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape of a tensor, ``None`` for a size that is not known.

    >>> print(TensorType("float32", (8, None)))
    float32[8, ?]
    """

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.dtype}[{sizes}]"


Constant: TypeAlias = (
    "bool | int | float | complex | str | Dtype | Device | Layout | MemoryFormat | Symbol"
    " | tuple[Any, ...] | None"
)


def key(value: Any) -> Any:
    """A hashable stand-in that is equal exactly for equal values of equal types.

    >>> key(2) == key(2.0), key(True) == key(1), key(float("nan")) == key(float("nan"))
    (False, False, True)
    """
    match value:
        case Size():
            return ("Size", *value)
        case tuple():
            return ("tuple", *map(key, value))
        case list():
            return ("list", *map(key, value))
        case dict():
            return (type(value).__name__, *((key(k), key(v)) for k, v in value.items()))
        case Object(target, fields):
            return ("Object", target, *((name, key(field)) for name, field in fields))
        case float():
            return ("float", "nan" if math.isnan(value) else value.hex())
        case _:
            return (type(value).__name__, value)


@dataclass(frozen=True, eq=False, slots=True)
class Const:
    """A constant operand.

    >>> Const(2) == Const(2.0), Const((1, 2)) == Const((1, 2))
    (False, True)
    """

    value: Constant

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and key(self.value) == key(other.value)

    def __hash__(self) -> int:
        return hash(key(self.value))


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of this name."""

    name: str


Operand: TypeAlias = Const | Ref


Role: TypeAlias = Literal["", "trained", "parameter", "frozen"]
"""What a tensor is beside its elements: one that needs a gradient, a parameter, or one that is
not trained."""


@dataclass(frozen=True, slots=True)
class Data:
    """The elements of a tensor, as little-endian bytes in row-major order.

    ``strides`` if they are not the usual ones; the content is without what is only expanded.
    ``memory`` is there where its elements are some of those of a memory: how many that has, and
    where they begin. Then the content is that of the whole.
    """

    dtype: str
    shape: tuple[int, ...]
    content: bytes = field(repr=False)
    strides: tuple[int, ...] | None = None
    memory: tuple[int, int] | None = None
    role: Role = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


@dataclass(frozen=True, eq=False, slots=True)
class Fill:
    """Every element is this number."""

    value: bool | int | float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fill) and key(self.value) == key(other.value)

    def __hash__(self) -> int:
        return hash(key(self.value))


@dataclass(frozen=True, slots=True)
class Normal:
    """Drawn anew for every model, with the mean and deviation that the converted one had."""

    mean: float = field(default=0.0, compare=False)
    deviation: float = field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class Object:
    """What an attribute is that belongs to a class of the user's, by its dotted name.

    ``fields`` are its attributes: made anew without its constructor, it is as it was.
    """

    target: str
    fields: tuple[tuple[str, Any], ...] = ()


Init: TypeAlias = Fill | Data | Normal
