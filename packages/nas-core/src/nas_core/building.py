"""Build only what the architecture uses, with the random numbers that a hand-written model draws.

``LayerChoice({"conv": Conv2d(...), "pool": ...})`` constructs all candidates before the choice can
drop one. The session in which a candidate's constructor runs is therefore told beforehand which
creations the architecture does not use. Those stay empty; all others are made at once, as without
a session. Afterwards it says which creations were in fact not used: if it was told the same, the
model is the one that is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

import torch

from nas_core.architecture import Value
from nas_core.choice import Key
from nas_core.construction import Fixed, running
from nas_core.deferred import empty_class, fill, is_empty
from nas_core.expression import OPEN, concrete, evaluate
from nas_core.structure import ATOMS
from nas_core.value import ValueChoice

__all__ = ["Building", "tree"]

_Call: TypeAlias = tuple[Callable[..., None], tuple[Any, ...], dict[str, Any]]
"""An ``__init__`` and its arguments."""


class Building(Fixed):
    """The session in which a candidate's constructor runs.

    Args:
        values: the architecture.
        labels: creation key → label, for choices without a label of their own.
        unused: the creations that it drops, as far as is known; None to leave all layers empty
            that nothing touches, in order to find out.

    Attributes:
        left: the creations that were left empty.
    """

    def __init__(
        self,
        values: Mapping[str, Value],
        labels: Mapping[Key, str],
        unused: Collection[Key] | None,
    ) -> None:
        super().__init__(values, labels)
        self.left: set[Key] = set()
        self._unused = unused
        self._made: dict[int, tuple[Key, torch.nn.Module]] = {}
        self._empty: dict[int, _Call] = {}
        self._dropped: set[int] = set()
        self._before_unused: torch.Tensor | None = None

    def layer(
        self, kind: type[torch.nn.Module], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> torch.nn.Module:
        """Make a layer of torch, or leave it empty; the keyword arguments become its own."""
        key = (*self._scope, self._next)
        self._next += 1
        if self._unused is None or key in self._unused:
            # Lists as they are now, whatever happens to them before the layer is initialised.
            args = tuple([list(x) if type(x) is list else x for x in args]) if args else ()
            layer = kind.__new__(empty_class(kind))
            self._leave(layer, key, (kind.__init__, args, kwargs))
            return layer
        if self._before_unused is not None:
            self._rewind()
        # Plain loops: between torch's constructors each further function, even one in C, takes
        # several times as long as in a loop of its own.
        values = []
        for x in args:
            if type(x) is ValueChoice and x.fixed is not OPEN:
                values.append(x.fixed)
            else:
                values.append(x if type(x) in ATOMS else evaluate(x, self.value))
        for name, x in kwargs.items():
            if type(x) not in ATOMS:
                kwargs[name] = evaluate(x, self.value)
        layer = kind(*values, **kwargs)
        self._made[id(layer)] = key, layer
        return layer

    def initialise(self, unit: torch.nn.Module, key: Key, call: _Call) -> None:
        """Initialise a module of the user's by this call, or leave it empty."""
        if self._unused is None or key in self._unused:
            object.__setattr__(unit, "__class__", empty_class(type(unit)))
            self._leave(unit, key, call)
            return
        self._rewind()
        self._made[id(unit)] = key, unit
        initialise, args, kwargs = call
        initialise(unit, *args, **kwargs)

    def _leave(self, layer: torch.nn.Module, key: Key, call: _Call) -> None:
        object.__getattribute__(layer, "__dict__")["_touched"] = self._touched
        self.left.add(key)
        self._made[id(layer)] = key, layer
        self._empty[id(layer)] = call

    def _touched(self, layer: torch.nn.Module) -> None:
        if self._before_unused is None:
            self._before_unused = torch.get_rng_state()
        initialise, args, kwargs = self._empty.pop(id(layer))
        fill(layer)
        with running(self):
            initialise(layer, *concrete(args), **concrete(kwargs))

    def _rewind(self) -> None:
        """Take back what a layer drew that is not used, though its own constructor touched it."""
        if self._before_unused is not None:
            torch.set_rng_state(self._before_unused)
            self._before_unused = None

    def drop(self, module: object) -> None:
        """A choice does not use this module, nor what is in it."""
        if not isinstance(module, torch.nn.Module):
            return
        if self._before_unused is not None:
            self._rewind()
        if id(module) in self._made:
            self._dropped.add(id(module))
        if (call := self._empty.get(id(module))) is not None:
            _, args, kwargs = call
            for part in _modules_in((*args, *kwargs.values())) if args or kwargs else ():
                self.drop(part)
            return
        for child in module._modules.values():
            if child is not None:
                self.drop(child)

    def unused(self, modules: Mapping[int, torch.nn.Module]) -> set[Key]:
        """The creations that a choice dropped and that are not among the model's modules, by id.

        Ends the session: it keeps no layers any more.
        """
        unused = {self._made[x][0] for x in self._dropped if x not in modules}
        # Empty layers know their session: they would keep all others until cycles are collected.
        self._made.clear()
        return unused


def _modules_in(parts: Iterable[Any]) -> list[torch.nn.Module]:
    found: list[torch.nn.Module] = []
    for part in parts:
        if isinstance(part, torch.nn.Module):
            found.append(part)
        elif isinstance(part, (list, tuple)):
            found += _modules_in(part)
        elif isinstance(part, dict):
            found += _modules_in(part.values())
    return found


def tree(model: torch.nn.Module) -> dict[int, torch.nn.Module]:
    """The modules of a model by their id, without touching empty ones."""
    found = {id(model): model}
    pending = [model]
    for module in pending:  # It grows meanwhile.
        # Most classes are plain ones: no need to ask.
        if type(type(module)) is type or not is_empty(module):
            for child in module._modules.values():
                if child is not None and id(child) not in found:
                    found[id(child)] = child
                    pending.append(child)
    return found
