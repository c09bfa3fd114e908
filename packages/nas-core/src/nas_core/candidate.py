"""Run one candidate from its seed to its result: the edge where anything may be raised."""

from __future__ import annotations

import math
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nas_core import resolve
from nas_core.errors import NasError, nearest
from nas_core.failure import failure_text
from nas_core.protocols import Candidate, Direction, Evaluator, Metrics, Recorder, Result
from nas_core.pruned import Pruned

if TYPE_CHECKING:
    import torch

__all__ = ["checked_metrics", "run_candidate", "seed_all", "seed_host"]


class MetricsError(NasError, ValueError):
    """An evaluator's answer can't be used."""


def run_candidate(
    candidate: Candidate,
    build: Callable[[], torch.nn.Module],
    evaluator: Evaluator,
    recorder: Recorder,
) -> Result:
    """Build a candidate and evaluate it under its seed; whatever goes wrong is in the result.

    Jobs of one candidate yield just this. The random generators of Python, numpy (if loaded) and
    torch are seeded once, before the model is built, as a hand-written script would do.

    Args:
        candidate: which one.
        build: makes its model.
        evaluator: measures it; choices in its attributes are resolved first.
        recorder: is told of intermediate metrics and, at the end, of the model; it may prune the
            candidate.

    >>> import torch
    >>> from nas_core import Architecture
    >>> from nas_core.testing import CountParameters, Recording
    >>> candidate = Candidate(7, Architecture({}), seed=0)
    >>> build = lambda: torch.nn.Linear(3, 2)
    >>> run_candidate(candidate, build, CountParameters(), Recording()).metrics
    {'parameters': 8.0}
    >>> run_candidate(candidate, lambda: 1 / 0, CountParameters(), Recording()).error[:17]
    'ZeroDivisionError'
    """
    started = time.perf_counter()
    metrics = error = details = None
    reporting = _Reporting(recorder, candidate.number)
    try:
        metrics = _evaluate(candidate, build, evaluator, recorder, reporting)
    except Pruned as raised:
        reporting.pruned = raised
    # The model and the evaluator are anybody's code. sys.exit() in a training script is a failure
    # of this candidate too; only Ctrl-C is meant for all of us.
    except (Exception, SystemExit) as raised:  # noqa: BLE001
        error, details = failure_text(raised), traceback.format_exc()
    seconds = time.perf_counter() - started
    if reporting.pruned is not None:
        return Result(candidate.number, None, seconds=seconds, pruned=reporting.pruned.reason)
    return Result(candidate.number, metrics, error, details, seconds)


class _Reporting:
    """``report`` of one candidate; it stays pruned even if its evaluator catches what says so."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.pruned: Pruned | None = None
        self.objectives: Mapping[str, Direction] = {}
        self._recorder = recorder
        self._number = number

    def __call__(self, step: int, metrics: Metrics | float) -> None:
        if self.pruned is not None:
            raise self.pruned
        step = _step(step)
        numbers = _numbers(metrics, self.objectives, "report takes")
        try:
            self._recorder.report(self._number, step, numbers)
        except Pruned as raised:
            self.pruned = raised
            raise


def _evaluate(
    candidate: Candidate,
    build: Callable[[], torch.nn.Module],
    evaluator: Evaluator,
    recorder: Recorder,
    reporting: _Reporting,
) -> dict[str, float]:
    seed_all(candidate.seed)
    model = build()
    resolved: Evaluator = resolve(evaluator, candidate.architecture)
    reporting.objectives = resolved.objectives
    answer = resolved.evaluate(model, seed=candidate.seed, report=reporting)
    if reporting.pruned is not None:
        raise reporting.pruned
    metrics = checked_metrics(answer, resolved.objectives)
    recorder.trained(candidate.number, model)
    return metrics


def seed_all(seed: int) -> None:
    """Seed the random generators of Python, numpy (if it is loaded) and torch, on all devices.

    >>> import torch
    >>> seed_all(7)
    >>> first = torch.rand(2)
    >>> torch.equal(torch.rand(2, generator=torch.Generator().manual_seed(7)), first)
    True
    """
    import torch

    seed_host(seed)
    # For every kind of device that is not there, manual_seed writes down a stack trace.
    if torch.accelerator.is_available():
        torch.manual_seed(seed)


def seed_host(seed: int) -> None:
    """Seed these random generators of this machine's processor alone."""
    import torch

    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)


def checked_metrics(answer: object, objectives: Mapping[str, Direction]) -> dict[str, float]:
    """What an evaluator gave back, as metrics that have a finite number for each objective.

    >>> checked_metrics(0.5, {"accuracy": "maximize"})
    {'accuracy': 0.5}

    Raises:
        ValueError: it is neither a number nor metrics, or an objective is missing or no
            finite number.
    """
    metrics = _numbers(answer, objectives, "the evaluator must return")
    for name in objectives:
        if name not in metrics:
            have = ", ".join(map(repr, metrics)) or "nothing"
            raise MetricsError(
                f"the evaluator returned no {name!r}, which is an objective; "
                f"it returned {have}{nearest(name, metrics)}"
            )
        if not math.isfinite(metrics[name]):
            raise MetricsError(f"the evaluator returned {metrics[name]} for {name!r}")
    return metrics


def _step(step: Any) -> int:
    # An epoch of 0.5 is not epoch 0: its metrics would be taken for those of another step.
    if isinstance(step, str) or not hasattr(step, "__int__") or (whole := int(step)) != step:
        raise MetricsError(f"report takes a whole number as the step, not {step!r:.200}")
    return whole


def _numbers(answer: object, objectives: Mapping[str, Direction], wants: str) -> dict[str, float]:
    """Metrics, or a number, which is the main objective."""
    if not isinstance(answer, Mapping):
        if not objectives:
            raise MetricsError("the evaluator has no objectives: name at least one")
        answer = {next(iter(objectives)): answer}
    return {str(name): _number(name, value, wants) for name, value in answer.items()}


def _number(name: object, value: Any, wants: str) -> float:
    # Scalars of numpy and torch have __float__; a string must not pass for a number.
    if not hasattr(value, "__float__") or getattr(value, "ndim", 0) != 0:
        raise MetricsError(
            f"{wants} a number or a mapping from metric to number, not {value!r:.200} for {name!r}"
        )
    return float(value)
