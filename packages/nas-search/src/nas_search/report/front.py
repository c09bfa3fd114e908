"""What can't be had together: the Pareto front of several objectives."""

from __future__ import annotations

from itertools import islice

from nas_search.report.look import color, measured, short, spec
from nas_search.report.section import Figure, Section
from nas_search.report.subject import Subject, finite

__all__ = ["pareto_front"]

_SHOWN = 3
"""So many objectives are shown against the main one."""


def pareto_front(subject: Subject) -> Section | None:
    """The main objective against each other one; nothing if there is only one."""
    if len(subject.objectives) == 1:
        return None
    others = islice(subject.objectives, 1, 1 + _SHOWN)
    front = len(subject.front)
    text = "On the front, no trial is better in one objective without being worse in another."
    if front:
        text += f" {front} of {len(subject.ranked)} completed trials are on it."
    else:
        text += " No trial has completed yet."
    figures = [_figure(subject, other) for other in others] if subject.ranked else []
    return Section("front", "Pareto front", text=text, figures=figures)


def _figure(subject: Subject, other: str) -> Figure:
    import altair as alt

    on_front = {trial.number for trial in subject.front}
    rows = [
        {
            "number": trial.number,
            "x": finite(trial, other),
            "y": finite(trial, subject.main),
            "place": "on the front" if trial.number in on_front else "dominated",
            "architecture": subject.words[trial.number],
        }
        for trial in reversed(subject.ranked)  # so that the best are drawn above the others
    ]
    places, colors = ["on the front", "dominated"], [color("best"), color("faint")]
    near = alt.Scale(zero=False, padding=10)
    widths, heights = (
        [finite(trial, metric) for trial in subject.ranked] for metric in (other, subject.main)
    )
    points = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, opacity=0.85)
        .encode(
            x=alt.X("x:Q", title=_title(subject, other), scale=near, axis=short(widths)),
            y=alt.Y("y:Q", title=_title(subject, subject.main), scale=near, axis=measured(heights)),
            color=alt.Color("place:N", scale=alt.Scale(domain=places, range=colors)),
            shape=alt.Shape("place:N", scale=alt.Scale(domain=places, range=["diamond", "circle"])),
            size=alt.condition("datum.place == 'on the front'", alt.value(80), alt.value(36)),
            tooltip=[
                alt.Tooltip("number:Q", title="trial"),
                alt.Tooltip("y:Q", title=subject.main, format=".5~g"),
                alt.Tooltip("x:Q", title=other, format=".5~g"),
                alt.Tooltip("architecture:N", title="architecture"),
            ],
        )
    )
    several = len(subject.objectives) > 2
    title = f"{subject.main} against {other}"
    return Figure(spec(points, 280), title, title=title if several else "")


def _title(subject: Subject, metric: str) -> str:
    better = "higher" if subject.objectives[metric] == "maximize" else "lower"
    return f"{metric} ({better} is better)"
