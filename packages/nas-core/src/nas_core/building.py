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
from nas_core.deferred import empty_class, fill
from nas_core.expression import Operation
from nas_core.quick import as_torch_made_it
from nas_core.structure import ATOMS
from nas_core.value import ValueChoice

__all__ = ["Building"]

_Late: TypeAlias = tuple["Building", Callable[..., None], tuple[Any, ...], dict[str, Any]]
"""The session that left an object empty, and the ``__init__`` and arguments that fill it."""

_TORCHS = frozenset(x for x in vars(torch.nn).values() if isinstance(x, type))
"""The classes of most of torch's own modules."""

_DRAW_NOTHING = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)

_ARGUMENTS = ATOMS | {ValueChoice, Operation}
"""Types whose values are no modules and hold none."""


class Building(Fixed):
    """The session in which a candidate's constructor runs.

    Args:
        values: the architecture.
        labels: creation key → label, for choices without a label of their own.
        unused: the creations that it drops, as far as is known; None to leave all layers empty
            that nothing touches, in order to find out.

    Attributes:
        made: the creations that were made, and their layers or units, by the id of these.
        closed: the ids of layers made that hold no modules but what torch has made for them.
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
        self.closed: set[int] = set()
        self.disturbed: torch.Tensor | None = None
        self._quick = as_torch_made_it()
        self._left: dict[int, tuple[Key, Module]] = {}
        self._held: dict[int, Iterable[Module | None]] = {}
        self._dropped: list[object] = []

    def make(
        self,
        key: Key,
        plain: type[Module],
        quick: type[Module],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Module:
        """A layer of a class of ``torch.nn``, which has a quick one."""
        if self._quick:
            layer = quick(*args, **kwargs)
            object.__setattr__(layer, "__class__", plain)
        else:
            layer = plain(*args, **kwargs)
        self.made[id(layer)] = key, layer
        return layer

    def leave(
        self,
        layer: Module,
        key: Key,
        initialise: Callable[..., None],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Module:
        """Let an empty object be initialised by this call when something touches it."""
        # Not setattr, which is a touch.
        object.__setattr__(layer, "_late", (self, initialise, args, kwargs))
        self._left[id(layer)] = key, layer
        if not _ARGUMENTS.issuperset(map(type, args)) or (
            kwargs and not _ARGUMENTS.issuperset(map(type, kwargs.values()))
        ):
            self._held[id(layer)] = _modules_in((*args, *kwargs.values()))
        return layer

    def initialise(
        self,
        unit: Module,
        key: Key,
        initialise: Callable[..., None],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Initialise a module of the user's, or leave it empty."""
        if key in self.unused:
            object.__setattr__(unit, "__class__", empty_class(type(unit)))
            self.leave(unit, key, initialise, args, kwargs)
            return
        self.rewind()
        self.made[id(unit)] = key, unit
        initialise(unit, *args, **kwargs)

    def touch(self, layer: Module, late: _Late) -> None:
        """Initialise an empty layer after all."""
        if self.disturbed is None and not isinstance(layer, _DRAW_NOTHING):
            self.disturbed = torch.get_rng_state()
        _, initialise, args, kwargs = late
        fill(layer)
        with running(self):
            initialise(layer, *args, **kwargs)
        self._held[id(layer)] = layer._modules.values()

    def rewind(self) -> None:
        """Take back what a layer drew that is not used, though its own constructor touched it."""
        if self.disturbed is not None:
            torch.set_rng_state(self.disturbed)
            self.disturbed = None

    def drop(self, *modules: object) -> None:
        """A choice does not use these, nor what is in them."""
        if self.disturbed is not None:
            self.rewind()
        self._dropped += modules

    def conclude(self, model: Module) -> tuple[list[Module], Container[Key]]:
        """The modules of the model that are not torch's own, and the creations that it dropped.

        If these are what was left empty, they are ``unused``, the very object. Ends the session: it
        keeps no layers any more.
        """
        used, own = self._tree(model)
        dropped = self._in_what_was_dropped() - used
        keys = self.unused
        if not (dropped.issuperset(self._left) and dropped.isdisjoint(self.made)):
            created = {**self.made, **self._left}
            keys = {created[number][0] for number in dropped & created.keys()}
        # Empty layers know their session: they would keep all others until cycles are collected.
        self.made, self._left, self._held, self._dropped = {}, {}, {}, []
        return own, keys

    def _tree(self, model: Module) -> tuple[set[int], list[Module]]:
        """The ids of the modules of a model, and those that are not torch's own.

        Empty ones are among both; they are not touched.
        """
        found, own, closed = {id(model)}, [], self.closed
        pending = [model]
        for module in pending:  # It grows meanwhile.
            kind = type(module)
            # Not those with a metaclass: the classes of nas_core.nn equal those of torch.
            if type(kind) is type and (kind in _TORCHS or kind.__module__.startswith("torch.nn.")):
                inner: Iterable[Module | None] = module._modules.values()
            else:
                own.append(module)
                inner = self._in(module)
            for child in inner:
                if child is not None and (number := id(child)) not in found:
                    found.add(number)
                    if number not in closed:
                        pending.append(child)
        return found, own

    def _in_what_was_dropped(self) -> set[int]:
        """The ids of what choices dropped, and of all that is in it."""
        found: set[int] = set()
        left, held, closed, pending = self._left, self._held, self.closed, self._dropped
        for module in pending:  # It grows meanwhile.
            if (number := id(module)) in found:
                continue
            found.add(number)
            if number in left:
                if number in held:
                    pending += held[number]
            elif number not in closed and isinstance(module, Module):
                pending += module._modules.values()
        return found

    def _in(self, module: Module) -> Iterable[Module | None]:
        """What a module holds, or will hold if it is empty."""
        is_left = id(module) in self._left
        return self._held.get(id(module), ()) if is_left else module._modules.values()


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
