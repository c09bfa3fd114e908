"""What the figures say, against the trials that they are of."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from nas_core.protocols import Direction
from nas_search.export import front, ranked
from nas_search.report.history import best_so_far
from nas_search.report.importance import importances
from nas_search.report.subject import Subject, subject_of
from nas_search.report.timeline import Span, pauses_of, rows_of
from nas_search.store import Trial
from recorded import Recorded, trial

NUMBERS = st.integers(-5, 5).map(float)


def subject(*trials: Any, **options: Any) -> Subject:
    return subject_of(Recorded(Path(), trials, **options), now=100.0)


def spans(*times: tuple[float, float]) -> list[Span]:
    return sorted(
        (Span(trial(k, {"w": k}), begin, begin + took) for k, (begin, took) in enumerate(times)),
        key=lambda span: span.begin,
    )


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=12), st.sampled_from(["maximize", "minimize"]))
def test_the_running_best_is_the_best_up_to_each_trial(values: list[float], way: str) -> None:
    of = subject(*(trial(k, {"w": k}, {"a": v}) for k, v in enumerate(values)),
                 objectives={"a": way})  # fmt: skip
    steps = best_so_far(of, "a")
    better = max if way == "maximize" else min
    for number in range(len(values)):
        reached = [step["value"] for step in steps if step["number"] <= number]
        assert reached[-1] == better(values[: number + 1])
    assert steps[-1]["number"] == len(values) - 1


def test_only_completed_trials_count_as_best() -> None:
    of = subject(
        trial(0, {"w": 0}, state="pruned", reports={0: {"accuracy": 9.0}}),
        trial(1, {"w": 1}, {"accuracy": 0.5}),
        trial(2, {"w": 2}, state="failed"),
    )
    assert [step["value"] for step in best_so_far(of, "accuracy")] == [0.5, 0.5]


@settings(deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=15))
def test_the_front_is_what_nothing_dominates(values: list[tuple[float, float]]) -> None:
    objectives = {"up": "maximize", "down": "minimize"}
    trials = [trial(k, {"w": k}, {"up": u, "down": d}) for k, (u, d) in enumerate(values)]

    def dominated(one: Any) -> bool:
        mine = one.metrics["up"], -one.metrics["down"]
        others = [(t.metrics["up"], -t.metrics["down"]) for t in trials]
        return any(o != mine and o[0] >= mine[0] and o[1] >= mine[1] for o in others)

    best = front(trials, objectives)
    assert {one.number for one in best} == {t.number for t in trials if not dominated(t)}
    assert ranked(trials, objectives)[: len(best)] == best


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[NUMBERS] * n), max_size=15)))
def test_what_is_left_without_a_front_begins_with_the_next(values: list[tuple[float, ...]]) -> None:
    objectives: dict[str, Direction] = {
        f"x{i}": "maximize" if i % 2 else "minimize" for i in range(len(values[0]) if values else 1)
    }
    trials = [trial(k, {}, {f"x{i}": x for i, x in enumerate(v)}) for k, v in enumerate(values)]
    expected, left = [], trials
    while left:
        best = front(left, objectives)
        expected += best
        left = [one for one in left if one not in best]
        assert not any(dominates(other, one, objectives) for one in best for other in best + left)
        assert all(any(dominates(other, one, objectives) for other in best) for one in left)
    assert ranked(trials, objectives) == expected


def dominates(a: Trial, b: Trial, objectives: Mapping[str, Direction]) -> bool:
    signs = [-1 if way == "maximize" else 1 for way in objectives.values()]
    mine, other = (
        [one.metrics[name] * sign for name, sign in zip(objectives, signs, strict=True)]  # type: ignore[index]
        for one in (a, b)
    )
    return mine != other and all(x <= y for x, y in zip(mine, other, strict=True))


def test_thousands_of_trials_are_ranked_at_once() -> None:
    draw = random.Random(0)
    trials = [trial(i, {}, {"x": draw.random(), "y": draw.random()}) for i in range(20_000)]
    started = time.process_time()
    assert len(ranked(trials, {"x": "minimize", "y": "maximize"})) == 20_000
    assert time.process_time() - started < 5  # It took minutes once, and takes a tenth of a second.


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=20))
def test_no_two_trials_share_a_row_at_once(times: list[tuple[int, int]]) -> None:
    found = spans(*times)
    rows = rows_of(found)
    for i, one in enumerate(found):
        for j in range(i):
            assert rows[i] != rows[j] or found[j].end <= one.begin
    most = max(sum(s.begin <= one.begin < s.end for s in found) for one in found)
    assert max(rows) + 1 == most


def test_a_long_pause_is_found_and_a_short_one_is_not() -> None:
    assert pauses_of(spans((0, 10), (10.5, 10), (5000, 10))) == [(20.5, 5000)]


def test_what_decides_is_the_most_important() -> None:
    trials = [
        trial(k, {"decides": k % 4, "noise": (k // 4) % 4, **({"inner": 1} if k % 2 else {})},
              {"accuracy": float(k % 4)})
        for k in range(64)
    ]  # fmt: skip
    found = importances(subject(*trials))["accuracy"]
    assert next(iter(found)) == "decides"
    assert abs(sum(found.values()) - 1) < 1e-6
    assert found["decides"] > 5 * found["noise"]
