"""Trials for TensorBoard: a run for each, its reports as scalars and its choices as hparams."""

from __future__ import annotations

import importlib.util
import math
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_core.architecture import Architecture
from nas_core.protocols import Metrics

from nas_search.config import ExperimentConfig
from nas_search.errors import MissingExtraError
from nas_search.observers.stored import ended, stored_trials
from nas_search.store import Trial

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

__all__ = ["TensorBoardObserver"]

_FLUSH_SECONDS = 5


class TensorBoardObserver:
    """Writes event files, ``trial-7`` for trial 7: ``tensorboard --logdir FOLDER`` shows them.

    A trial that starts again begins its run anew, so that no point is there twice.

    Args:
        folder: where; below it a folder for each experiment. By default ``tensorboard`` in the
            folder of the experiment.
        home: the folder of the experiment; by default that of its configuration.

    Raises:
        MissingExtraError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path | None = None, home: str | Path | None = None) -> None:
        if importlib.util.find_spec("tensorboardX") is None:
            raise MissingExtraError("the observer 'tensorboard'", "tensorboard")
        self.folder = None if folder is None else Path(folder)
        self.home = None if home is None else Path(home)
        self._runs = Path()
        self._writers: dict[int, SummaryWriter] = {}

    def nas_experiment_started(self, experiment: str, config: ExperimentConfig) -> None:
        """Write what has ended unheard, and remove what the experiment does not have."""
        home = self.home or config.folder
        self._runs = home / "tensorboard" if self.folder is None else self.folder / experiment
        stored = stored_trials(home)
        for path in self._runs.glob("trial-*"):
            number = re.fullmatch(r"trial-(\d+)", path.name)
            if number is not None and int(number[1]) not in stored:
                shutil.rmtree(path)
        for trial in ended(stored):
            if not self._is_written(trial):
                self._write(trial)

    def nas_trial_started(self, number: int, architecture: Architecture, experiment: str) -> None:
        """Begin the run of a trial."""
        self._open(number)

    def nas_trial_reported(self, number: int, step: int, metrics: Metrics, experiment: str) -> None:
        """Add a point to each curve."""
        self._add(number, step, metrics)

    def nas_trial_finished(self, trial: Trial, experiment: str) -> None:
        """Add the choices and the results, and end the run."""
        self._end(trial)

    def nas_experiment_finished(self, experiment: str, reason: str) -> None:
        """Close what is open."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _path(self, number: int) -> Path:
        return self._runs / f"trial-{number}"

    def _is_written(self, trial: Trial) -> bool:
        """Its end is written after it is stored."""
        times = [path.stat().st_mtime for path in self._path(trial.number).glob("*")]
        return max(times, default=-math.inf) >= (trial.finished or 0.0)

    def _open(self, number: int) -> None:
        from tensorboardX import SummaryWriter

        if number in self._writers:
            self._writers.pop(number).close()
        shutil.rmtree(self._path(number), ignore_errors=True)
        self._writers[number] = SummaryWriter(
            logdir=str(self._path(number)), flush_secs=_FLUSH_SECONDS
        )

    def _add(self, number: int, step: int, metrics: Metrics) -> None:
        for name, value in metrics.items():
            if value is not None:  # as which a store keeps NaN
                self._writers[number].add_scalar(name, value, step)

    def _end(self, trial: Trial) -> None:
        from tensorboardX.summary import hparams  # type: ignore[import-untyped]

        writer = self._writers.pop(trial.number)
        for kind, text in (("error", trial.error), ("pruned", trial.pruned)):
            if text:
                writer.add_text(kind, text)
        results = {f"final/{k}": v for k, v in (trial.metrics or {}).items() if v is not None}
        choices = {label: _choice(value) for label, value in trial.architecture.items()}
        # Not add_hparams: it writes a run of its own.
        for summary in hparams(choices, results):
            writer.file_writer.add_summary(summary)
        for name, value in results.items():
            writer.add_scalar(name, value)
        writer.close()

    def _write(self, trial: Trial) -> None:
        self._open(trial.number)
        for report in trial.reports:
            self._add(trial.number, report.step, report.metrics)
        self._end(trial)


def _choice(value: Any) -> str | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
