"""Every layer of ``torch.nn``, with choices allowed as arguments.

``nas_core.nn.Conv2d(1, width, 3)`` is a plain ``torch.nn.Conv2d`` unless an argument is a choice.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch

from nas_core.building import Building
from nas_core.choice import Key
from nas_core.construction import SESSION, take_key
from nas_core.deferred import empty_class
from nas_core.expression import OPEN, concrete, evaluate, expressions_in
from nas_core.structure import ATOMS
from nas_core.value import ValueChoice
from nas_core.wrapper import remember_arguments, remember_creation

__all__ = ["is_open_layer", "layer_class"]

_CONTAINERS = (
    torch.nn.Module,
    torch.nn.Sequential,
    torch.nn.ModuleList,
    torch.nn.ModuleDict,
    torch.nn.ParameterList,
    torch.nn.ParameterDict,
)


class _LayerType(type):
    """Makes plain ``torch.nn`` layers where no choice is open; both count as instances."""

    _nas_plain: type[torch.nn.Module] | None
    """The class of ``torch.nn``; None for a subclass of the user's."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any], **kwargs: Any
    ) -> _LayerType:
        attributes.setdefault("_nas_plain", None)
        return super().__new__(mcs, name, bases, attributes, **kwargs)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        session, plain = SESSION.get(), cls._nas_plain
        if type(session) is not Building or plain is None:
            return cls._nas_open(args, kwargs)
        # As little as can be: this runs between torch's constructors, for each layer.
        key = (*session.scope, session.next)
        session.next += 1
        if key in session.unused:
            return _left_empty(session, key, plain, args, kwargs)
        if session.disturbed is not None:
            session.rewind()
        values = []
        for x in args:
            if type(x) is ValueChoice and x.fixed is not OPEN:
                values.append(x.fixed)
            else:
                values.append(x if type(x) in ATOMS else evaluate(x, session.value))
        for name, x in kwargs.items():
            if type(x) not in ATOMS:
                kwargs[name] = evaluate(x, session.value)
        layer = plain(*values, **kwargs)
        session.made[id(layer)] = key, layer
        return layer

    def _nas_open(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a layer where no candidate is built, or one of a class of the user's."""
        plain = cls._nas_plain
        if plain is None:
            return super().__call__(*args, **kwargs)
        key = take_key()
        is_open = any(True for _ in expressions_in((args, kwargs)))
        layer = super().__call__(*args, **kwargs) if is_open else plain(*args, **kwargs)
        remember_creation(layer, key)
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


def is_open_layer(module: torch.nn.Module) -> bool:
    """Whether it is a layer that was given open choices, outside of a constructor."""
    return getattr(type(module), "_nas_plain", None) is not None


def _left_empty(
    session: Building,
    key: Key,
    kind: type[torch.nn.Module],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> torch.nn.Module:
    """An empty layer, to be initialised with these arguments if something touches it."""
    # Lists as they are now, whatever happens to them before the layer is initialised.
    args = tuple([list(x) if type(x) is list else x for x in args]) if args else ()
    return session.leave(kind.__new__(empty_class(kind)), key, (kind.__init__, args, kwargs))


def layer_class(plain: type[torch.nn.Module]) -> type:
    """The class of ``nas_core.nn`` for one of ``torch.nn``; containers stay as they are."""
    if plain in _CONTAINERS:
        return plain

    @functools.wraps(plain.__init__)
    def __init__(self: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        plain.__init__(self, *concrete(args), **concrete(kwargs))
        remember_arguments(self, args, kwargs)

    attributes = {
        "__init__": __init__,
        "__module__": "nas_core.nn",
        "__doc__": f"``torch.nn.{plain.__name__}``, whose arguments may be choices.",
        "_nas_plain": plain,
    }
    return _LayerType(plain.__name__, (plain,), attributes)
