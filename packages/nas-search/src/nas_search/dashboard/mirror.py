"""The trials of an experiment as a study of Optuna, which follows them while they run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nas_core.architecture import Value, canonical
from nas_core.protocols import Direction

from nas_search.store import Trial
from nas_search.strategies.optuna import quiet_optuna

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

__all__ = ["Mirror"]


@dataclass
class _Copy:
    """A trial as it was when it was last looked at."""

    id: int
    trial: Trial


class Mirror:
    """A study in memory. It is a copy: what is done to it changes nothing of the experiment.

    Args:
        name: of the study.
        objectives: metric → direction, the main one first.

    >>> Mirror("digits", {"accuracy": "maximize"}).study.trials
    []
    """

    def __init__(self, name: str, objectives: Mapping[str, Direction]) -> None:
        self.objectives = objectives
        self._copies: dict[int, _Copy] = {}
        self._options: dict[str, dict[str, Value]] = {}
        with quiet_optuna("the dashboard", "dashboard") as optuna, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names of metrics are experimental there
            self.storage: BaseStorage = optuna.storages.InMemoryStorage()
            self.study: Study = optuna.create_study(
                study_name=name,
                storage=self.storage,
                directions=list(objectives.values()),
            )
            self.study.set_metric_names(list(objectives))

    def refresh(self, trials: Sequence[Trial]) -> None:
        """Make the study as the trials are now."""
        for trial in trials:
            for label, value in trial.architecture.items():
                self._options.setdefault(label, {})[canonical(value)] = value
        there = {trial.number: trial for trial in trials}
        for number, copy in list(self._copies.items()):
            now = there.get(number)
            if copy.trial.state == "running" and (now is None or now.started != copy.trial.started):
                self._end(copy.id, "failed", None, {"error": "put back: a resume runs it again"})
                del self._copies[number]
        for trial in trials:
            self._follow(trial)

    def _follow(self, trial: Trial) -> None:
        copy = self._copies.get(trial.number)
        if copy is None:
            id_ = self.storage.create_new_trial(self.study._study_id, self._frozen(trial))  # noqa: SLF001
            self._copies[trial.number] = _Copy(id_, trial)
            return
        if copy.trial.state != "running":
            return
        for step, value in self._reports(trial).items():
            if step not in self._reports(copy.trial):
                self.storage.set_trial_intermediate_value(copy.id, step, value)
        if trial.state != "running":
            self._end(copy.id, trial.state, self._values(trial), _notes(trial))
        copy.trial = trial

    def _frozen(self, trial: Trial) -> FrozenTrial:
        from optuna.distributions import CategoricalDistribution
        from optuna.trial import FrozenTrial

        options = {label: self._options[label] for label in trial.architecture}
        return FrozenTrial(
            number=-1,  # the storage gives it one
            trial_id=-1,
            state=_state(trial.state),
            value=None,
            values=self._values(trial),
            datetime_start=_time(trial.started),
            datetime_complete=None if trial.finished is None else _time(trial.finished),
            params={label: _shown(x, options[label]) for label, x in trial.architecture.items()},
            distributions={
                label: CategoricalDistribution([_shown(x, known) for x in known.values()])
                for label, known in options.items()
            },
            user_attrs={"trial": trial.number, "seed": trial.seed, **_notes(trial)},
            system_attrs={},
            intermediate_values=self._reports(trial),
        )

    def _reports(self, trial: Trial) -> dict[int, float]:
        """Step → the main objective, or what is reported instead of it."""
        names = {name for report in trial.reports for name in report.metrics}
        main = next(iter(self.objectives))
        metric = main if main in names else min(names, default=main)
        found = {report.step: report.metrics.get(metric) for report in trial.reports}
        return {step: value for step, value in found.items() if value is not None}

    def _values(self, trial: Trial) -> list[float] | None:
        metrics = trial.metrics
        return None if metrics is None else [metrics[name] for name in self.objectives]

    def _end(
        self, id_: int, state: str, values: list[float] | None, notes: Mapping[str, Any]
    ) -> None:
        for name, note in notes.items():
            self.storage.set_trial_user_attr(id_, name, note)
        self.storage.set_trial_state_values(id_, _state(state), values)


def _state(state: str) -> TrialState:
    from optuna.trial import TrialState

    return {
        "completed": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "running": TrialState.RUNNING,
    }.get(state, TrialState.FAIL)


def _time(seconds: float) -> datetime:
    """Optuna has the time of the place."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None)


def _notes(trial: Trial) -> dict[str, Any]:
    """What a trial has besides its objectives."""
    texts = {"error": trial.error, "pruned": trial.pruned, "seconds": trial.seconds}
    return {**(trial.metrics or {}), **{name: text for name, text in texts.items() if text}}


def _shown(value: Value, options: Mapping[str, Value]) -> Any:
    """A value as Optuna has it: itself, or JSON where that is no number or text, or ambiguous.

    >>> _shown(1, {"1": 1, "2": 2}), _shown(1, {"1": 1, "true": True}), _shown([0], {"[0]": [0]})
    (1, '1', '[0]')
    """
    plain = all(isinstance(option, str | int | float) for option in options.values())
    clear = plain and len(set(options.values())) == len(options)
    return value if clear else canonical(value)
