"""The trials as tables: the best ones, and all of them."""

from __future__ import annotations

from collections.abc import Sequence

from nas_core.wording import duration_text

from nas_search.report.section import Section, Table
from nas_search.report.subject import Subject, metric_text
from nas_search.store import Trial

__all__ = ["all_trials", "best_models"]

_BEST = 10


def best_models(subject: Subject) -> Section:
    """The best completed trials, or why there are none."""
    best = subject.ranked[:_BEST]
    text = "" if best else _nothing(subject)
    if len(subject.objectives) > 1 and best:
        text = "Those on the Pareto front come first, sorted by the first objective."
    arrows = {"maximize": "↑", "minimize": "↓"}
    metrics = {f"{name} {arrows[way]}": name for name, way in subject.objectives.items()}
    rows = [_row(subject, each, [metric_text(each, m) for m in metrics.values()]) for each in best]
    table = Table(
        "The best completed trials",
        ["trial", *metrics, "time", "architecture"],
        rows,
        numbers=frozenset(["trial", "time", *metrics]),
    )
    return Section("best", "Best models", text=text, tables=[table] if best else (), wide=True)


def all_trials(subject: Subject) -> Section:
    """Every trial: the data of the figures."""
    names = dict.fromkeys(subject.objectives) | dict.fromkeys(
        name for trial in subject.trials for name in trial.metrics or {}
    )
    rows = [
        [
            str(trial.number),
            subject.state(trial),
            *_row(subject, trial, [metric_text(trial, name) for name in names])[1:],
        ]
        for trial in subject.trials
    ]
    table = Table(
        f"All {len(rows)} trials",
        ["trial", "state", *names, "time", "architecture"],
        rows,
        numbers=frozenset(["trial", "time", *names]),
        closed=True,
    )
    text = "The numbers behind the figures." if rows else "No trial has begun yet."
    return Section("trials", "All trials", text=text, tables=[table] if rows else (), wide=True)


def _row(subject: Subject, trial: Trial, metrics: Sequence[str]) -> list[str]:
    took = duration_text(trial.seconds)
    return [str(trial.number), *metrics, took, subject.words[trial.number]]


def _nothing(subject: Subject) -> str:
    if not subject.trials:
        return "No trial has begun yet."
    if subject.counts["failed"] == len(subject.trials):
        return "No trial has completed: all have failed. Their errors are below."
    return "No trial has completed yet."
