"""The study is as the trials are, whatever they were when it was last refreshed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from nas_search.dashboard import Mirror
from recorded import trial

OBJECTIVES = {"accuracy": "maximize", "size": "minimize"}
STATES = {"completed": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED", "running": "RUNNING"}


def record(number: int, state: str, reports: int) -> Any:
    metrics = {"accuracy": number / 9, "size": 3.0, "loss": 0.5} if state == "completed" else None
    steps = {step: {"accuracy": step / 3} for step in range(reports)}
    architecture = {"width": number, "op": [number], "mixed": [True, 1, "1"][number % 3]}
    return trial(number, architecture, metrics, state, reports=steps)


def seen(mirror: Mirror) -> list[Any]:
    return [
        (one.user_attrs["trial"], one.state.name, one.values, one.intermediate_values)
        for one in mirror.study.trials
    ]


MOMENT = st.lists(st.tuples(st.sampled_from(list(STATES)), st.integers(0, 3)), max_size=6)


@settings(deadline=None)
@given(MOMENT, MOMENT)
def test_a_refresh_makes_it_as_the_trials_are(before: Any, now: Any) -> None:
    first = [record(k, *kind) for k, kind in enumerate(before)]
    second = [record(k, *kind) for k, kind in enumerate(now)]
    for k, (old, new) in enumerate(zip(first, second, strict=False)):
        # What has ended stays as it is, and reports are only added.
        if old.state != "running" or len(old.reports) > len(new.reports):
            second[k] = old
    second += first[len(second) :]
    mirror = Mirror("study", OBJECTIVES)
    mirror.refresh(first)
    mirror.refresh(second)
    assert seen(mirror) == [
        (
            one.number,
            STATES[one.state],
            [one.metrics["accuracy"], one.metrics["size"]] if one.metrics else None,
            {report.step: report.metrics["accuracy"] for report in one.reports},
        )
        for one in second
    ]


def test_values_keep_their_kind_where_that_is_clear() -> None:
    mirror = Mirror("study", OBJECTIVES)
    mirror.refresh([record(k, "completed", 0) for k in range(3)])
    params = [one.params for one in mirror.study.trials]
    assert [each["width"] for each in params] == [0, 1, 2]
    assert [each["op"] for each in params] == ["[0]", "[1]", "[2]"]
    assert [each["mixed"] for each in params] == ["true", "1", '"1"']


def test_a_trial_that_was_put_back_begins_again() -> None:
    mirror = Mirror("study", OBJECTIVES)
    running = record(0, "running", 2)
    mirror.refresh([running])
    mirror.refresh([])
    assert seen(mirror) == [(0, "FAIL", None, {0: 0.0, 1: 1 / 3})]
    mirror.refresh([replace(running, started=99.0, reports=())])
    assert [state for _, state, _, _ in seen(mirror)] == ["FAIL", "RUNNING"]


def test_what_went_wrong_is_there() -> None:
    mirror = Mirror("study", OBJECTIVES)
    mirror.refresh([replace(record(0, "failed", 0), error="ValueError: no")])
    assert mirror.study.trials[0].user_attrs["error"] == "ValueError: no"
