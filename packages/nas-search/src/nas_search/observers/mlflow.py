"""Trials for MLflow: a run for each, with its choices as parameters and its reports as metrics."""

from __future__ import annotations

import importlib.util
import posixpath
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nas_core.architecture import Architecture, canonical
from nas_core.protocols import Metrics

from nas_search.config import ExperimentConfig
from nas_search.errors import MissingExtraError
from nas_search.observers.stored import ended, stored_trials
from nas_search.store import Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["MLflowObserver"]

_KEY, _VALUE, _TAG = 250, 6000, 5000
"""How long MLflow lets the names, the parameters and the tags be."""

_STATUS = {"completed": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}


class MLflowObserver:
    """Keeps a run for each trial, tagged with the number of the trial and its error, if any.

    A trial that starts again gets a run of its own in the place of its first one, so that no point
    is there twice.

    Args:
        tracking_uri: where MLflow keeps runs: a database or a server. By default the file
            ``mlflow.db`` in the folder of the experiment.
        experiment: the name of the experiment in MLflow; by default that of this one.
        home: the folder of the experiment; by default that of its configuration.

    Raises:
        MissingExtraError: MLflow is not installed.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        home: str | Path | None = None,
    ) -> None:
        if importlib.util.find_spec("mlflow") is None:
            raise MissingExtraError("the observer 'mlflow'", "mlflow")
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.home = None if home is None else Path(home)
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._folder = ""
        self._runs: dict[int, str] = {}
        self._left: dict[int, str] = {}  # of trials that run elsewhere, or whose process died
        self._last: dict[int, dict[str, tuple[int, float]]] = {}

    def nas_experiment_started(self, experiment: str, config: ExperimentConfig) -> None:
        """Connect, keep what has ended unheard, and delete what the experiment does not have."""
        from mlflow import MlflowClient

        home = (self.home or config.folder).absolute()
        address = self.tracking_uri or f"sqlite:///{home / 'mlflow.db'}"
        self._client, self._folder = MlflowClient(tracking_uri=address), str(home)
        name = self.experiment or experiment
        found = self._client.get_experiment_by_name(name)
        self._experiment_id = (
            self._client.create_experiment(name, artifact_location=str(home / "mlflow"))
            if found is None
            else found.experiment_id
        )
        stored = stored_trials(home)
        kept = self._keep_ended(stored)
        for trial in ended(stored):
            if trial.number not in kept:
                self._write(trial)

    def nas_trial_started(self, number: int, architecture: Architecture, experiment: str) -> None:
        """Begin the run of a trial."""
        self._begin(number, architecture, time.time())

    def nas_trial_reported(self, number: int, step: int, metrics: Metrics, experiment: str) -> None:
        """Add a point to each metric."""
        self._add(number, step, metrics)

    def nas_trial_finished(self, trial: Trial, experiment: str) -> None:
        """Add the results, and end the run."""
        self._end(trial)

    def nas_experiment_finished(self, experiment: str, reason: str) -> None:
        """Delete the runs of trials that were put back: a resume begins them anew."""
        for run in self._runs.values():
            self._open_client.delete_run(run)
        self._runs.clear()

    @property
    def _open_client(self) -> MlflowClient:
        assert self._client is not None, "nas_experiment_started comes first"
        return self._client

    def _keep_ended(self, stored: Mapping[int, Trial]) -> set[int]:
        """Delete the runs that are not as their trials are; answer whose have ended."""
        kept: set[int] = set()
        for run in list(self._found()):
            number, running = int(run.data.tags["nas.trial"]), run.info.status == "RUNNING"
            trial = stored.get(number)
            if trial is None or running != (trial.state == "running") or number in kept:
                self._open_client.delete_run(run.info.run_id)
            elif running:
                self._left[number] = run.info.run_id
            else:
                kept.add(number)
        return kept

    def _found(self) -> Iterator[Run]:
        """The runs of this experiment."""
        token: str | None = ""
        while token is not None:
            page = self._open_client.search_runs([self._experiment_id], page_token=token or None)
            yield from (run for run in page if run.data.tags.get("nas.folder") == self._folder)
            token = page.token or None

    def _begin(self, number: int, architecture: Architecture, started: float) -> None:
        from mlflow.entities import Param

        client = self._open_client
        for left in (self._left, self._runs):
            if number in left:
                client.delete_run(left.pop(number))
        run = client.create_run(
            self._experiment_id,
            run_name=f"trial {number}",
            start_time=round(started * 1000),
            tags={
                "nas.trial": str(number),
                "nas.folder": self._folder,
                "nas.architecture": architecture.to_json()[:_TAG],
            },
        )
        self._runs[number], self._last[number] = run.info.run_id, {}
        names = accepted(architecture)
        params = [
            Param(names[label], _text(value)[:_VALUE]) for label, value in architecture.items()
        ]
        client.log_batch(run.info.run_id, params=params)

    def _add(self, number: int, step: int, metrics: Metrics) -> None:
        from mlflow.entities import Metric

        now, names = round(time.time() * 1000), accepted(metrics)
        known = {name: value for name, value in metrics.items() if value is not None}
        points = [Metric(names[name], value, now, step) for name, value in known.items()]
        self._last[number] |= {name: (step, value) for name, value in known.items()}
        self._open_client.log_batch(self._runs[number], metrics=points)

    def _end(self, trial: Trial) -> None:
        client, run = self._open_client, self._runs[trial.number]
        for name, value in (trial.metrics or {}).items():
            step, last = self._last[trial.number].get(name, (-1, None))
            if value != last:
                self._add(trial.number, step + 1, {name: value})
        for kind, text in (("error", trial.error), ("pruned", trial.pruned)):
            if text:
                client.set_tag(run, kind, text[:_TAG])
        ended = round((trial.finished or time.time()) * 1000)
        client.set_terminated(run, _STATUS.get(trial.state, "FINISHED"), end_time=ended)
        del self._runs[trial.number], self._last[trial.number]

    def _write(self, trial: Trial) -> None:
        self._begin(trial.number, trial.architecture, trial.started)
        for report in trial.reports:
            self._add(trial.number, report.step, report.metrics)
        self._end(trial)


def accepted(names: Iterable[str]) -> Mapping[str, str]:
    """Name → one like it that MLflow accepts, different ones for different names.

    >>> accepted(["width", "blocks/0", "a[0]", "a(0)", "../b"])
    {'width': 'width', 'blocks/0': 'blocks/0', 'a[0]': 'a_0_', 'a(0)': 'a_0_ 2', '../b': 'b'}
    """
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:_KEY]
        plain = posixpath.normpath(plain).lstrip("./") or "_"
        count = 1
        unique = plain
        while unique in found.values():
            count += 1
            unique = f"{plain} {count}"
        found[name] = unique
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else canonical(value)
