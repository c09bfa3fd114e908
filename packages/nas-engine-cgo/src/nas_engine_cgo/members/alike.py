"""When two modules are alike: they do the same with tensors of the same shapes.

Then they have one program, whatever the elements of their parameters and buffers are.
"""

from __future__ import annotations

import enum
import types
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_cgo.members.calls import hooks_of, storage_of

__all__ = ["look"]

_PLAIN = frozenset({bool, int, str, type(None), torch.dtype, torch.device, torch.memory_format})
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, enum.Enum)
_HELD = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"})
_HOOKS = frozenset(name for name in vars(nn.Module()) if "hooks" in name)


def look(module: nn.Module) -> Hashable:
    """What is equal for modules that are alike, in the mode that they are in.

    >>> first, other, wider = (look(nn.Linear(2, width)) for width in (3, 3, 4))
    >>> first == other, first == wider
    (True, False)
    """
    return _Looker().module(module)


@dataclass(frozen=True, eq=False)
class _Same:
    """Equal for the very same object, which it keeps alive."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class _Looker:
    """Looks at the modules of one model; what is met again is told by its number."""

    def __init__(self) -> None:
        self._met: dict[int, int] = {}
        self._memory: dict[int, int] = {}

    def module(self, module: nn.Module) -> Hashable:
        if (number := self._met.get(id(module))) is not None:
            return number
        self._met[id(module)] = len(self._met)
        attributes = vars(module)
        held: list[Hashable] = [
            (name, None if child is None else self.module(child))
            for name, child in attributes["_modules"].items()
        ]
        for kind in ("_parameters", "_buffers"):
            held += [(name, self._tensor(tensor)) for name, tensor in attributes[kind].items()]
        own = [
            (name, self._value(value))
            for name, value in attributes.items()
            if name not in _HELD and not (name in _HOOKS and not value)
        ]
        return type(module), tuple(held), tuple(own)

    def _tensor(self, tensor: Tensor | None) -> Hashable:
        if tensor is None:
            return None
        number = self._met.setdefault(id(tensor), len(self._met))
        place = storage_of(tensor) if tensor.layout is torch.strided else id(tensor)
        memory = self._memory.setdefault(place, len(self._memory))
        return (
            number, memory, type(tensor), tensor.shape, tensor.stride(), tensor.dtype,
            tensor.requires_grad, tensor.device, hooks_of(tensor),
        )  # fmt: skip

    def _value(self, value: Any) -> Hashable:
        kind = type(value)
        if kind in _PLAIN:
            return kind, value
        if kind is float:
            return kind, value.hex()
        if isinstance(value, nn.Module):
            return self.module(value)
        if isinstance(value, _NAMED):
            return value
        if (number := self._met.get(id(value))) is not None:
            return number  # A parameter, or a list that several share.
        if kind is weakref.ref:
            return kind, self._value(value())
        return self._container(kind, value) if kind in (list, tuple, dict) else _Same(value)

    def _container(self, kind: type, value: Any) -> Hashable:
        self._met[id(value)] = len(self._met)
        if kind is dict:
            return kind, *((self._value(key), self._value(item)) for key, item in value.items())
        return kind, *map(self._value, value)
