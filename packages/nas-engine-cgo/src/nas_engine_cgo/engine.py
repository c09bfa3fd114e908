"""The engine: candidates of a batch become jobs that train them as one merged graph."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from nas_core import Candidate, Evaluator, Job, Problem
from nas_core.formats import require_explanation
from nas_engine_graph.engine import GraphEngine

from nas_engine_cgo.cost import Memory
from nas_engine_cgo.explain import Described, describe, page, picture, source, text
from nas_engine_cgo.job import CACHE, MergedJob, why_one_by_one
from nas_engine_cgo.members import GlobalStates
from nas_engine_cgo.options import Options, with_options

__all__ = ["CgoEngine"]

log = logging.getLogger("nas_engine_cgo")


class CgoEngine:
    """Builds and exports as the graph engine does, and trains many candidates at once.

    A ``SupervisedEvaluator`` is a recipe that can be followed for several models in one loop; with
    any other evaluator each candidate is trained as the graph engine would.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._graph = GraphEngine()
        self._options = options or Options()
        self._has_said = False

    def configured(self, **options: Any) -> CgoEngine:
        """An engine with other options.

        Args:
            options: ``cluster_size``, how many members are merged with each other; ``memory`` that
                they may take together, in bytes or as ``"2GiB"``; ``exact``, whether each gets the
                bits that it gets alone; ``cuda_graph``, whether steps on a GPU are launched as CUDA
                graphs; ``tape``, whether those on a CPU are repeated without autograd; ``twins``,
                whether candidates that are one model in other names are trained ``"each"`` or
                ``"once"``; ``widen``, whether zeros are added to layers that differ in width, so
                that they run as one; and the passes that may be switched off: ``share_data``,
                ``deduplicate``, ``cache_features``, ``fuse`` and ``stack_optimizer``.

        >>> CgoEngine().configured(cluster_size=0)
        Traceback (most recent call last):
        nas_core.errors.EngineOptionError: engine 'cgo': cluster_size must be a whole number >= 1, \
not 0

        Raises:
            EngineOptionError: there is no such option, or its value is not accepted.
        """
        return CgoEngine(with_options(self._options, options))

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
        if len(jobs) < 2:
            return jobs
        if (reason := why_one_by_one(evaluator)) is not None:
            if not self._has_said:
                log.warning("cgo trains candidates one by one: %s", reason)
                self._has_said = True
            return jobs
        return [MergedJob(tuple(jobs), self._options)]

    def explain(
        self,
        base_model: torch.nn.Module,
        candidates: Sequence[Candidate],
        evaluator: Evaluator,
        formatter: str,
    ) -> str:
        """What the job of ``plan`` would do; as ``"text"``, ``"source"``, ``"html"`` or ``"svg"``.

        The first batches of a kind on a machine are timed, as they are by the job.

        Raises:
            UnsupportedFormatError: another format, or the extra ``draw`` is not installed.
            UnsupportedSpaceError: there are ``problems``.
        """
        require_explanation(formatter)
        jobs = self._graph.plan(base_model, candidates, evaluator)
        if (reason := why_one_by_one(evaluator)) is not None:
            described = Described(tuple(candidates), (), {c.number: reason for c in candidates})
        else:
            with _random_states_kept():
                described = describe(jobs, self._options, Memory(CACHE))
        forms = {"text": text, "source": source, "html": page, "svg": picture}
        return forms[formatter](described)

    def export(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any], formatter: str
    ) -> dict[str, Any] | torch.nn.Module | str:
        """What the graph engine exports."""
        return self._graph.export(base_model, architecture, formatter)


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """Leave the global generators as they were: members are built under seeds of their own."""
    states = GlobalStates.now()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        states.restore()
