"""What came out of each trial, in the order of their numbers, and the best up to each."""

from __future__ import annotations

from typing import Any

from nas_core.wording import number_text

from nas_search.report.look import color, measured, spec, states, whole
from nas_search.report.section import Figure, Section
from nas_search.report.subject import Subject, finite

__all__ = ["history"]

_MANY = 300


def history(subject: Subject) -> Section:
    """A figure for each objective."""
    if not subject.trials:
        return Section("history", "History", text="No trial has begun yet.")
    several = len(subject.objectives) > 1
    figures = [_figure(subject, metric, several) for metric in subject.objectives]
    return Section(
        "history",
        "History",
        text="Every trial, and the best value up to it."
        + (" Marks at the bottom are trials without a value." if _any_without(subject) else ""),
        figures=figures,
    )


def _any_without(subject: Subject) -> bool:
    return any(finite(trial, subject.main) is None for trial in subject.trials)


def _figure(subject: Subject, metric: str, several: bool) -> Figure:
    import altair as alt

    rows = _rows(subject, metric)
    colors, shapes = states([row["state"] for row in rows])
    x = alt.X(
        "number:Q",
        title="trial",
        axis=whole([row["number"] for row in rows]),
        scale=alt.Scale(nice=False, padding=10),
    )
    y = alt.Y(
        "value:Q",
        title=metric,
        axis=measured([row["value"] for row in rows]),
        scale=alt.Scale(zero=False, padding=8),
    )
    state = alt.Color("state:N", scale=colors)
    tips = [
        alt.Tooltip("number:Q", title="trial"),
        alt.Tooltip("state:N", title="state"),
        alt.Tooltip("shown:N", title=metric),
        alt.Tooltip("architecture:N", title="architecture"),
    ]
    base = alt.Chart(alt.InlineData(values=rows))
    points = (
        base.transform_filter("isValid(datum.value)")
        .mark_point(filled=True, size=34 if len(rows) < _MANY else 16, opacity=0.75)
        .encode(x=x, y=y, color=state, shape=alt.Shape("state:N", scale=shapes), tooltip=tips)
    )
    without = (
        base.transform_filter("!isValid(datum.value)")
        .mark_tick(thickness=2, height=9, yOffset=-5)
        .encode(x=x, y=alt.value("height"), color=state, tooltip=tips)
    )
    best = (
        alt.Chart(alt.InlineData(values=best_so_far(subject, metric)))
        .mark_line(interpolate="step-after", strokeWidth=2, stroke=color("best"))
        .encode(x=x, y=y)
    )
    return Figure(
        spec(alt.layer(without, best, points), 280),
        f"{metric} of each trial by its number, with the best value so far as a line",
        title=metric if several else "",
    )


def _rows(subject: Subject, metric: str) -> list[dict[str, Any]]:
    return [
        {
            "number": trial.number,
            "value": (value := finite(trial, metric)),
            "shown": "none" if value is None else number_text(value),
            "state": subject.state(trial),
            "architecture": subject.words[trial.number],
        }
        for trial in subject.trials
    ]


def best_so_far(subject: Subject, metric: str) -> list[dict[str, float]]:
    """The running best; its last value goes on to the last trial."""
    better = max if subject.objectives[metric] == "maximize" else min
    found: list[dict[str, float]] = []
    for trial in subject.trials:
        value = finite(trial, metric) if trial.state == "completed" else None
        if value is None:
            continue
        if found and better(value, found[-1]["value"]) == found[-1]["value"]:
            continue
        found.append({"number": trial.number, "value": value})
    return [*found, found[-1] | {"number": subject.trials[-1].number}] if found else []
