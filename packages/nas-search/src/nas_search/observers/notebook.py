"""A live table below the cell of a notebook that runs an experiment."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from nas_core.architecture import Architecture
from nas_core.protocols import Metrics
from nas_core.wording import (
    architecture_text,
    duration_text,
    first_line,
    metrics_text,
    number_text,
)

from nas_search.store import Trial

if TYPE_CHECKING:
    from nas_search.experiment import Experiment

__all__ = ["NotebookTable", "in_notebook"]

_BEST = 5
_SECONDS = 0.5
"""How often the table is drawn again at most, unless a trial ends."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which can show more than text."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class NotebookTable:
    """Shows how far an experiment is, what runs, and the best trials so far; it stays."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._begun = time.monotonic()
        self._drawn = 0.0
        self._running: dict[int, str] = {}
        self._ended = {trial.number for trial in experiment.trials if trial.state != "running"}
        self._last_error = ""
        self._reason = ""
        self._handle: Any = None

    def nas_experiment_started(self, experiment: str, config: object) -> None:
        """Show the table."""
        from IPython.display import display

        self._handle = display(self, display_id=True)  # type: ignore[no-untyped-call]

    def nas_trial_started(self, number: int, architecture: Architecture, experiment: str) -> None:
        """Add a trial to those that run."""
        self._running[number] = str(number)
        self._draw()

    def nas_trial_reported(self, number: int, step: int, metrics: Metrics, experiment: str) -> None:
        """Show how far a trial is."""
        self._running[number] = f"{number} ({step}: {metrics_text(metrics)})"
        self._draw()

    def nas_trial_finished(self, trial: Trial, experiment: str) -> None:
        """Count it, and rank again."""
        self._running.pop(trial.number, None)
        self._ended.add(trial.number)
        if trial.error:
            self._last_error = f"trial {trial.number} {trial.state}: {first_line(trial.error)}"
        self._draw(now=True)

    def nas_trial_learned(self, trial: Trial, experiment: str) -> None:
        """Count one that has ended elsewhere, too."""
        if trial.number not in self._ended:
            self.nas_trial_finished(trial, experiment)

    def nas_experiment_finished(self, experiment: str, reason: str) -> None:
        """Show why it ended."""
        self._reason = reason
        self._running.clear()
        self._draw(now=True)

    def _draw(self, now: bool = False) -> None:
        if self._handle is not None and (now or time.monotonic() - self._drawn > _SECONDS):
            self._handle.update(self)
            self._drawn = time.monotonic()

    def __repr__(self) -> str:
        done = f"{len(self._ended)}/{self._experiment.config.max_trials} trials"
        ended = f", {self._reason}" if self._reason else ""
        return f"{self._experiment.config.name}: {done}{ended}"

    def _repr_html_(self) -> str:
        """The table; names, labels and errors are text in it, whatever they are."""
        config = self._experiment.config
        took = duration_text(time.monotonic() - self._begun)
        total, done = config.max_trials, len(self._ended)
        running = ", ".join(self._running.values())
        lines = [f"running: {running}"] if running else []
        lines += [self._last_error] if self._last_error else []
        lines += [f"Ended: {self._reason}."] if self._reason else []
        return (
            f"<div><strong>{escape(config.name)}</strong> "
            f'<progress value="{done}" max="{total}"></progress> {done}/{total} in {took}</div>'
            + "".join(f"<div>{escape(line)}</div>" for line in lines)
            + self._table()
        )

    def _table(self) -> str:
        best = self._experiment.top_trials(_BEST)
        if not best:
            return ""
        arrows = {"maximize": "\u2191", "minimize": "\u2193"}
        objectives = self._experiment.objectives
        heads = ["trial", *(f"{name} {arrows[way]}" for name, way in objectives.items())]
        rows = [_cells("th", [*heads, "time", "architecture"])]
        rows += [_cells("td", _row(trial, objectives)) for trial in best]
        return f"<table>{''.join(rows)}</table>"


def _row(trial: Trial, objectives: Mapping[str, object]) -> list[str]:
    metrics = trial.metrics or {}
    values = [number_text(metrics[name]) for name in objectives]
    took = duration_text(trial.seconds)
    return [str(trial.number), *values, took, architecture_text(trial.architecture)]


def _cells(kind: str, texts: list[str]) -> str:
    style = ' style="text-align: left"'
    cells = "".join(f"<{kind}{style}>{escape(text)}</{kind}>" for text in texts)
    return f"<tr>{cells}</tr>"
