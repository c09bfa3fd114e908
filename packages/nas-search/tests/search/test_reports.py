"""Intermediate metrics reach observers while their trial runs, each once, in the trial's order."""

import time
from collections import Counter
from pathlib import Path

import pytest
from nas_core import Architecture
from nas_core.protocols import Candidate
from nas_search import TrialStore
from nas_search.evaluators import FunctionEvaluator


class Hears:
    """Keeps what it is told; makes a file when it hears of a report."""

    def __init__(self, heard: Path | None = None):
        self.told, self.heard = [], heard

    def nas_trial_reported(self, experiment, number, step, metrics):
        self.told.append((number, step, metrics))
        if self.heard is not None:
            self.heard.touch()

    def nas_trial_finished(self, experiment, trial):
        self.told.append((trial.number, "finished", trial.state))


def waits_to_be_heard(heard):
    def evaluate(model, report):
        report(1, {"value": 0.5})
        deadline = time.monotonic() + 600
        while not heard.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("nobody was told of the report while the trial ran")
            time.sleep(0.01)
        return 1.0

    return FunctionEvaluator(evaluate)


def test_a_report_is_told_while_its_trial_runs(experiment, tmp_path):
    heard = tmp_path / "heard"
    observer = Hears(heard)
    one = experiment(
        evaluator=waits_to_be_heard(heard), observers=[observer], executor="local", max_trials=1
    )
    one.run()
    assert observer.told == [(0, 1, {"value": 0.5}), (0, "finished", "completed")]


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_each_report_is_told_once_in_the_order_of_its_trial(experiment, executor, url):
    def evaluate(model, report):
        for step, value in ((2, 0.0), (1, 1.0), (2, 2.0)):
            report(step, {"value": value})
        return 3.0

    options = {"evaluator": FunctionEvaluator(evaluate), "executor": executor, "store": url}
    first, second = Hears(), Hears()
    one = experiment(observers=[first], max_trials=3, trial_concurrency=2, **options)
    one.run()
    again = experiment(observers=[second], max_trials=5, trial_concurrency=2, **options)
    again.resume()
    for observer, numbers in ((first, range(3)), (second, range(3, 5))):
        for number in numbers:
            assert [x[1:] for x in observer.told if x[0] == number] == [
                (2, {"value": 0.0}),
                (1, {"value": 1.0}),
                (2, {"value": 2.0}),
                ("finished", "completed"),
            ]
        assert Counter(x[0] for x in observer.told) == dict.fromkeys(numbers, 4)
    for trial in again.trials:
        assert [(r.step, r.metrics["value"]) for r in trial.reports] == [(1, 1.0), (2, 2.0)]


def test_reports_of_a_trial_that_starts_anew_are_new(experiment, url):
    """The store never gives two reports one ordinal, though those of a broken trial are removed."""
    one = experiment(max_trials=1, fn=float, store=url)
    one.run()
    with TrialStore.open(one.address) as store:
        store.begin_session("x")
        candidate = Candidate(1, Architecture({"width": 99}), seed=0)
        ordinals = []
        for value in (0.0, 1.0):
            store.begin(candidate, "x")
            store.report(1, 0, {"value": value}, "x")
            ((ordinal, number, report),) = store.reports_after(max(ordinals, default=0))
            assert (number, report.metrics) == (1, {"value": value})
            ordinals.append(ordinal)
            assert store.last_report() == ordinal
        assert ordinals[0] < ordinals[1]
