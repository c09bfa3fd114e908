"""Torch's own constructors in less time, with the same result.

Most of what a small layer costs is ``torch.nn.Module`` in Python: its constructor sets its
attributes one by one, and whatever a layer keeps is asked again and again whether it is a
parameter, a module or a buffer, or whether its name is taken. Here the constructor of a layer runs
on an object of a subclass that does this at once; then the object gets its own class. What a layer
computes, draws and keeps is left to torch, and so is whatever is not as simple as it mostly is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import torch
from torch.nn import Module, Parameter

from nas_core.structure import ATOMS

__all__ = ["as_torch_made_it", "quick_class", "sequential"]

_methods = attrgetter(
    "__init__", "__setattr__", "register_parameter", "register_buffer", "add_module"
)
_TORCHS = _methods(Module)
"""What is done here in another way."""

_TOLD = [
    getattr(torch.nn.modules.module, f"_global_{kind}_registration_hooks", {"unknown": None})
    for kind in ("parameter", "buffer", "module")
]
"""Who is to be told of what a module is given: nobody, most often."""

_STATE = dict(vars(Module()))
"""What torch gives each module; read from one, so that nothing is missing in another version."""

_OWN = [(name, type(value)) for name, value in _STATE.items() if type(value) not in ATOMS]
"""What each module has to itself: empty dicts and sets."""

_PLAIN = ATOMS | {tuple, list}
"""Types whose values are no parameters, modules or buffers."""


def as_torch_made_it() -> bool:
    """Whether nobody has replaced what is done here in another way, nor is to be told of it."""
    return _methods(Module) == _TORCHS and not any(_TOLD)


def quick_class(plain: type[Module]) -> type[Module]:
    """A class for whose objects the constructor of a class of ``torch.nn`` takes less time.

    The class itself where more than its constructor takes part.
    """
    if plain.__new__ is not object.__new__ or plain.call_super_init:
        return plain
    return type(plain.__name__, (plain, _Quick), {"__module__": plain.__module__})


class _Quick(Module):
    """Does the same as ``torch.nn.Module`` for a layer that is being made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            super().__init__(*args, **kwargs)
            return
        state = self.__dict__
        state.update(_STATE)
        for name, kind in _OWN:
            state[name] = kind()

    def __setattr__(self, name: str, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN and not _is_registered(self.__dict__, name):
            object.__setattr__(self, name, value)
        elif kind is Parameter and value.grad_fn is None and _is_new(self, name):
            self.__dict__["_parameters"][name] = value
        else:
            super().__setattr__(name, value)

    def register_buffer(
        self, name: str, tensor: torch.Tensor | None, persistent: bool = True
    ) -> None:
        if type(tensor) is torch.Tensor and persistent and _is_new(self, name):
            self.__dict__["_buffers"][name] = tensor
        else:
            super().register_buffer(name, tensor, persistent)

    def add_module(self, name: str, module: Module | None) -> None:
        named = type(name) is str and name and "." not in name
        if named and isinstance(module, Module) and _is_new(self, name):
            self.__dict__["_modules"][name] = module
        else:
            super().add_module(name, module)


def _is_registered(state: Mapping[str, Any], name: str) -> bool:
    return (
        "_modules" not in state  # Whatever it is: the constructor of Module has yet to run.
        or name in state["_parameters"]
        or name in state["_modules"]
        or name in state["_buffers"]
    )


def _is_new(module: Module, name: str) -> bool:
    state = module.__dict__
    return not (_is_registered(state, name) or name in state or hasattr(type(module), name))


_SEQUENTIAL = quick_class(torch.nn.Sequential)


def sequential(modules: Iterable[Module]) -> torch.nn.Sequential:
    """A ``torch.nn.Sequential``."""
    if not as_torch_made_it():
        return torch.nn.Sequential(*modules)
    made: Any = _SEQUENTIAL(*modules)
    object.__setattr__(made, "__class__", torch.nn.Sequential)
    return made  # type: ignore[no-any-return]
