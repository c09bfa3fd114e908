"""How the best trials came there: what they reported on their way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nas_search.report.look import color, measured, spec, whole
from nas_search.report.section import Figure, Section
from nas_search.report.subject import Subject
from nas_search.store import Trial

__all__ = ["curves"]

_SHOWN = 10


def curves(subject: Subject) -> Section | None:
    """The reports of the best trials and of those that run; nothing if there are none."""
    running = [trial for trial in subject.trials if subject.state(trial) == "running"]
    chosen = [trial for trial in [*subject.ranked[:_SHOWN], *running] if trial.reports]
    metric = _metric(subject, chosen)
    if metric is None:
        return None
    rows = [row for trial in chosen for row in _rows(subject, trial, metric)]
    text = f"What the best {_SHOWN} completed trials reported on their way"
    text += ", and those that run do." if running else "."
    figures = [_figure(rows, metric)]
    return Section("curves", "Learning curves", text=text, figures=figures)


def _metric(subject: Subject, trials: Sequence[Trial]) -> str | None:
    """The main objective if it is reported, or else what is reported first."""
    names = dict.fromkeys(
        name for trial in trials for report in trial.reports for name in report.metrics
    )
    return subject.main if subject.main in names else next(iter(names), None)


def _rows(subject: Subject, trial: Trial, metric: str) -> list[dict[str, Any]]:
    best = subject.ranked[:1]
    kind = "the best" if trial in best else ("running" if trial.metrics is None else "completed")
    return [
        {"number": trial.number, "step": report.step, "value": value, "kind": kind}
        for report in trial.reports
        if (value := report.metrics.get(metric)) is not None and math.isfinite(value)
    ]


def _figure(rows: Sequence[dict[str, Any]], metric: str) -> Figure:
    import altair as alt

    kinds = {"the best": "best", "completed": "completed", "running": "running"}
    seen = [kind for kind in kinds if any(row["kind"] == kind for row in rows)]
    lines = (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_line(opacity=0.8, strokeWidth=1.6, point=alt.OverlayMarkDef(size=14))
        .encode(
            x=alt.X("step:Q", title="step", axis=whole([row["step"] for row in rows])),
            y=alt.Y(
                "value:Q",
                title=metric,
                axis=measured([row["value"] for row in rows]),
                scale=alt.Scale(zero=False),
            ),
            detail="number:N",
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=seen, range=[color(kinds[kind]) for kind in seen]),
            ),
            tooltip=[
                alt.Tooltip("number:Q", title="trial"),
                alt.Tooltip("step:Q", title="step"),
                alt.Tooltip("value:Q", title=metric, format=".5~g"),
            ],
        )
    )
    return Figure(spec(lines, 280), f"{metric} by step, a line for each trial")
