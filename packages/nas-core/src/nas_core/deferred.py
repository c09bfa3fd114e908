"""Build only what the architecture uses, with the random numbers that a hand-written model draws.

``LayerChoice({"conv": Conv2d(...), "pool": ...})`` constructs all candidates before the choice
can drop one. While a candidate model is built, the layers of ``nas_core.nn`` therefore stay
*deferred*: empty objects of the right class that are initialised, in the order of their creation,
when something touches them or when the constructor ends. What the choices drop is never
initialised, so that building costs what the plain constructor costs, and the initial weights are
those of the hand-written model.

That order can be disturbed: by other code that draws random numbers in between, or touches a
layer before a choice drops it. Then the model is built a second time, with no layer deferred but
those known to be dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nas_core.architecture import Value
from nas_core.choice import Key
from nas_core.construction import Fixed, running

__all__ = ["Building", "tree"]


@dataclass(slots=True)
class _Deferred:
    """A layer whose ``__init__`` has yet to run."""

    layer: torch.nn.Module
    kind: type[torch.nn.Module]
    initialise: Callable[[torch.nn.Module], None]
    parts: tuple[Any, ...]
    place: tuple[torch.dtype, torch.device]


class Building(Fixed):
    """The session in which a candidate's constructor runs.

    Args:
        values: the architecture.
        labels: creation key → label, for choices without a label of their own.
        unused: the ordinals of the layers to defer; None for all.
    """

    def __init__(
        self,
        values: Mapping[str, Value],
        labels: Mapping[Key, str],
        unused: frozenset[int] | None = None,
    ) -> None:
        super().__init__(values, labels)
        self.disturbed = False
        self._unused = unused
        self._made: dict[int, tuple[int, torch.nn.Module]] = {}
        self._pending: dict[int, _Deferred] = {}
        self._dropped: dict[int, _Deferred | None] = {}
        self._random_state = torch.get_rng_state()
        self._before_unused: torch.Tensor | None = None

    def defer(
        self,
        layer: torch.nn.Module,
        kind: type[torch.nn.Module],
        initialise: Callable[[torch.nn.Module], None],
        parts: tuple[Any, ...],
    ) -> None:
        """Initialise the layer later, or now if it is known to be used.

        Args:
            layer: an object whose ``__init__`` has not run.
            kind: its class.
            initialise: runs its ``__init__``.
            parts: the arguments, which may hold other deferred layers.
        """
        ordinal = len(self._made)
        self._made[id(layer)] = ordinal, layer
        if self._unused is not None and ordinal not in self._unused:
            self._rewind()
            initialise(layer)
            return
        state = torch.get_rng_state()
        if self._pending and not torch.equal(state, self._random_state):
            self.disturbed = True
        self._random_state = state
        object.__setattr__(layer, "__class__", _deferred_class(kind))
        object.__getattribute__(layer, "__dict__")["_session"] = self
        deferred = _Deferred(layer, kind, initialise, parts, _defaults())
        if self._unused is None:
            self._pending[id(layer)] = deferred
        else:
            self._dropped[id(layer)] = deferred

    def drop(self, module: object) -> None:
        """A choice does not use this module: leave what is deferred in it as it is."""
        if not isinstance(module, torch.nn.Module):
            return
        self._rewind()
        known = id(module) in self._made
        if (deferred := self._pending.pop(id(module), None)) is not None:
            self._dropped[id(module)] = deferred
            for part in _modules_in(deferred.parts):
                self.drop(part)
            return
        if known and id(module) not in self._dropped:
            self._dropped[id(module)] = None
            self.disturbed = True  # It was initialised in vain.
        if not known or not _is_deferred(module):
            for child in module._modules.values():
                if child is not None:
                    self.drop(child)

    def finish(self, model: torch.nn.Module) -> frozenset[int]:
        """Initialise what is left; the ordinals of the layers that the model does not use."""
        with running(self):
            self._initialise_pending()
        used = {id(module) for module in tree(model)}
        with running(self):
            for key in used & self._dropped.keys():
                self._wake_dropped(key)
        return frozenset(self._made[key][0] for key in self._dropped.keys() - used)

    def wake(self, layer: torch.nn.Module) -> None:
        """Initialise a deferred layer, since something touches it, after those before it."""
        with running(self):
            if id(layer) in self._pending:
                self._initialise_pending(layer)
            else:
                self._wake_dropped(id(layer))

    def _initialise_pending(self, last: torch.nn.Module | None = None) -> None:
        if self._pending and not torch.equal(torch.get_rng_state(), self._random_state):
            self.disturbed = True
        while self._pending:
            key = next(iter(self._pending))
            self._initialise(self._pending.pop(key))
            if last is not None and key == id(last):
                break
        self._random_state = torch.get_rng_state()

    def _wake_dropped(self, key: int) -> None:
        if (deferred := self._dropped.get(key)) is not None:
            self._dropped[key] = None
            self.disturbed = True
            if self._before_unused is None and self._unused is not None:
                self._before_unused = torch.get_rng_state()
            self._initialise(deferred)

    def _rewind(self) -> None:
        """Take back what a layer drew that is not used, though its own constructor touched it."""
        if self._before_unused is not None:
            torch.set_rng_state(self._before_unused)
            self._before_unused = None

    def _initialise(self, deferred: _Deferred) -> None:
        if deferred.place != _defaults():
            self.disturbed = True
        object.__setattr__(deferred.layer, "__class__", deferred.kind)
        del deferred.layer.__dict__["_session"]
        deferred.initialise(deferred.layer)


def _defaults() -> tuple[torch.dtype, torch.device]:
    """What a tensor that is created here would be."""
    probe = torch.empty(0)
    return probe.dtype, probe.device


def _is_deferred(module: torch.nn.Module) -> bool:
    return "_session" in object.__getattribute__(module, "__dict__")


def _modules_in(parts: tuple[Any, ...]) -> Iterator[torch.nn.Module]:
    for part in parts:
        if isinstance(part, torch.nn.Module):
            yield part
        elif isinstance(part, (list, tuple)):
            yield from _modules_in(tuple(part))
        elif isinstance(part, dict):
            yield from _modules_in(tuple(part.values()))


def tree(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The modules of a model, each once, without touching deferred ones."""
    seen: set[int] = set()
    pending = [model]
    while pending:
        module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield module
        if not _is_deferred(module):
            pending += [child for child in module._modules.values() if child is not None]


_deferred_classes: dict[type[torch.nn.Module], type] = {}


def _deferred_class(kind: type[torch.nn.Module]) -> type:
    if kind not in _deferred_classes:
        _deferred_classes[kind] = _make_deferred_class(kind)
    return _deferred_classes[kind]


class _DeferredType(type):
    """Its classes equal the class of the layer, for code that compares types."""

    def __eq__(cls, other: object) -> bool:
        return cls is other or other == cls.__base__

    def __hash__(cls) -> int:
        return hash(cls.__base__)


def _make_deferred_class(kind: type[torch.nn.Module]) -> type:
    """A subclass whose objects initialise themselves at the first touch."""

    def wake(layer: torch.nn.Module) -> None:
        object.__getattribute__(layer, "__dict__")["_session"].wake(layer)

    def getattribute(layer: torch.nn.Module, name: str) -> Any:
        # isinstance() asks for the class: that alone is no touch.
        if name != "__class__":
            wake(layer)
        return getattr(layer, name) if name != "__class__" else kind

    def set_attribute(layer: torch.nn.Module, name: str, value: Any) -> None:
        wake(layer)
        setattr(layer, name, value)

    def delete_attribute(layer: torch.nn.Module, name: str) -> None:
        wake(layer)
        delattr(layer, name)

    made: type = _DeferredType(
        kind.__name__,
        (kind,),
        {
            "__getattribute__": getattribute,
            "__setattr__": set_attribute,
            "__delattr__": delete_attribute,
        },
    )
    return made
