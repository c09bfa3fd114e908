"""The engine: a candidate becomes a graph, and lives on as the source of that graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from nas_core import (
    Architecture,
    Candidate,
    Evaluator,
    Problem,
    Recorder,
    Result,
    Space,
    build,
    run_candidate,
)
from nas_core.errors import NasError, UnsupportedSpaceError
from nas_core.failure import Failed, attempt, failure_text
from nas_core.formats import format_refused
from nas_core.model import Recipe
from nas_core.uncollected import uncollected

from nas_engine_graph.draw import draw
from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.ir import Graph
from nas_engine_graph.mutate import MutatedModel, MutatorError
from nas_engine_graph.mutate.inline import InlineGraphs
from nas_engine_graph.weights import Generated, generated

__all__ = ["GraphEngine", "GraphJob"]

_REMEMBERED = 256
"""How many architectures of a model have sources that are kept, the latest."""


class GraphEngine:
    """Builds candidates whose code is generated: plain PyTorch that needs nothing else to run.

    A candidate is made by the user's constructor, converted, rewritten by the mutators if there
    are any, and put together of the classes of the generated source and the layers and tensors
    that the constructor made. What mutators have changed is made by the generated constructors, and
    the rest of such a candidate has the constructor's weights. TorchScript reads each kind of piece
    once.

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
        self._inline: WeakKeyDictionary[torch.nn.Module, InlineGraphs] = WeakKeyDictionary()
        self._made: WeakKeyDictionary[torch.nn.Module, dict[Architecture, Generated]] = (
            WeakKeyDictionary()
        )

    def problems(self, base_model: torch.nn.Module, evaluator: Evaluator) -> Iterator[Problem]:
        """Why the model can't be made again, or its first architecture not be converted."""
        if base_model not in self._problems:
            self._problems[base_model] = tuple(self._found(base_model))
        yield from self._problems[base_model]

    def build(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any]
    ) -> torch.nn.Module:
        """The model of an architecture, from generated source, with the initial weights of ``py``.

        Raises:
            InvalidArchitectureError: it is no point of the model's space.
            UnsupportedSpaceError: the class can't be run again, or the model not be converted.
        """
        inline = self._inline_of(base_model)
        valid = self._space(base_model).validate(architecture)
        model = inline.recipe.build(valid)
        made = self._refusing(lambda: self._generated(base_model, inline.convert(model), valid))
        return made.with_weights_of(model)

    def plan(
        self, base_model: torch.nn.Module, candidates: Sequence[Candidate], evaluator: Evaluator
    ) -> Sequence[GraphJob]:
        """One job per candidate, with its source; one that can't be made fails alone.

        Candidates that differ in nothing but the evaluator's choices have the same source.

        Raises:
            UnsupportedSpaceError: there are ``problems``.
        """
        if problems := tuple(self.problems(base_model, evaluator)):
            raise UnsupportedSpaceError(problems)
        inline, space = self._inline_of(base_model), self._space(base_model)
        known = self._made.setdefault(base_model, {})

        def made(candidate: Candidate) -> Generated | NasError:
            valid = space.part_of(candidate.architecture)
            if valid not in known:
                with uncollected():
                    found = attempt(lambda: self._generated(base_model, inline.of(valid), valid))
                if isinstance(found, Failed):
                    return _why_not(found.error)
                if len(known) == _REMEMBERED:
                    del known[next(iter(known))]
                known[valid] = found
            return known[valid]

        return [GraphJob((c,), made(c), inline.recipe, evaluator) for c in candidates]

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
                return dict(self._space(base_model).validate(architecture))
            case "instance":
                return self.build(base_model, architecture)
            case "code":
                valid = self._space(base_model).validate(architecture)
                made = self._refusing(lambda: self._first(base_model, valid))
                return made.source.formatted()
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
        valid = self._space(base_model).validate(architecture)
        try:
            if isinstance(base_model, MutatedModel):
                graph = base_model.graph(valid)
            else:
                graph = self._inline_of(base_model).of(valid)
            return draw(graph, base_model, valid, formatter, inputs)
        except (UnsupportedModuleError, MutatorError) as error:
            raise UnsupportedSpaceError([Problem(str(error))]) from error

    def _space(self, base_model: torch.nn.Module) -> Space:
        if isinstance(base_model, MutatedModel):
            return base_model.space
        return self._inline_of(base_model).space

    def _inline_of(self, base_model: torch.nn.Module) -> InlineGraphs:
        if isinstance(base_model, MutatedModel):
            return base_model.inline
        if base_model not in self._inline:
            self._inline[base_model] = InlineGraphs(base_model)
        return self._inline[base_model]

    def _first(self, base_model: torch.nn.Module, valid: Mapping[str, Any]) -> Generated:
        return self._generated(base_model, self._inline_of(base_model).of(valid), valid)

    def _generated(
        self, base_model: torch.nn.Module, graph: Graph, valid: Mapping[str, Any]
    ) -> Generated:
        if isinstance(base_model, MutatedModel):
            return generated(graph, base_model.mutate(graph, valid))
        return generated(graph, graph)

    def _refusing(self, make: Callable[[], Generated]) -> Generated:
        try:
            return make()
        except (UnsupportedModuleError, MutatorError) as error:
            raise UnsupportedSpaceError([Problem(str(error))]) from error

    def _found(self, base_model: torch.nn.Module) -> Iterator[Problem]:
        try:
            self._first(base_model, self._space(base_model).default())
        except UnsupportedSpaceError as error:
            for problem in error.problems:
                yield problem if isinstance(problem, Problem) else Problem(str(problem))
        except NasError as error:  # It can't be converted, or choices contradict each other.
            yield Problem(str(error))


def _why_not(error: BaseException) -> NasError:
    """The reason as an error that can be sent to where the candidate fails."""
    return error if isinstance(error, NasError) else _PlanError(failure_text(error))


class _PlanError(NasError, RuntimeError):
    """Something raised while a candidate was made."""


@dataclass(frozen=True)
class GraphJob:
    """One candidate: its source, or why there is none, how it is initialised, what measures it."""

    candidates: tuple[Candidate, ...]
    made: Generated | NasError
    recipe: Recipe
    evaluator: Evaluator

    def build(self) -> torch.nn.Module:
        """The model, with the initial weights that the random state gives it.

        Raises:
            Exception: what the user's constructor raises, or why there is no source.
        """
        (candidate,) = self.candidates
        model = build(self.recipe, candidate.architecture)
        if isinstance(self.made, NasError):
            raise self.made
        return self.made.with_weights_of(model)

    def run(self, recorder: Recorder) -> Iterator[Result]:
        """Build, evaluate, and yield the one result."""
        (candidate,) = self.candidates
        yield run_candidate(candidate, self.build, self.evaluator, recorder)
