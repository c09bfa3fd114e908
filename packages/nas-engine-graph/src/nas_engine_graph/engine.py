"""The engine: a candidate is converted to a graph, and lives on as the source of that graph."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from nas_core import (
    Candidate,
    Evaluator,
    Problem,
    Recorder,
    Result,
    Space,
    build,
    recipe,
    run_candidate,
)
from nas_core.errors import NasError, UnsupportedSpaceError
from nas_core.expression import Expression
from nas_core.formats import format_refused
from nas_core.model import Recipe

from nas_engine_graph.backend import Source, source_of, take_over
from nas_engine_graph.draw import draw
from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend import convert
from nas_engine_graph.ir import Graph
from nas_engine_graph.known import Known

__all__ = ["GraphEngine", "GraphJob"]


class GraphEngine:
    """Builds candidates whose code is generated: plain PyTorch that needs nothing else to run.

    A candidate is made by the user's constructor, converted, and made again from the generated
    source, with the same initial weights.

    >>> import nas_core as nas
    >>> from nas_core.testing import REFERENCES
    >>> model = REFERENCES[0].model()
    >>> architecture = nas.Space.of(model).default()
    >>> "nas_core" in GraphEngine().export(model, architecture, "code")
    False
    """

    def __init__(self) -> None:
        self._problems: WeakKeyDictionary[torch.nn.Module, tuple[Problem, ...]] = (
            WeakKeyDictionary()
        )

    def problems(self, base_model: torch.nn.Module, evaluator: Evaluator) -> Iterator[Problem]:
        """Why the model can't be made again, or its first architecture can't be converted."""
        if base_model not in self._problems:
            self._problems[base_model] = tuple(_problems(base_model))
        yield from self._problems[base_model]

    def build(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any]
    ) -> torch.nn.Module:
        """The model of an architecture, from generated source, with the initial weights of ``py``.

        Raises:
            InvalidArchitectureError: it is no point of the model's space.
            UnsupportedSpaceError: the class can't be run again, or the model not be converted.
        """
        return _from_source(self._source(base_model, architecture), build(base_model, architecture))

    def plan(
        self, base_model: torch.nn.Module, candidates: Sequence[Candidate], evaluator: Evaluator
    ) -> Sequence[GraphJob]:
        """One job per candidate, with its source; one that can't be converted fails alone.

        Raises:
            UnsupportedSpaceError: there are ``problems``.
        """
        if problems := tuple(self.problems(base_model, evaluator)):
            raise UnsupportedSpaceError(problems)
        made, space = recipe(base_model), Space.of(base_model)
        return [
            GraphJob((candidate,), _converted(made, space, candidate), made, evaluator)
            for candidate in candidates
        ]

    def export(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any], formatter: str
    ) -> dict[str, Any] | torch.nn.Module | str:
        """The architecture as a ``"dict"``, its model as an ``"instance"`` or as ``"code"``.

        Raises:
            UnsupportedFormatError: another format.
            InvalidArchitectureError: the architecture is no point of the model's space.
            UnsupportedSpaceError: its model can't be converted.
        """
        match formatter:
            case "dict":
                return dict(Space.of(base_model).validate(architecture))
            case "instance":
                return self.build(base_model, architecture)
            case "code":
                return self._source(base_model, architecture).formatted()
            case _:
                formats = ["dict", "instance", "code"]
                raise format_refused("graph", formatter, formats, "there is no such format")

    def draw(
        self,
        base_model: torch.nn.Module,
        architecture: Mapping[str, Any],
        formatter: str,
        inputs: Sequence[Any] = (),
    ) -> str:
        """The graph of an architecture's model, as ``nas_core.protocols.Draws`` says."""
        valid = Space.of(base_model).validate(architecture)
        try:
            graph = _graph(recipe(base_model), valid)
            return draw(graph, base_model, valid, formatter, inputs)
        except UnsupportedModuleError as error:
            raise UnsupportedSpaceError([Problem(str(error))]) from error

    def _source(self, base_model: torch.nn.Module, architecture: Mapping[str, Any]) -> Source:
        valid = Space.of(base_model).validate(architecture)
        try:
            return _source(recipe(base_model), valid)
        except UnsupportedModuleError as error:
            raise UnsupportedSpaceError([Problem(str(error))]) from error


def _problems(base_model: torch.nn.Module) -> Iterator[Problem]:
    try:
        _source(recipe(base_model), Space.of(base_model).default())
    except UnsupportedModuleError as error:
        yield Problem(str(error))
    except UnsupportedSpaceError as error:
        for problem in error.problems:
            yield problem if isinstance(problem, Problem) else Problem(str(problem))
    except NasError as error:  # Choices that contradict each other.
        yield Problem(str(error))


def _source(made: Recipe, architecture: Mapping[str, Any]) -> Source:
    return source_of(_graph(made, architecture))


def _graph(made: Recipe, architecture: Mapping[str, Any]) -> Graph:
    """Convert a model of its own: what it drew, and what is changed in it, nobody sees."""
    with torch.random.fork_rng(devices=[]):
        model = made.build(architecture)
        for module in list(model.modules()):
            for name, value in list(vars(module).items()):
                if isinstance(value, Expression):
                    delattr(module, name)
                    module.add_module(name, Known(value()))
        return convert(model)


def _converted(made: Recipe, space: Space, candidate: Candidate) -> Source | UnsupportedModuleError:
    try:
        return _source(made, space.part_of(candidate.architecture))
    except UnsupportedModuleError as error:
        return error


def _from_source(source: Source, model: torch.nn.Module) -> torch.nn.Module:
    """The module of the source, with the weights and the mode of the model it was made of."""
    for kind in {type(module) for module in model.modules()}:
        # A class of a script or notebook is sent to workers, but its module there lacks it.
        home = sys.modules.get(kind.__module__)
        if home is not None and not hasattr(home, kind.__name__):
            setattr(home, kind.__name__, kind)
    with torch.random.fork_rng(devices=[]):
        made = source.instantiate()
    take_over(made, model)
    return made


@dataclass(frozen=True)
class GraphJob:
    """One candidate: its source, or why there is none, how it is initialised, what measures it."""

    candidates: tuple[Candidate, ...]
    source: Source | UnsupportedModuleError
    recipe: Recipe
    evaluator: Evaluator

    def run(self, recorder: Recorder) -> Iterator[Result]:
        """Build, evaluate, and yield the one result."""
        (candidate,) = self.candidates

        def make() -> torch.nn.Module:
            if isinstance(self.source, UnsupportedModuleError):
                raise self.source
            return _from_source(self.source, build(self.recipe, candidate.architecture))

        yield run_candidate(candidate, make, self.evaluator, recorder)
