"""Layers that stay empty until something touches them.

A layer that a choice is going to drop must exist, since the user's code hands it to the choice. But
initialising it would cost time, and random numbers that the hand-written model does not draw. So it
is an object of the right class without attributes; whoever looks into it all the same finds it
initialised.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["empty_class", "fill", "is_empty"]


class _EmptyType(type):
    """Its classes equal the class of the layer, for code that compares types."""

    def __eq__(cls, other: object) -> bool:
        return cls is other or other == cls.__base__

    def __hash__(cls) -> int:
        return hash(cls.__base__)


_classes: dict[type[torch.nn.Module], type[torch.nn.Module]] = {}


def empty_class(kind: type[torch.nn.Module]) -> type[torch.nn.Module]:
    """The class of the empty objects of a class.

    What is to happen at the first touch stands in the ``__dict__`` of the object as ``_late``: the
    session that is told of it, which is to ``fill`` the object, and what else it wants to know.
    """
    if kind not in _classes:
        _classes[kind] = _make_empty_class(kind)
    return _classes[kind]


def fill(layer: torch.nn.Module) -> None:
    """Give an empty object its class back; its ``__init__`` has yet to run."""
    object.__setattr__(layer, "__class__", type(layer).__base__)
    del layer.__dict__["_late"]


def is_empty(module: torch.nn.Module) -> bool:
    """Whether it is empty; asking is no touch."""
    return isinstance(type(module), _EmptyType)


def _make_empty_class(kind: type[torch.nn.Module]) -> type[torch.nn.Module]:
    """A subclass whose objects are filled at the first touch."""

    def touch(layer: torch.nn.Module) -> None:
        late = object.__getattribute__(layer, "__dict__")["_late"]
        late[0].touch(layer, late)

    def getattribute(layer: torch.nn.Module, name: str) -> Any:
        # isinstance() asks for the class: that alone is no touch.
        if name == "__class__":
            return kind
        touch(layer)
        return getattr(layer, name)

    def set_attribute(layer: torch.nn.Module, name: str, value: Any) -> None:
        touch(layer)
        setattr(layer, name, value)

    def delete_attribute(layer: torch.nn.Module, name: str) -> None:
        touch(layer)
        delattr(layer, name)

    attributes = {
        "__getattribute__": getattribute,
        "__setattr__": set_attribute,
        "__delattr__": delete_attribute,
    }
    own = type(kind)  # Such as that of a class that inherits from a layer of nas_core.nn.
    meta: Any = _EmptyType if own is type else type(own.__name__, (_EmptyType, own), {})
    return meta(kind.__name__, (kind,), attributes)  # type: ignore[no-any-return]
