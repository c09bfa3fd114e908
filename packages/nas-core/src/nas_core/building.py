"""Build only what the architecture uses, with the random numbers that a hand-written model draws.

``LayerChoice({"conv": Conv2d(...), "pool": ...})`` constructs all candidates before the choice can
drop one. The session in which a candidate's constructor runs is therefore told beforehand which
creations the architecture does not use. Those stay empty; all others are made at once, as without
a session. Afterwards it says which creations were in fact not used: if it was told the same, the
model is the one that is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch.nn import Module

from nas_core.architecture import Value
from nas_core.choice import Key
from nas_core.construction import Fixed, running
from nas_core.deferred import empty_class, fill, is_empty
from nas_core.expression import concrete

__all__ = ["Building", "tree"]

_Call: TypeAlias = tuple[Callable[..., None], tuple[Any, ...], dict[str, Any]]
"""An ``__init__`` and its arguments."""

_TORCHS = frozenset(x for x in vars(torch.nn).values() if isinstance(x, type))
"""The classes of most of torch's own modules."""


class Building(Fixed):
    """The session in which a candidate's constructor runs.

    Args:
        values: the architecture.
        labels: creation key → label, for choices without a label of their own.
        unused: the creations that it drops, as far as is known; None to leave all layers empty
            that nothing touches, in order to find out.

    Attributes:
        made: the layers and units, empty ones included, with their creations, by id.
        left: the creations that were left empty.
        disturbed: the state of the random generator before a layer drew that is not used.
    """

    def __init__(
        self,
        values: Mapping[str, Value],
        labels: Mapping[Key, str],
        unused: Container[Key] | None,
    ) -> None:
        super().__init__(values, labels)
        self.unused = _Everything() if unused is None else unused
        self.made: dict[int, tuple[Key, Module]] = {}
        self.left: set[Key] = set()
        self.disturbed: torch.Tensor | None = None
        self._empty: dict[int, _Call] = {}
        self._dropped: set[int] = set()

    def leave(self, layer: Module, key: Key, call: _Call) -> Module:
        """Let an empty object be initialised by this call when something touches it."""
        object.__setattr__(layer, "_touched", self._touched)
        self.left.add(key)
        self.made[id(layer)] = key, layer
        self._empty[id(layer)] = call
        return layer

    def initialise(self, unit: Module, key: Key, call: _Call) -> None:
        """Initialise a module of the user's by this call, or leave it empty."""
        if key in self.unused:
            object.__setattr__(unit, "__class__", empty_class(type(unit)))
            self.leave(unit, key, call)
            return
        self.rewind()
        self.made[id(unit)] = key, unit
        initialise, args, kwargs = call
        initialise(unit, *args, **kwargs)

    def _touched(self, layer: Module) -> None:
        if self.disturbed is None:
            self.disturbed = torch.get_rng_state()
        initialise, args, kwargs = self._empty.pop(id(layer))
        fill(layer)
        with running(self):
            initialise(layer, *concrete(args), **concrete(kwargs))

    def rewind(self) -> None:
        """Take back what a layer drew that is not used, though its own constructor touched it."""
        if self.disturbed is not None:
            torch.set_rng_state(self.disturbed)
            self.disturbed = None

    def drop(self, module: object) -> None:
        """A choice does not use this module, nor what is in it."""
        if not isinstance(module, Module):
            return
        if self.disturbed is not None:
            self.rewind()
        number = id(module)
        if number in self.made:
            self._dropped.add(number)
        if number in self._empty:
            _, args, kwargs = self._empty[number]
            if args or kwargs:
                for part in _modules_in((*args, *kwargs.values())):
                    self.drop(part)
            return
        for child in module._modules.values():
            if child is not None:
                self.drop(child)

    def dropped(self, used: Container[int]) -> set[Key]:
        """The creations that a choice dropped and that are not among the model's modules, by id.

        Ends the session: it keeps no layers any more.
        """
        dropped = {self.made[x][0] for x in self._dropped if x not in used}
        # Empty layers know their session: they would keep all others until cycles are collected.
        self.made.clear()
        return dropped


class _Everything:
    """Every creation."""

    def __contains__(self, key: object) -> bool:
        return True


def _modules_in(parts: Iterable[Any]) -> list[Module]:
    found: list[Module] = []
    for part in parts:
        if isinstance(part, Module):
            found.append(part)
        elif isinstance(part, (list, tuple)):
            found += _modules_in(part)
        elif isinstance(part, dict):
            found += _modules_in(part.values())
    return found


def tree(model: Module) -> tuple[dict[int, Module], list[Module]]:
    """The modules of a model by their id, and those that are not torch's own.

    Empty modules are among both; they are not touched.
    """
    found, own = {id(model): model}, []
    pending = [model]
    for module in pending:  # It grows meanwhile.
        kind = type(module)
        # Not those with a metaclass: the classes of nas_core.nn equal those of torch.
        if type(kind) is not type or kind not in _TORCHS:
            if not kind.__module__.startswith("torch.nn."):
                own.append(module)
            if type(kind) is not type and is_empty(module):
                continue
        if children := module._modules:
            for child in children.values():
                if child is not None and id(child) not in found:
                    found[id(child)] = child
                    pending.append(child)
    return found, own
