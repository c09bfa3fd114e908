"""One candidate, from its seed to its result, whatever it does."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import nas_core.nn as nn
import pytest
import torch
from nas_core import Architecture, Candidate, Pruned, Result, run_candidate
from nas_core.candidate import seed_all
from nas_core.testing import CountParameters, Fit, Recording


class Returns:
    """An evaluator that returns what it is told to."""

    def __init__(self, answer: Any, objectives: Mapping[str, Any] | None = None) -> None:
        self.answer = answer
        self.objectives = {"score": "maximize"} if objectives is None else objectives

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Any) -> Any:
        return self.answer() if callable(self.answer) else self.answer


class Half:
    """A number as other libraries have them."""

    def __float__(self) -> float:
        return 0.5


def run(evaluator: Any, architecture: Mapping[str, Any] | None = None) -> Result:
    candidate = Candidate(3, Architecture(architecture or {}), seed=11)
    return run_candidate(candidate, lambda: torch.nn.Linear(4, 2), evaluator, Recording())


@pytest.mark.parametrize("answer", [0.5, Half(), torch.tensor(0.5), {"score": 0.5}])
def test_numbers_and_mappings_become_metrics(answer: Any) -> None:
    result = run(Returns(answer))
    assert result.metrics == {"score": 0.5}
    assert type(result.metrics["score"]) is float
    assert result.error is None
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (float("nan"), "the evaluator returned nan for 'score'"),
        (float("-inf"), "the evaluator returned -inf for 'score'"),
        ({"score": float("inf"), "loss": 1}, "the evaluator returned inf for 'score'"),
        ({"scores": 1}, "no 'score', which is an objective; it returned 'scores'; did you mean"),
        ({}, "no 'score', which is an objective; it returned nothing"),
        (None, "a number or a mapping from metric to number, not None for 'score'"),
        ("0.5", "not '0.5' for 'score'"),
        ({"score": [1]}, "not [1] for 'score'"),
        (torch.zeros(2), "not tensor([0., 0.]) for 'score'"),
    ],
)
def test_what_is_no_result_fails_with_the_reason(answer: Any, message: str) -> None:
    result = run(Returns(answer))
    assert result.failed
    assert message in str(result.error)


def test_other_metrics_may_be_nan() -> None:
    result = run(Returns({"score": 1, "loss": float("nan")}))
    assert not result.failed


def test_no_objectives_is_an_error() -> None:
    assert "no objectives" in str(run(Returns(1.0, {})).error)


def out_of_memory() -> None:
    raise torch.OutOfMemoryError("no memory")


def endless() -> None:
    endless()


@pytest.mark.parametrize(
    ("act", "start"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero ("),
        (lambda: exit(2), "SystemExit: 2 ("),
        (out_of_memory, "OutOfMemoryError: no memory ("),
        (endless, "RecursionError: "),
    ],
)
def test_whatever_is_raised_is_one_failed_result(act: Any, start: str) -> None:
    result = run(Returns(act))
    assert result.failed
    assert str(result.error).startswith(start)
    assert "test_candidate.py:" in str(result.error)
    assert "Traceback" in str(result.details)


def test_ctrl_c_goes_through() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Returns(interrupt))


def test_a_recorder_that_fails_is_a_failed_result() -> None:
    class Full(Recording):
        def trained(self, number: int, model: torch.nn.Module) -> None:
            raise OSError("disk full")

    candidate = Candidate(0, Architecture({}), seed=0)
    result = run_candidate(candidate, torch.nn.Identity, CountParameters(), Full())
    assert "disk full" in str(result.error)


def test_all_generators_are_seeded_once_before_the_model_is_built() -> None:
    def draws() -> dict[str, float]:
        return {"score": random.random() + torch.rand(()).item()}

    first, second = run(Returns(draws)), run(Returns(draws))
    assert first.metrics == second.metrics
    torch.manual_seed(11)
    torch.nn.Linear(4, 2)
    random.seed(11)
    assert first.metrics == draws()


def test_numpy_is_seeded_if_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    numpy = SimpleNamespace(random=SimpleNamespace(seed=seeds.append))
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    seed_all(2**32 + 5)
    monkeypatch.delitem(sys.modules, "numpy")
    seed_all(6)
    assert seeds == [5]
    assert "numpy" not in sys.modules


def test_choices_of_the_evaluator_are_resolved_and_reports_are_numbered() -> None:
    evaluator = Fit(lambda: (torch.ones(1, 4),), lr=nn.ValueChoice([0.1, 0.2], label="lr"))
    candidate, recorder = Candidate(3, Architecture({"lr": 0.2}), seed=11), Recording()
    result = run_candidate(candidate, lambda: torch.nn.Linear(4, 2), evaluator, recorder)
    assert result.metrics is not None
    assert result.metrics["lr"] == 0.2
    assert [(number, step) for number, step, _ in recorder.reports] == [(3, 0), (3, 1), (3, 2)]
    assert list(recorder.models) == [3]


class Reports(Returns):
    """Reports what it returns."""

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Any) -> Any:
        report(1, self.answer)
        return 0.5


@pytest.mark.parametrize("answer", [0.25, torch.tensor(0.25), {"score": torch.tensor(0.25)}])
def test_a_number_that_is_reported_is_the_main_objective(answer: Any) -> None:
    recorder = Recording()
    candidate = Candidate(3, Architecture({}), seed=11)
    run_candidate(candidate, lambda: torch.nn.Linear(4, 2), Reports(answer), recorder)
    assert recorder.reports == [(3, 1, {"score": 0.25})]


def test_what_is_no_report_fails_with_the_reason() -> None:
    message = "report takes a number or a mapping from metric to number, not 'x' for 'score'"
    assert message in str(run(Reports("x")).error)


class ReportsAt(Returns):
    """Reports at the step that it would return."""

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Any) -> Any:
        report(self.answer, 1.0)
        return 0.5


@pytest.mark.parametrize(
    ("step", "expected"), [(2, 2), (3.0, 3), (torch.tensor(4), 4), (0.5, None), ("1", None)]
)
def test_a_step_is_a_whole_number(step: Any, expected: int | None) -> None:
    recorder = Recording()
    candidate = Candidate(3, Architecture({}), seed=11)
    result = run_candidate(candidate, lambda: torch.nn.Linear(4, 2), ReportsAt(step), recorder)
    if expected is None:
        assert "report takes a whole number as the step, not" in str(result.error)
        assert recorder.reports == []
    else:
        assert recorder.reports == [(3, expected, {"score": 1.0})]
        assert type(recorder.reports[0][1]) is int


class Swallows:
    """Reports step by step, and does something with what ``report`` raises."""

    objectives: Mapping[str, Any] = {"score": "maximize"}

    def __init__(self, swallow: Any = None) -> None:
        self.swallow = swallow
        self.cleaned = 0

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Any) -> Any:
        for step in range(4):
            try:
                report(step, {"score": step})
            except Exception:  # noqa: BLE001  # what careless code does
                self.cleaned += 100
            except BaseException as raised:
                if self.swallow is None:
                    raise
                self.swallow(raised)
            finally:
                self.cleaned += 1
        return 0.5


def swallows_all(raised: BaseException) -> None:
    pass


def another_error(raised: BaseException) -> None:
    raise RuntimeError("the training broke") from raised


@pytest.mark.parametrize(("swallow", "cleaned"), [(None, 2), (swallows_all, 4), (another_error, 2)])
def test_what_was_pruned_stays_pruned(swallow: Any, cleaned: int) -> None:
    evaluator, recorder = Swallows(swallow), Recording({3: 1})
    candidate = Candidate(3, Architecture({}), seed=11)
    result = run_candidate(candidate, lambda: torch.nn.Linear(4, 2), evaluator, recorder)
    assert (result.pruned, result.metrics, result.error) == ("at step 1", None, None)
    assert not result.failed
    assert evaluator.cleaned == cleaned
    assert [step for _, step, _ in recorder.reports] == [0, 1]
    assert not recorder.models


def test_a_pruned_candidate_can_be_sent() -> None:
    sent = pickle.loads(pickle.dumps(Pruned(3, "at step 1")))
    assert (sent.number, sent.reason, str(sent)) == (3, "at step 1", "trial 3 is pruned at step 1")
