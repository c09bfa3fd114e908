"""The engine: candidates of a batch become jobs that train them as one merged graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from nas_core import Candidate, Evaluator, Job, Problem
from nas_engine_graph.engine import GraphEngine

from nas_engine_cgo.job import MergedJob, mergeable
from nas_engine_cgo.train import Options

__all__ = ["CgoEngine"]


class CgoEngine:
    """Builds and exports as the graph engine does, and trains many candidates at once.

    A ``SupervisedEvaluator`` is a recipe that can be followed for several models in one loop; with
    any other evaluator each candidate is trained as the graph engine would.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._graph = GraphEngine()
        self._options = options or Options()

    def problems(self, base_model: torch.nn.Module, evaluator: Evaluator) -> Iterator[Problem]:
        """Those of the graph engine."""
        return self._graph.problems(base_model, evaluator)

    def build(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any]
    ) -> torch.nn.Module:
        """The model that the graph engine builds."""
        return self._graph.build(base_model, architecture)

    def plan(
        self, base_model: torch.nn.Module, candidates: Sequence[Candidate], evaluator: Evaluator
    ) -> Sequence[Job]:
        """One job for all candidates whose recipe can be followed together."""
        jobs = self._graph.plan(base_model, candidates, evaluator)
        if len(jobs) < 2 or not mergeable(evaluator):
            return jobs
        return [MergedJob(tuple(jobs), self._options)]

    def export(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any], formatter: str
    ) -> dict[str, Any] | torch.nn.Module | str:
        """What the graph engine exports."""
        return self._graph.export(base_model, architecture, formatter)
