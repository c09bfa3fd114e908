"""A recipe is all that is needed to make the candidates of a model: no weights, no space."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from nas_core.architecture import Architecture, Value
from nas_core.building import Building
from nas_core.choice import Choice, Key
from nas_core.construction import Open, running
from nas_core.errors import Place, UnsupportedSpaceError
from nas_core.expression import Expression, Need, bind
from nas_core.generators import random_states
from nas_core.model.program import fresh_arguments
from nas_core.model.reading import Reader
from nas_core.model.scan import reader_of, scan, trace_model
from nas_core.model.uses import Uses
from nas_core.needs import refuse_needs
from nas_core.nn.choices import InputChoice, LayerChoice, Repeat
from nas_core.nn.layers import is_open_layer
from nas_core.protocols import Problem
from nas_core.space import Space
from nas_core.structure import ATOMS, has_attributes, map_values
from nas_core.wrapper import record_of

__all__ = ["Recipe", "build", "recipe"]


_NO_RECORD = (
    "{name} can't be made again, since its class does not record its arguments: "
    "write @nas_core.model_wrapper above `class {name}`"
)
_OF_TORCH = (
    "{name} can't be made again, since torch's classes do not record their arguments: "
    "make it in the __init__ of a class of yours, with @nas_core.model_wrapper above that"
)
_OPEN_OUTSIDE = (
    "{name} holds a {kind} with open choices that was created outside of its __init__: create it "
    "inside, or call a function there that makes it"
)
_OPEN_ARGUMENT = (
    "an argument of {name} is a {kind} with open choices: create it inside __init__, "
    "or pass a function that makes it"
)


_TORCH_OWN = frozenset(torch.nn.Module().__dict__)

_REMEMBERED = 8
"""So many plans a model keeps: what was built lately may well be built again."""


@dataclass(frozen=True)
class Plan:
    """What is known of a model before it is built.

    Attributes:
        values: the architecture.
        labels: creation key → label of the choices without a label of their own.
        unused: the creations that it will not use, as far as is known.
    """

    values: dict[str, Value]
    labels: Mapping[Key, str]
    unused: Container[Key]


@dataclass(frozen=True)
class Recipe:
    """A model class and the arguments of its constructor, choices included.

    Picklable (with cloudpickle for classes of notebooks and scripts).

    Attributes:
        labels: creation key → label of the choices without a label of their own; None if the
            model decides while it is built, so that only a run of the constructor tells.
        uses: which creations the architectures use, as far as that is known.
    """

    cls: type[torch.nn.Module]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    labels: Mapping[Key, str] | None
    uses: Uses = field(default_factory=Uses)

    def build(self, values: Mapping[str, Value]) -> torch.nn.Module:
        """The plain model of an architecture that is valid for the space.

        Its initial weights, and the state of torch's random generator afterwards, are those that
        a hand-written constructor of the same model leaves.

        Raises:
            Exception: whatever the constructor raises.
        """
        return self.carry_out(self.plan(values))

    def plan(self, values: Mapping[str, Value]) -> Plan:
        """What is known of an architecture before its model is built."""
        plain = dict(values.items())  # Without items(), each label would be asked for.
        labels, uses = self._traced(plain) if self.labels is None else (self.labels, self.uses)
        return Plan(plain, labels, uses.unused(plain))

    def carry_out(self, plan: Plan) -> torch.nn.Module:
        """The model of a plan."""
        session = Building(plan.values, plan.labels, plan.unused)
        rewind = random_states()
        try:
            model = self._construct(session)
            own, unused = session.conclude(model)
            right = unused is plan.unused
        except Exception:  # noqa: BLE001  It runs again, to raise from the user's line.
            rewind()
            unused, right = self._rehearsed(plan), False
        if not right:
            rewind()
            session = Building(plan.values, plan.labels, unused)
            model = self._construct(session)
            own, _ = session.conclude(model)
        for module in own:
            if type(type(module)) is not type:
                _check_closed(module, self.cls)
            if not _TORCH_OWN.issuperset(module.__dict__):
                _bind_attributes(module, plan.values)
        return model

    def _rehearsed(self, plan: Plan) -> Container[Key]:
        """What is not used, without making what raises; as planned if that can't be told."""
        session = Building(plan.values, plan.labels, unused=None)
        try:
            return session.conclude(self._construct(session))[1]
        except Exception:  # noqa: BLE001  As above.
            return plan.unused

    def _construct(self, session: Building) -> torch.nn.Module:
        args, kwargs = self.args, self.kwargs
        if self._varying:
            args, kwargs = fresh_arguments(args, kwargs, session.values)
        with running(session):
            return self.cls(*args, **kwargs)

    @functools.cached_property
    def _varying(self) -> bool:
        """Whether an argument is not the same for all candidates."""
        found = []

        def look(leaf: object) -> object:
            found.append(isinstance(leaf, (torch.nn.Module, torch.Tensor, Expression)))
            return leaf

        map_values((self.args, dict(self.kwargs)), look)
        return any(found)

    def _traced(self, values: Mapping[str, Value]) -> tuple[Mapping[Key, str], Uses]:
        def decide(choice: Choice) -> Value:
            return choice.domain.find(values[choice.label])

        args, kwargs = fresh_arguments(self.args, self.kwargs)
        with torch.random.fork_rng(devices=[]), running(Open(decide)):
            traced = trace_model(self.cls(*args, **kwargs))
        return traced.labels, traced.uses


def _check_closed(module: torch.nn.Module, cls: type[torch.nn.Module]) -> None:
    """Refuse what was created open, outside of the constructor: no architecture closes it."""
    if isinstance(module, (InputChoice, LayerChoice, Repeat)) or is_open_layer(module):
        names = {"name": cls.__name__, "kind": type(module).__name__}
        raise UnsupportedSpaceError([Problem(_OPEN_OUTSIDE.format(**names), certain=True)])


def _bind_attributes(module: torch.nn.Module, values: Mapping[str, Value]) -> None:
    """Let choices that were created outside of the constructor know their value."""
    for name, value in module.__dict__.items():
        if name in _TORCH_OWN or type(value) in ATOMS:
            continue
        try:
            follow = not isinstance(value, torch.Tensor) and has_attributes(value)
            bound = bind(value, values, follow)
        except Need:
            continue  # Not among what the architecture decides: calling it says so.
        if bound is not value:
            module.__dict__[name] = bound


def recipe(model: torch.nn.Module) -> Recipe:
    """How to make candidates of this model.

    Raises:
        UnsupportedSpaceError: its class is not decorated, or an argument is an open module.
    """
    return _made(model).recipe


class _Made:
    """What is made of a model once: its recipe, its space, and plans of what was built last."""

    def __init__(self, recipe: Recipe, space: Space, reader: Reader | None) -> None:
        @functools.lru_cache(_REMEMBERED)
        def planned(architecture: Architecture) -> Plan:
            values = dict(architecture.items())
            unused = None if reader is None else reader.unused(values)
            if unused is None or not space.allows(architecture):
                return recipe.plan(space.validate(architecture))
            return Plan(values, recipe.labels or {}, unused)

        self.recipe = recipe
        self.space = space
        self._planned = planned

    def plan(self, architecture: Mapping[str, Value]) -> Plan:
        """The plan of an architecture, if that is a point of the space."""
        if isinstance(architecture, Architecture):
            return self._planned(architecture)
        return self.recipe.plan(self.space.validate(architecture))  # Anything else may change.


def _made(model: torch.nn.Module) -> _Made:
    """The recipe and the space of a model as its constructor left it."""
    if not isinstance(model, torch.nn.Module):
        raise UnsupportedSpaceError([Problem(_no_model(model), certain=True)])
    refuse_needs(model)
    record = record_of(model)
    if record is None:
        cls = type(model)
        of_torch = cls.__module__.partition(".")[0] == torch.__name__
        message = (_OF_TORCH if of_torch else _NO_RECORD).format(name=cls.__name__)
        place = None if of_torch else _place_of(cls)
        raise UnsupportedSpaceError([Problem(message, place, certain=True)])
    if record.made is None:
        for argument in (*record.args, *record.kwargs.values()):
            if isinstance(argument, torch.nn.Module) and Space.of(argument).labels:
                names = {"name": record.cls.__name__, "kind": type(argument).__name__}
                message = _OPEN_ARGUMENT.format(**names)
                raise UnsupportedSpaceError([Problem(message, certain=True)])
        called = (record.cls, record.args, record.kwargs)
        if record.chosen:
            record.made = _Made(Recipe(*called, None), scan(model), None)
        else:
            traced = trace_model(model)
            made_by = Recipe(*called, traced.labels, traced.uses)
            space = Space(traced.items, traced.constraints)
            record.made = _Made(made_by, space, reader_of(model, traced.uses))
    made: _Made = record.made
    return made


def _no_model(given: object) -> str:
    if isinstance(given, type):
        return f"a model is needed, not the class {given.__name__}: call it, {given.__name__}(...)"
    return f"a model is needed, a torch.nn.Module, not {given!r:.80}"


def _place_of(cls: type) -> Place | None:
    """Where a class is written, if it is written in a file."""
    try:
        return Place(inspect.getfile(cls), inspect.getsourcelines(cls)[1])
    except (OSError, TypeError):
        return None


def build(model: torch.nn.Module | Recipe, architecture: Mapping[str, Value]) -> torch.nn.Module:
    """The plain PyTorch model of one architecture.

    Args:
        model: an instance of a ``model_wrapper`` class, its choices open; or its recipe, for
            which the architecture is not checked again.
        architecture: label → value for every active choice.

    Raises:
        InvalidArchitectureError: it is not a point of the model's space.
        UnsupportedSpaceError: the model can't be made again.
    """
    if isinstance(model, Recipe):
        return model.build(architecture)
    made = _made(model)
    return made.recipe.carry_out(made.plan(architecture))
