"""The engine: tells whom it serves, makes models, plans jobs, exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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

__all__ = ["StencilEngine", "StencilJob", "make"]


class StencilEngine:
    """Makes candidates with the user's own constructor; they know their architecture."""

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
        """The model of an architecture, with weights as if written by hand."""
        return make(base_model, architecture)

    def plan(
        self,
        base_model: torch.nn.Module,
        candidates: Sequence[Candidate],
        evaluator: Evaluator,
    ) -> Sequence[StencilJob]:
        """One job per candidate: workers take jobs, so these can run at the same time."""
        made = recipe(base_model)
        return [StencilJob((candidate,), made, evaluator) for candidate in candidates]

    def export(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any], formatter: str
    ) -> dict[str, Any] | torch.nn.Module:
        """The architecture as a ``"dict"``, or its model as an ``"instance"``."""
        match formatter:
            case "dict":
                return dict(Space.of(base_model).validate(architecture))
            case "instance":
                return self.build(base_model, architecture)
            case _:
                why = "it keeps no source of what it makes"
                raise format_refused("stencil", formatter, ["dict", "instance"], why)


@dataclass(frozen=True)
class StencilJob:
    """Candidates that are run one after the other. Jobs are sent to workers: no weights in them."""

    candidates: tuple[Candidate, ...]
    recipe: Recipe
    evaluator: Evaluator

    def run(self, recorder: Recorder) -> Iterator[Result]:
        """One result per candidate; ``run_candidate`` turns what goes wrong into results."""
        for candidate in self.candidates:
            build_it = partial(make, self.recipe, candidate.architecture)
            yield run_candidate(candidate, build_it, self.evaluator, recorder)


def make(source: torch.nn.Module | Recipe, architecture: Mapping[str, Any]) -> torch.nn.Module:
    """The model of an architecture, plain PyTorch, with ``model.nas_architecture``."""
    model = build(source, architecture)
    # In the object's own dict: neither a parameter nor a buffer, so the state dict stays as it was.
    vars(model)["nas_architecture"] = dict(architecture)
    return model
