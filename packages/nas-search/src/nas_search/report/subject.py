"""Everything that a report tells, read once from an experiment, so that its parts agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from nas_core.architecture import Value, canonical
from nas_core.protocols import Direction
from nas_core.wording import architecture_text, number_text

from nas_search.export import front, ranked

if TYPE_CHECKING:
    from nas_search.config import ExperimentConfig
    from nas_search.experiment import Experiment
    from nas_search.store import Trial

__all__ = ["STATES", "Subject", "finite", "metric_text", "subject_of"]

STATES = ("completed", "pruned", "failed", "running", "interrupted")
"""What a trial can be, in the order of legends."""


@dataclass(frozen=True)
class Subject:
    """What is known of an experiment at one moment.

    Attributes:
        config: its configuration.
        objectives: metric → direction, the main one first.
        trials: all, by number.
        is_running: whether a process runs it.
        now: when it was read, in seconds since 1970.
    """

    config: ExperimentConfig
    objectives: Mapping[str, Direction]
    trials: Sequence[Trial]
    is_running: bool
    now: float

    @property
    def main(self) -> str:
        """The main objective."""
        return next(iter(self.objectives))

    def state(self, trial: Trial) -> str:
        """The state of a trial; one that runs in no process was interrupted."""
        stopped = trial.state == "running" and not self.is_running
        return "interrupted" if stopped else trial.state

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many trials are in each state."""
        found = Counter(map(self.state, self.trials))
        return {state: found[state] for state in dict.fromkeys([*STATES, *found])}

    @cached_property
    def ranked(self) -> Sequence[Trial]:
        """The completed trials, the best first."""
        return ranked(self.trials, self.objectives)

    @cached_property
    def front(self) -> Sequence[Trial]:
        """The completed trials that no other one dominates."""
        return front(self.trials, self.objectives)

    @cached_property
    def words(self) -> Mapping[int, str]:
        """Trial number → its architecture on one line."""
        return {trial.number: architecture_text(trial.architecture) for trial in self.trials}

    @property
    def without_choices(self) -> str:
        """Why there is no choice to speak of; nothing if there is one, or may be."""
        return "The space has no choices." if self.trials and not self.options else ""

    @cached_property
    def options(self) -> Mapping[str, Sequence[Value]]:
        """Label → the values that were tried, numbers by size and others as they came."""
        found: dict[str, dict[str, Value]] = {}
        for trial in self.trials:
            for label, value in trial.architecture.items():
                found.setdefault(label, {}).setdefault(canonical(value), value)
        return {label: _in_order(list(values.values())) for label, values in found.items()}


def subject_of(experiment: Experiment, now: float) -> Subject:
    """Read an experiment, also while it runs."""
    return Subject(
        config=experiment.config,
        objectives=experiment.objectives,
        trials=experiment.trials,
        is_running=experiment.is_running,
        now=now,
    )


def finite(trial: Trial, metric: str) -> float | None:
    """A metric of a trial if it has it as a finite number, or else that of its last report.

    Trials that were stopped early have no metrics, but have reported some.
    """
    sources = [trial.metrics or {}]
    if trial.state == "pruned":
        sources += [report.metrics for report in reversed(trial.reports)]
    for metrics in sources:
        value = metrics.get(metric)
        if value is not None and math.isfinite(value):
            return float(value)
    return None


def metric_text(trial: Trial, metric: str) -> str:
    """A metric for a table."""
    metrics = trial.metrics or {}
    return number_text(metrics[metric]) if metric in metrics else "-"


def _in_order(values: list[Value]) -> list[Value]:
    numbers = all(isinstance(value, int | float) for value in values)
    return sorted(values, key=float) if numbers else values
