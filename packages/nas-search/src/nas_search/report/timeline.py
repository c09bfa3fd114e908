"""When trials ran, side by side as the workers ran them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nas_core.wording import duration_text

from nas_search.report.look import spec, states
from nas_search.report.section import Figure, Section
from nas_search.report.subject import Subject
from nas_search.store import Trial

__all__ = ["timeline"]

_MANY = 300
_PAUSE = 0.04
"""Nothing running for more than this share of the whole is a pause, and left out."""


@dataclass(frozen=True)
class Span:
    """When a trial ran, in seconds since 1970."""

    trial: Trial
    begin: float
    end: float


def timeline(subject: Subject) -> Section:
    """A bar for each trial, in as many rows as ran at once."""
    spans = _spans(subject)
    if not spans:
        return Section("timeline", "Timeline", text="Nothing has run yet.")
    pauses = pauses_of(spans)
    since = datetime.fromtimestamp(spans[0].begin, UTC)
    text = f"What ran when, since {since:%Y-%m-%d %H:%M:%S} UTC. A row is a place for one trial."
    if pauses:
        text += " Pauses in which nothing ran are left out: a dashed line stands for each."
    return Section("timeline", "Timeline", text=text, figures=[_figure(subject, spans, pauses)])


def _spans(subject: Subject) -> list[Span]:
    ended = {trial.number: trial.finished or subject.now for trial in subject.trials}
    found = [
        Span(trial, trial.started, max(ended[trial.number], trial.started))
        for trial in subject.trials
        # When an interrupted one ended nobody knows.
        if subject.state(trial) != "interrupted"
    ]
    return sorted(found, key=lambda span: (span.begin, span.trial.number))


def pauses_of(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """The stretches in which nothing ran, if they are long."""
    whole = sum(span.end - span.begin for span in spans)
    until, found = spans[0].end, []
    for span in spans:
        if span.begin - until > max(1.0, _PAUSE * whole):
            found.append((until, span.begin))
        until = max(until, span.end)
    return found


def rows_of(spans: Sequence[Span]) -> list[int]:
    """The row of each span: the first one that is free when it begins."""
    busy: list[float] = []
    found = []
    for span in spans:
        free = next((row for row, end in enumerate(busy) if end <= span.begin), len(busy))
        busy[free : free + 1] = [span.end]
        found.append(free)
    return found


def _figure(
    subject: Subject, spans: Sequence[Span], pauses: Sequence[tuple[float, float]]
) -> Figure:
    import altair as alt

    def clock(moment: float) -> float:
        """Seconds since the first trial, without the pauses."""
        out = sum(min(moment, end) - begin for begin, end in pauses if begin < moment)
        return round(moment - spans[0].begin - out, 3)

    places = rows_of(spans)
    bars = [
        {
            "row": row + 1,
            "begin": clock(span.begin),
            "end": clock(span.end),
            "number": span.trial.number,
            "state": subject.state(span.trial),
            "took": duration_text(span.end - span.begin),
            "architecture": subject.words[span.trial.number],
        }
        for span, row in zip(spans, places, strict=True)
    ]
    drawn = [_bars(alt, bars)]
    if pauses:
        cuts = [{"at": clock(begin)} for begin, _ in pauses]
        drawn.append(
            alt.Chart(alt.InlineData(values=cuts))
            .mark_rule(strokeDash=[4, 3], stroke="var(--muted)")
            .encode(x="at:Q")
        )
    return Figure(
        spec(alt.layer(*drawn), min(420, 60 + 22 * (1 + max(places)))),
        "When each trial ran, as bars in rows",
    )


def _bars(alt: Any, bars: Sequence[dict[str, Any]]) -> Any:
    colors, _ = states([bar["state"] for bar in bars])
    time = alt.Axis(labelExpr=_DURATIONS)
    return (
        alt.Chart(alt.InlineData(values=list(bars)))
        .mark_bar(stroke="var(--card)", strokeWidth=0.5 if len(bars) < _MANY else 0)
        .encode(
            x=alt.X("begin:Q", title="time", axis=time, scale=alt.Scale(nice=False)),
            x2="end:Q",
            y=alt.Y("row:O", title=None, axis=alt.Axis(labels=False), scale=alt.Scale(padding=0.2)),
            color=alt.Color("state:N", scale=colors),
            tooltip=[
                alt.Tooltip("number:Q", title="trial"),
                alt.Tooltip("state:N", title="state"),
                alt.Tooltip("took:N", title="took"),
                alt.Tooltip("architecture:N", title="architecture"),
            ],
        )
    )


_DURATIONS = (
    "datum.value >= 3600 ? format(datum.value / 3600, '.3~g') + ' h'"
    " : datum.value >= 60 ? format(datum.value / 60, '.3~g') + ' min'"
    " : format(datum.value, '.3~g') + ' s'"
)
