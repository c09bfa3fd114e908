"""Whole architectures at a glance: parallel coordinates, a line for each completed trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas_core.architecture import Value, canonical
from nas_core.wording import number_text, value_text

from nas_search.report.look import color, spec
from nas_search.report.section import Figure, Section
from nas_search.report.subject import Subject, finite
from nas_search.store import Trial

__all__ = ["parallel"]

_AXES = 12
_WIDTH = 86
_TICKS = 8
_INACTIVE = -0.14
_CLASSES = ("the best", "best tenth", "others")


def parallel(subject: Subject, order: Sequence[str]) -> Section:
    """An axis for each choice, the most important ones first as ``order`` has them."""
    labels = [*order, *(label for label in subject.options if label not in order)]
    labels = [label for label in labels if len(subject.options[label]) > 1 or len(labels) == 1]
    text = "A line for each completed trial; where it is at the bottom, the choice was not active."
    shown = labels[: max(1, _AXES - len(subject.objectives) + 1)]
    if len(labels) > len(shown):
        text += f" The {len(shown)} most important of {len(labels)} choices."
    figures = [_figure(subject, shown)] if subject.ranked and shown else []
    if not figures:
        text = subject.without_choices or "There is nothing to compare yet."
    return Section("parallel", "Architectures", text=text, figures=figures, wide=True)


def _figure(subject: Subject, labels: Sequence[str]) -> Figure:
    import altair as alt

    # Axes by their place: a label may be like the name of a metric.
    names = [*labels, *subject.objectives]
    axes = [f"a{i}" for i in range(len(names))]
    x = alt.X("axis:O", title=None, scale=alt.Scale(domain=axes, padding=0.4), axis=_GRID)
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[_INACTIVE - 0.06, 1.06]))
    ticks = alt.Chart(alt.InlineData(values=list(_ticks(subject, labels)))).encode(
        x=x, y=y, text="text:N"
    )
    beside: dict[str, Any] = {"fontSize": 11, "align": "left", "dx": 5, "limit": 78}
    heads = (
        alt.Chart(
            alt.InlineData(
                values=[{"axis": a, "text": n} for a, n in zip(axes, names, strict=True)]
            )
        )
        .mark_text(fontWeight=600, fontSize=12, fill="var(--text)", limit=84, baseline="bottom")
        .encode(x=x, y=alt.value(0), text="text:N", tooltip=alt.Tooltip("text:N", title="axis"))
    )
    chart = alt.layer(
        _drawn_lines(alt, list(_lines(subject, labels)), axes, x, y, subject.main),
        ticks.mark_text(**beside, stroke="var(--card)", strokeWidth=4, strokeJoin="round"),
        ticks.mark_text(**beside, fill="var(--text)"),
        heads,
    )
    label = "The architectures of the completed trials as lines across one axis for each choice"
    return Figure(spec(chart, 380), label, least=_WIDTH * len(names))


_GRID: Any = {"labels": False, "ticks": False, "grid": True, "domain": False, "orient": "top",
              "gridColor": "var(--axis)"}  # fmt: skip


def _drawn_lines(
    alt: Any, rows: Sequence[Mapping[str, Any]], axes: Sequence[str], x: Any, y: Any, main: str
) -> Any:
    """The lines, fainter the more there are."""

    def by_rank(best: float, good: float, other: float) -> Any:
        first, second = (f"datum.rank == '{name}'" for name in _CLASSES[:2])
        return (
            alt.when(first)
            .then(alt.value(best))
            .when(second)
            .then(alt.value(good))
            .otherwise(alt.value(other))
        )

    faint = min(0.7, max(0.1, 40 / len(rows)))
    lines = alt.Chart(alt.InlineData(values=list(rows))).transform_fold(axes, ["axis", "place"])
    return lines.mark_line(interpolate="monotone").encode(
        x=x,
        y=y,
        detail="number:N",
        color=alt.Color(
            "rank:N",
            scale=alt.Scale(
                domain=list(_CLASSES), range=[color("best"), color("completed"), color("faint")]
            ),
            legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=2, offset=24),
        ),
        opacity=by_rank(0.95, min(0.9, 2 * faint), faint),
        strokeWidth=by_rank(2, 1.2, 1),
        tooltip=[
            alt.Tooltip("number:N", title="trial"),
            alt.Tooltip("shown:N", title=main),
            alt.Tooltip("architecture:N", title="architecture"),
        ],
    )


def _lines(subject: Subject, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    spans = {metric: _span(subject, metric) for metric in subject.objectives}
    for rank, trial in reversed(list(enumerate(subject.ranked))):  # the best above the others
        places = [_place(subject.options[label], trial, label) for label in labels]
        places += [_share(finite(trial, metric), *spans[metric]) for metric in subject.objectives]
        yield {
            "number": trial.number,
            "rank": _class(rank, len(subject.ranked)),
            "shown": number_text(finite(trial, subject.main)),
            "architecture": subject.words[trial.number],
            **{f"a{axis}": round(place, 3) for axis, place in enumerate(places)},
        }


def _class(rank: int, count: int) -> str:
    if rank < min(5, max(1, count // 10)):
        return _CLASSES[0]
    return _CLASSES[1 if rank < count / 10 else 2]


def _place(options: Sequence[Value], trial: Trial, label: str) -> float:
    """Where a line crosses the axis of a choice: its options stand at equal distances."""
    if label not in trial.architecture:
        return _INACTIVE
    index = [canonical(option) for option in options].index(canonical(trial.architecture[label]))
    # Lines that run alike are drawn beside one another.
    apart = ((trial.number * 7) % 11 - 5) / 5 * min(0.02, 0.2 / len(options))
    return (index / (len(options) - 1) if len(options) > 1 else 0.5) + apart


def _span(subject: Subject, metric: str) -> tuple[float, float]:
    values = [value for trial in subject.ranked if (value := finite(trial, metric)) is not None]
    return min(values), max(values)


def _share(value: float | None, low: float, high: float) -> float:
    return 0.5 if value is None or low == high else (value - low) / (high - low)


def _ticks(subject: Subject, labels: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for axis, label in enumerate(labels):
        options = subject.options[label]
        last = len(options) - 1
        step = -(-len(options) // _TICKS)
        for index in sorted({*range(0, len(options), step), last}):
            if last - index < step and index != last and step > 1:
                continue  # too near to the last one
            text = value_text(options[index])
            yield {"axis": f"a{axis}", "place": index / last if last else 0.5, "text": text}
        if any(label not in trial.architecture for trial in subject.ranked):
            yield {"axis": f"a{axis}", "place": _INACTIVE, "text": "not active"}
    for axis, metric in enumerate(subject.objectives, len(labels)):
        low, high = _span(subject, metric)
        for place in (0.0, 0.5, 1.0) if low != high else (0.5,):
            text = number_text(low + place * (high - low))
            yield {"axis": f"a{axis}", "place": place, "text": text}
