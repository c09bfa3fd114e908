"""The engine: makes a candidate by running the user's class again, its choices fixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from nas_core.formats import format_refused
from nas_core.model import Recipe

__all__ = ["PyEngine", "PyJob"]

_NO_SOURCE = "it runs your class as it is, and keeps no source of the result"


class PyEngine:
    """Builds candidates with the user's own constructor, so that any Python may be in it.

    >>> import nas_core as nas
    >>> import nas_core.nn as nn
    >>> @nas.model_wrapper
    ... class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label="width"))
    >>> PyEngine().build(Net(), {"width": 3})
    Net(
      (layer): Linear(in_features=4, out_features=3, bias=True)
    )
    """

    def problems(self, base_model: torch.nn.Module, evaluator: Evaluator) -> Iterator[Problem]:
        """Why the class can't be run again; nothing else is asked of a model."""
        try:
            recipe(base_model)
        except UnsupportedSpaceError as error:
            for problem in error.problems:
                yield problem if isinstance(problem, Problem) else Problem(str(problem))
        except NasError as error:  # Choices that contradict each other.
            yield Problem(str(error), certain=True)

    def build(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any]
    ) -> torch.nn.Module:
        """The plain model of an architecture, with initial weights as if written by hand.

        Raises:
            InvalidArchitectureError: it is no point of the model's space.
            UnsupportedSpaceError: the class can't be run again.
        """
        return build(base_model, architecture)

    def plan(
        self, base_model: torch.nn.Module, candidates: Sequence[Candidate], evaluator: Evaluator
    ) -> Sequence[PyJob]:
        """One job per candidate.

        Raises:
            UnsupportedSpaceError: the class can't be run again.
        """
        made = recipe(base_model)
        return [PyJob((candidate,), made, evaluator) for candidate in candidates]

    def export(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any], formatter: str
    ) -> dict[str, Any] | torch.nn.Module:
        """The architecture as a ``"dict"``, or its model as an ``"instance"``.

        Raises:
            UnsupportedFormatError: another format; the message names the engines that have it.
            InvalidArchitectureError: the architecture is no point of the model's space.
        """
        match formatter:
            case "dict":
                return dict(Space.of(base_model).validate(architecture))
            case "instance":
                return self.build(base_model, architecture)
            case _:
                raise format_refused("py", formatter, ["dict", "instance"], _NO_SOURCE)


@dataclass(frozen=True)
class PyJob:
    """One candidate: how its model is made, and what measures it. Holds no weights."""

    candidates: tuple[Candidate, ...]
    recipe: Recipe
    evaluator: Evaluator

    def run(self, recorder: Recorder) -> Iterator[Result]:
        """Build, evaluate, and yield the one result."""
        for candidate in self.candidates:

            def make(candidate: Candidate = candidate) -> torch.nn.Module:
                return build(self.recipe, candidate.architecture)

            yield run_candidate(candidate, make, self.evaluator, recorder)
