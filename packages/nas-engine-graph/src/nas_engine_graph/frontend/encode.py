"""Python values and tensors as data of the IR."""

from __future__ import annotations

import ctypes
import enum
import inspect
import math
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nas_engine_graph.frontend.elements import Elements, Memory
from nas_engine_graph.importable import local_name
from nas_engine_graph.ir import (
    Data,
    Device,
    Dtype,
    Fill,
    Init,
    Layout,
    MemoryFormat,
    Normal,
    Role,
    Size,
    Symbol,
)
from nas_engine_graph.ir.strides import compact, overlaps

__all__ = [
    "NotEncodableError",
    "data_of",
    "dtype_name",
    "encode",
    "initial",
    "is_read_plain",
    "is_valued",
    "plain_value",
    "role_of",
    "settings_of",
    "stored",
    "symbol_of",
]

_SMALL = 64
_NUMPY_LESS = {torch.bfloat16: torch.int16}


class NotEncodableError(ValueError):
    """The value can't be written as source."""


def dtype_name(dtype: torch.dtype) -> str:
    """The name of a dtype without ``torch.``."""
    return str(dtype).removeprefix("torch.")


def _data(tensor: Tensor) -> Data:
    """The elements of a tensor as bytes."""
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    # Not through numpy, which torch works without.
    content = ctypes.string_at(flat.data_ptr(), flat.nbytes) if flat.numel() else b""
    return Data(dtype_name(tensor.dtype), tuple(tensor.shape), content)


class Stored(NamedTuple):
    """What of a tensor has to be written down.

    Attributes:
        elements: those that are there, without what is there only because it was expanded.
        strides: of the tensor, if they are not the usual ones.
        memory: if ``elements`` are those of a memory, how many that has, and where the tensor
            begins in it.
    """

    elements: Tensor
    strides: tuple[int, ...] | None = None
    memory: tuple[int, int] | None = None


def stored(tensor: Tensor, memory: Memory | None = None) -> Stored:
    """How a tensor lies in memory; ``memory`` if others have a part of it, too.

    Raises:
        NotEncodableError: it is sparse.
    """
    if tensor.layout is not torch.strided:
        raise NotEncodableError(f"its layout is {tensor.layout}")
    shape, strides = tuple(tensor.shape), tensor.stride()
    if memory is None and overlaps(shape, strides) and not tensor.is_meta:
        memory = Memory.around([Elements(tensor)])
    if memory is not None:
        return Stored(memory.of(tensor), strides, (memory.length, memory.offset(tensor)))
    if not tensor.numel() or strides == torch.empty(shape, device="meta").stride():
        return Stored(tensor)
    for dim, size in enumerate(compact(shape, strides)[0]):
        tensor = tensor.narrow(dim, 0, size)
    return Stored(tensor, strides)


def data_of(tensor: Tensor, memory: Memory | None = None) -> Data:
    """A tensor that is neither a parameter nor a buffer; ``memory`` if others have a part of it.

    Raises:
        NotEncodableError: it is more than its elements.
    """
    if type(tensor) not in (Tensor, nn.Parameter):
        raise NotEncodableError(f"a tensor of type {type(tensor).__name__}")
    if tensor.grad_fn is not None:
        raise NotEncodableError("a tensor that is computed of what needs a gradient")
    elements, strides, inside = stored(tensor, memory)
    shape, role = tuple(tensor.shape), role_of(tensor)
    return replace(_data(elements), shape=shape, strides=strides, memory=inside, role=role)


def role_of(tensor: Tensor) -> Role:
    """What a tensor is beside its elements."""
    if isinstance(tensor, nn.Parameter):
        return "parameter" if tensor.requires_grad else "frozen"
    return "trained" if tensor.requires_grad else ""


def settings_of(tensor: Tensor) -> tuple[tuple[str, Any], ...]:
    """The attributes that were set on a tensor.

    Raises:
        NotEncodableError: one of them can't be written as source.
    """
    found = []
    for name, value in vars(tensor).items():
        try:
            found.append((name, encode(value)))
        except NotEncodableError as error:
            raise NotEncodableError(f"has the attribute {name!r}: {error}") from error
    return tuple(found)


def _uniform(tensor: Tensor) -> Fill | None:
    if tensor.numel() == 0 or tensor.is_complex() or tensor.is_quantized:
        return None
    values = tensor.detach().reshape(-1)
    first = values[0]
    if bool((values == first).all()) and (not tensor.is_floating_point() or _exact(first)):
        return Fill(first.item())
    return None


def _exact(value: Tensor) -> bool:
    # A negative zero equals zero but is not it.
    return not (value == 0 and torch.signbit(value))


def initial(tensor: Tensor, drawn: bool) -> Init:
    """How a new model gets this tensor: filled, drawn (large parameters), or from its elements."""
    if tensor.is_meta:
        return Fill(0)
    if (fill := _uniform(tensor)) is not None:
        return fill
    if drawn and tensor.numel() > _SMALL and tensor.is_floating_point():
        values = tensor.detach().double().reshape(-1)
        deviation = float(values.std())
        if not math.isfinite(deviation):  # What nobody has set yet may be anything.
            values = values[values.isfinite()]
            deviation = float(values.std()) if values.numel() > 1 else 0.0
        return Normal(float(values.mean()), deviation) if deviation else Normal()
    return _data(tensor)


def symbol_of(obj: Any) -> Symbol:
    """The dotted name under which ``obj`` can be imported."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if module is None and isinstance(name, str):
        module = "torch" if getattr(torch, name, None) is obj else None
    if module in {"torch._C._nn", "torch._C"} or module is None:
        for home in (torch.nn.functional, torch):
            if name and getattr(home, name, None) is obj:
                return Symbol(f"{home.__name__}.{name}")
    found: Any = sys.modules.get(module or "")
    for part in (name or "").split("."):
        found = getattr(found, part, None)
    if isinstance(obj, type) and "<locals>" in (name or ""):
        return Symbol(local_name(obj))
    if found is None or inspect.unwrap(found) is not inspect.unwrap(obj):
        raise NotEncodableError(f"{obj!r} can't be imported by name")
    return Symbol(f"{module}.{name}")


def is_valued(value: Any) -> bool:
    """Whether this is a member of an enum that is a text or number, too."""
    return isinstance(value, enum.Enum) and isinstance(value, int | str)


def is_read_plain(owner: object, name: str) -> bool:
    """Whether an attribute is such a member, which TorchScript takes for its text or number."""
    kinds = (vars(base).get("__annotations__", {}) for base in type(owner).__mro__)
    declared = any(name in annotations for annotations in kinds)
    return is_valued(getattr(owner, name, None)) and not declared


def plain_value(value: int | str) -> int | str:
    """The text or number that a member of an enum is.

    >>> plain_value(enum.IntEnum("Level", ["LOW"]).LOW)
    1
    """
    return int(value) if isinstance(value, int) else str.__str__(value)


def _refused(value: Any) -> Any:
    raise NotEncodableError(f"a value of type {type(value).__name__}: {value!r:.80}")


def encode(value: Any, other: Callable[[Any], Any] = _refused) -> Any:
    """A Python value as a constant, or as tuples, lists and dicts of constants.

    Args:
        value: what is encoded.
        other: encodes what is none of these, nor can be imported by name.

    Raises:
        NotEncodableError: there is no way to write it as source.
    """
    match value:
        case enum.Enum():
            return Symbol(f"{symbol_of(type(value)).name}.{value.name}")
        case None | bool() | str() | complex():
            return value
        case int() | float():
            return float(value) if isinstance(value, float) else int(value)
        case torch.dtype():
            return Dtype(dtype_name(value))
        case torch.device():
            return Device(str(value))
        case torch.layout():
            return Layout(str(value).removeprefix("torch."))
        case torch.memory_format():
            return MemoryFormat(str(value).removeprefix("torch."))
        case torch.Size():
            return Size(value)
        case tuple() | list() if type(value) in (tuple, list):
            return type(value)(encode(item, other) for item in value)
        case dict() if type(value) in (dict, OrderedDict):
            return type(value)((encode(k, other), encode(v, other)) for k, v in value.items())
        case Tensor():
            return data_of(value)
        case _ if callable(value) and hasattr(value, "__qualname__"):
            return symbol_of(value)
        case _:
            return other(value)
