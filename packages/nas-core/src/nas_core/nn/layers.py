"""Every layer of ``torch.nn``, with choices allowed as arguments.

``nas_core.nn.Conv2d(1, width, 3)`` is a plain ``torch.nn.Conv2d`` unless an argument is a choice.
"""

from __future__ import annotations

import copy
import functools
import inspect
import types
from abc import ABCMeta
from collections.abc import Callable, Iterator
from typing import Any

import torch

from nas_core.building import Building
from nas_core.construction import SESSION, take_key
from nas_core.deferred import empty_class
from nas_core.expression import concrete, evaluate, expressions_in
from nas_core.quick import quick_class
from nas_core.structure import ATOMS
from nas_core.wrapper import remember_arguments, remember_creation

__all__ = ["is_open_layer", "layer_class"]

_AS_THEY_ARE = (torch.nn.Module, torch.nn.ParameterList, torch.nn.ParameterDict)
_CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)

_new, _set = object.__new__, object.__setattr__


class _LayerType(type):
    """Makes plain ``torch.nn`` layers where no choice is open; both count as instances."""

    _nas_plain: type[torch.nn.Module] | None
    """The class of ``torch.nn``; None for a subclass of the user's."""
    _nas_quick: type[torch.nn.Module]
    _nas_empty: type[torch.nn.Module]
    _nas_late: Callable[..., None]
    """Initialises an object that was left empty."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any], **kwargs: Any
    ) -> Any:
        attributes.setdefault("_nas_plain", None)
        return super().__new__(mcs, name, bases, attributes, **kwargs)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        session, plain = SESSION.get(), cls._nas_plain
        if plain is None:
            return super().__call__(*args, **kwargs)
        if type(session) is not Building:
            key = take_key()
            is_open = any(True for _ in expressions_in((args, kwargs)))
            layer = super().__call__(*args, **kwargs) if is_open else plain(*args, **kwargs)
            remember_creation(layer, key)
            return layer
        # As little as can be: this runs between torch's constructors, for each layer.
        key = session.scope + (session.next,)  # noqa: RUF005  Unpacking takes twice as long.
        session.next += 1
        if key in session.unused:
            if list in map(type, args):  # As they are now, whatever happens to them later.
                args = tuple([list(x) if type(x) is list else x for x in args])
            return session.leave(_new(cls._nas_empty), key, cls._nas_late, args, kwargs)
        if session.disturbed is not None:
            session.rewind()
        closed = True
        if not ATOMS.issuperset(map(type, args)):
            args = tuple([_known(x, session) for x in args])
            closed = ATOMS.issuperset(map(type, args))
        if not ATOMS.issuperset(map(type, kwargs.values())):
            kwargs = {name: _known(x, session) for name, x in kwargs.items()}
            closed = closed and ATOMS.issuperset(map(type, kwargs.values()))
        layer = session.make(key, plain, cls._nas_quick, args, kwargs)
        if closed:
            session.closed.add(id(layer))
        return layer

    @property
    def __signature__(cls) -> inspect.Signature:
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    # `type(layer) == nn.Linear` is how many constructors find the layers to initialise.
    def __eq__(cls, other: object) -> bool:
        return cls is other or (other is not None and cls._nas_plain is other)

    def __hash__(cls) -> int:
        return id(cls) if cls._nas_plain is None else hash(cls._nas_plain)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._nas_plain or ()) or super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls._nas_plain or ()) or super().__subclasscheck__(subclass)


class _ContainerType(_LayerType, ABCMeta):
    """Makes the containers of ``torch.nn``; a class that inherits from one inherits from torch's.

    ``ABCMeta``, since such a class may also inherit from ``ABC``.
    """

    _nas_plain: type[torch.nn.Module]

    def __new__(
        mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any], **kwargs: Any
    ) -> Any:
        if "_nas_plain" in attributes:
            return super().__new__(mcs, name, bases, attributes, **kwargs)
        plain = [vars(x)["_nas_plain"] if isinstance(x, _ContainerType) else x for x in bases]
        return types.new_class(name, tuple(plain), kwargs, lambda own: own.update(attributes))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        session, key, plain = SESSION.get(), take_key(), cls._nas_plain
        if type(session) is not Building or key is None:
            container = plain(*args, **kwargs)
            remember_creation(container, key)
            return container
        if key not in session.unused:
            return session.make(key, plain, cls._nas_quick, args, kwargs)
        if kwargs or (now := _as_they_are_now(args)) is None:
            return plain(*args, **kwargs)
        return session.leave(_new(cls._nas_empty), key, cls._nas_late, now, kwargs)


def _known(value: Any, session: Building) -> Any:
    """An argument with its choices decided."""
    return value if type(value) in ATOMS else evaluate(value, session.value)


def _as_they_are_now(args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The arguments of a container, whatever happens to them later; None if that can't be told."""
    now: list[Any] = []
    for x in args:
        if isinstance(x, (torch.nn.Module, type(None))):
            now.append(x)
        elif isinstance(x, (list, tuple, dict)):
            now.append(copy.copy(x))
        elif isinstance(x, Iterator):  # Its modules are to be made now.
            now.append(list(x))
        else:
            return None
    return tuple(now)


def is_open_layer(module: torch.nn.Module) -> bool:
    """Whether it is a layer that was given open choices, outside of a constructor."""
    return getattr(type(module), "_nas_plain", None) is not None


def layer_class(plain: type[torch.nn.Module]) -> type:
    """The class of ``nas_core.nn`` for one of ``torch.nn``."""
    if plain in _AS_THEY_ARE:
        return plain

    def late(layer: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        plain.__init__(layer, *concrete(args), **concrete(kwargs))

    @functools.wraps(plain.__init__)
    def __init__(self: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        late(self, *args, **kwargs)
        remember_arguments(self, args, kwargs)

    own = plain in _CONTAINERS
    attributes = {
        "__init__": plain.__init__ if own else __init__,
        "__module__": "nas_core.nn",
        "__doc__": f"``torch.nn.{plain.__name__}``, whose arguments may be choices.",
        "_nas_plain": plain,
        "_nas_quick": quick_class(plain),
        "_nas_empty": empty_class(plain),
        "_nas_late": plain.__init__ if own else late,
    }
    kind = _ContainerType if own else _LayerType
    made: type = kind(plain.__name__, (plain,), attributes)
    return made
