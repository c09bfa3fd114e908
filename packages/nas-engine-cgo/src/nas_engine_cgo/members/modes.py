"""Modules for which it counts how often they are told to train, or not to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from torch import nn

from nas_engine_cgo.members.ghosts import ghost_module
from nas_engine_cgo.members.keeping import overrides
from nas_engine_cgo.members.record import Record

__all__ = ["changed_by_modes"]

_ATOMS = frozenset({bool, int, float, str, type(None)})


def changed_by_modes(module: nn.Module) -> str | None:
    """What ``train`` or ``eval`` of a submodule change each time they are called; None if nothing.

    >>> class Cooling(nn.Module):
    ...     temperature = 1.0
    ...     def train(self, mode=True):
    ...         self.temperature *= 0.9
    ...         return super().train(mode)
    >>> changed_by_modes(nn.Sequential(Cooling())), changed_by_modes(nn.Sequential(nn.ReLU()))
    ('temperature of Cooling', None)
    """
    if not any(overrides(type(child)) for child in module.modules()):
        return None
    ghost = ghost_module(module, Record(module).ghosts)
    first, again, other, other_again, back = (
        _told(ghost, mode) for mode in (True, True, False, False, True)
    )
    for one, two in ((first, again), (other, other_again), (first, back)):
        for key in one.keys() | two.keys():
            if one.get(key) != two.get(key):
                return f"{key[1]} of {type(ghost.get_submodule(key[0])).__name__}"
    return None


def _told(module: nn.Module, training: bool) -> Mapping[tuple[str, str], Hashable]:
    """What is held once it was told to be in a mode."""
    (module.train if training else module.eval)()
    return {
        (path, name): _content(value)
        for path, child in module.named_modules()
        for name, value in vars(child).items()
    }


def _content(value: Any) -> Hashable:
    if type(value) in _ATOMS:
        return type(value), value
    if isinstance(value, (dict, list, set)):
        items = (*value, *value.values()) if isinstance(value, dict) else (*value,)
        return type(value), *map(id, items)
    return id(value)
