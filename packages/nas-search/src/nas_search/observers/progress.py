"""Progress: a line for each trial that ends, for scripts; a live table in notebooks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from nas_core.wording import architecture_text, duration_text, first_line, metrics_text, note_text

from nas_search.config import ExperimentConfig
from nas_search.observers.stored import ended, stored_trials
from nas_search.store import Trial

__all__ = ["ProgressLines", "ending_text"]


class ProgressLines:
    """Prints a line for each trial that ends.

    Args:
        stream: where to; standard error by default.
        home: the folder of the experiment; by default that of its configuration.

    >>> from nas_core.architecture import Architecture
    >>> trial = Trial(0, Architecture({"width": 32}), "", 0, "completed", {"a": 0.5}, seconds=3.0)
    >>> lines = ProgressLines(sys.stdout)
    >>> lines.nas_trial_finished(trial, "digits")
    [1] trial 0 completed in 3.0s: a=0.5  width=32
    """

    def __init__(self, stream: IO[str] | None = None, home: str | Path | None = None) -> None:
        self.stream = stream
        self.home = None if home is None else Path(home)
        self._ended: set[int] = set()
        self._total: int | None = None

    def nas_experiment_started(self, experiment: str, config: ExperimentConfig) -> None:
        """Count what has ended in earlier runs."""
        before = ended(stored_trials(self.home or config.folder))
        self._ended = {trial.number for trial in before}
        self._total = config.max_trials

    def nas_job_noted(self, numbers: Sequence[int], note: str, experiment: str) -> None:
        """Print how a job ran, before its trials."""
        self._print(note_text(numbers, note))

    def nas_trial_finished(self, trial: Trial, experiment: str) -> None:
        """Print what became of a trial."""
        self._ended.add(trial.number)
        self._print(ending_text(trial, len(self._ended), self._total))

    def nas_trial_learned(self, trial: Trial, experiment: str) -> None:
        """Print it, too, if it has ended elsewhere since this began."""
        if trial.number not in self._ended:
            self.nas_trial_finished(trial, experiment)

    def nas_experiment_finished(self, experiment: str, reason: str) -> None:
        """Print why it ended."""
        self._print(f"{experiment} ended: {reason}")

    def _print(self, line: str) -> None:
        print(line, file=self.stream or sys.stderr, flush=True)


def ending_text(trial: Trial, done: int, total: int | None = None) -> str:
    """What became of a trial, on one line.

    >>> from nas_core.architecture import Architecture
    >>> trial = Trial(0, Architecture({}), "", 0, "failed", error="ValueError: no", seconds=1.0)
    >>> ending_text(trial, 1, 50)
    '[1/50] trial 0 failed in 1.0s: ValueError: no'
    """
    place = f"[{done}]" if total is None else f"[{done}/{total}]"
    if trial.state == "completed":
        text = f"{metrics_text(trial.metrics)}  {architecture_text(trial.architecture)}"
    else:
        text = first_line(trial.pruned or trial.error)
    return f"{place} trial {trial.number} {trial.state} in {duration_text(trial.seconds)}: {text}"
