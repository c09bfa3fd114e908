"""The engine: four methods, and a job that answers for two candidates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from nas_core import Candidate, Evaluator, Problem, Recorder, Result, build, recipe, run_candidate
from nas_core.errors import UnsupportedSpaceError
from nas_core.formats import format_refused
from nas_core.model import Recipe


class DemoEngine:
    """Builds with the user's own class, and writes the architecture on the model."""

    def problems(self, base_model: torch.nn.Module, evaluator: Evaluator) -> Iterator[Problem]:
        """Only a class that records how it is made can be made again."""
        try:
            recipe(base_model)
        except UnsupportedSpaceError as error:
            yield Problem(str(error))

    def build(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any]
    ) -> torch.nn.Module:
        """Check the architecture and build it."""
        return signed(build(base_model, architecture), architecture)

    def plan(
        self, base_model: torch.nn.Module, candidates: Sequence[Candidate], evaluator: Evaluator
    ) -> Sequence["DemoJob"]:
        """Put two candidates in each job."""
        made = recipe(base_model)
        pairs = (tuple(candidates[i : i + 2]) for i in range(0, len(candidates), 2))
        return [DemoJob(pair, made, evaluator) for pair in pairs]

    def export(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any], formatter: str
    ) -> torch.nn.Module:
        """Give the model; there is no other format."""
        if formatter != "instance":
            raise format_refused("demo", formatter, ["instance"], "it only makes models")
        return self.build(base_model, architecture)


@dataclass(frozen=True)
class DemoJob:
    """Candidates that are run one after the other."""

    candidates: tuple[Candidate, ...]
    recipe: Recipe
    evaluator: Evaluator

    def run(self, recorder: Recorder) -> Iterator[Result]:
        """Yield one result per candidate; ``run_candidate`` turns failures into results."""
        for candidate in self.candidates:
            make = partial(build_signed, self.recipe, candidate.architecture)
            yield run_candidate(candidate, make, self.evaluator, recorder)


def build_signed(made: Recipe, architecture: Mapping[str, Any]) -> torch.nn.Module:
    """Build a model that knows its architecture."""
    return signed(build(made, architecture), architecture)


def signed(model: torch.nn.Module, architecture: Mapping[str, Any]) -> torch.nn.Module:
    """Write the architecture on the model: it is no parameter, the state dict stays as it was."""
    vars(model)["architecture"] = dict(architecture)
    return model
