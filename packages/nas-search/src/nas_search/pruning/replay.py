"""The history of an experiment, replayed through a pruner of Optuna.

What a pruner says of a report follows from the reports and ends that are stored before it, and from
nothing else: whoever replays them comes to the same answer, in whatever process, before or after a
crash. That is so also for pruners that remember something: successive halving keeps the values at
its rungs, and Hyperband the largest step that it has seen.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

from nas_search.pruning.judging import Judging
from nas_search.store import Event, TrialStore
from nas_search.strategies.optuna import quiet_optuna

if TYPE_CHECKING:
    import optuna

__all__ = ["Replay", "replay_of"]

STUDY = "nas"
"""Of it Hyperband makes the bracket of a trial, with its number: so both are the same always."""


class Replay:
    """A study in memory that has seen the history up to some report.

    Trials have the numbers that they have in the store. A step counts once: the second report of
    one is not looked at, as in Optuna.
    """

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._begin()

    def _begin(self) -> None:
        self._trials: list[optuna.Trial] = []
        self._steps: dict[int, dict[int, float]] = {}
        self._pruned: dict[int, str] = {}
        self._seen = self._count = 0
        with quiet_optuna("pruning") as module:
            self._states = module.trial.TrialState
            self._study = module.create_study(
                direction=self._judging.direction,
                pruner=self._judging.load(),
                sampler=module.samplers.RandomSampler(seed=0),  # it has nothing to sample
                study_name=STUDY,
            )

    def reason(self, store: TrialStore, ordinal: int, number: int) -> str | None:
        """Why a trial is pruned at its report of this ordinal; ``None`` if it goes on."""
        count, events = store.events(self._seen, ordinal)
        if count != self._count:  # a trial that was seen has started anew
            self._begin()
            _, events = store.events(0, ordinal)
        with quiet_optuna("pruning"):
            for event in events:
                self.take(event)
        self._seen = ordinal
        return self._pruned.get(number)

    def take(self, event: Event) -> None:
        """See what happened next."""
        self._count += event.step is not None
        if event.step is None:
            self._end(self._trial(event.number), event)
        elif event.number not in self._pruned:
            self._report(self._trial(event.number), event.step, event)

    def _report(self, trial: optuna.Trial, step: int, event: Event) -> None:
        steps = self._steps.setdefault(event.number, {})
        metric = self._judging.metric
        if step < 0 or step in steps or metric not in event.metrics:
            return
        found: Any = event.metrics[metric]
        steps[step] = value = math.nan if found is None else found  # JSON has no other word for it
        trial.report(value, step)
        if trial.should_prune():
            self._pruned[event.number] = (
                f"at step {step}, with {metric} = {value:.6g}, by {self._judging.name}"
            )

    def _end(self, trial: optuna.Trial, event: Event) -> None:
        value = event.metrics.get(self._judging.metric)
        if value is None:
            value = next(reversed(self._steps.get(event.number, {}).values()), None)
        state = self._states.PRUNED if event.state == "pruned" else self._states.FAIL
        if event.state == "completed" and value is not None and not math.isnan(value):
            state = self._states.COMPLETE
        values = value if state == self._states.COMPLETE else None
        self._study.tell(trial, values, state=state, skip_if_finished=True)

    def _trial(self, number: int) -> optuna.Trial:
        while len(self._trials) <= number:  # Optuna counts them in the order in which they are made
            self._trials.append(self._study.ask())
        return self._trials[number]


_kept = threading.local()


def replay_of(judging: Judging, session: str) -> Replay:
    """The replay of a session of an experiment, which goes on from job to job of a worker."""
    key = (judging, session)
    if getattr(_kept, "key", None) != key:
        _kept.replay, _kept.key = Replay(judging), key
    replay: Replay = _kept.replay
    return replay
