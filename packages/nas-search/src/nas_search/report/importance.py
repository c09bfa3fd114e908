"""Which choices decide: the importance of each for the objectives."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from nas_core.architecture import canonical

from nas_search.report.look import color, spec
from nas_search.report.section import Figure, Section, Table
from nas_search.report.subject import Subject
from nas_search.store import Trial
from nas_search.strategies.optuna import quiet_optuna

__all__ = ["importance", "importances"]

_SHOWN = 20
_FEWEST = 4
"""Fewer completed trials say nothing."""


def importances(subject: Subject) -> Mapping[str, Mapping[str, float]]:
    """Objective → label → importance, which add up to 1; the main objective first.

    By conditional PED-ANOVA (Watanabe et al. 2023, 2026), as Optuna has it: how much the choices of
    the best tenth of the trials differ from those of all.
    """
    if len(subject.ranked) < _FEWEST or not subject.options:
        return {}
    return {metric: _of_metric(subject, metric) for metric in subject.objectives}


def importance(subject: Subject, found: Mapping[str, Mapping[str, float]]) -> Section:
    """A figure and a table of what ``importances`` found."""
    if not found:
        lacking = subject.without_choices or f"It takes {_FEWEST} completed trials to tell."
        return Section("importance", "Importance of the choices", text=lacking)
    labels = list(found[subject.main])[:_SHOWN]
    rows = [
        {"label": label, "objective": metric, "value": round(values.get(label, 0.0), 4)}
        for metric, values in found.items()
        for label in labels
    ]
    text = "How much the choices of the best trials differ from those of all (PED-ANOVA)."
    if len(found[subject.main]) > len(labels):
        text += f" The {len(labels)} most important of {len(found[subject.main])}."
    return Section(
        "importance",
        "Importance of the choices",
        text=text,
        figures=[_figure(subject, rows, labels)],
        tables=[_table(found)],
    )


def _of_metric(subject: Subject, metric: str) -> dict[str, float]:
    with quiet_optuna("the report", "report") as optuna, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It is experimental, and warns of few trials.
        study = optuna.create_study(direction=subject.objectives[metric])
        study.add_trials([_trial(subject, trial, metric) for trial in subject.ranked])
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found: dict[str, float] = optuna.importance.get_param_importances(
            study, evaluator=evaluator
        )
    return found


def _trial(subject: Subject, trial: Trial, metric: str) -> Any:
    import optuna

    assert trial.metrics is not None
    return optuna.trial.create_trial(
        params={label: canonical(value) for label, value in trial.architecture.items()},
        distributions={
            label: optuna.distributions.CategoricalDistribution(
                [canonical(value) for value in subject.options[label]]
            )
            for label in trial.architecture
        },
        value=trial.metrics[metric],
    )


def _figure(subject: Subject, rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Figure:
    import altair as alt

    several = len(subject.objectives) > 1
    metrics = list(subject.objectives)
    scale = alt.Scale(
        domain=metrics, range=[color(f"series{1 + i % 6}") for i in range(len(metrics))]
    )
    bars = (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("value:Q", title="importance", axis=alt.Axis(format=".0%", grid=True)),
            y=alt.Y("label:N", title=None, sort=list(labels), scale=alt.Scale(padding=0.25)),
            color=alt.Color("objective:N", scale=scale, legend=alt.Legend() if several else None),
            tooltip=[
                alt.Tooltip("label:N", title="choice"),
                alt.Tooltip("objective:N", title="for"),
                alt.Tooltip("value:Q", title="importance", format=".1%"),
            ],
        )
    )
    if several:
        bars = bars.encode(yOffset=alt.YOffset("objective:N", sort=metrics))
    height = max(90, len(labels) * (13 * len(metrics) + 13))
    # The objectives' names may be wider than the bars: they begin above the labels then.
    config = {"legend": {"layout": {"top": {"anchor": "end"}}}}
    made = {**spec(bars, height), "config": config}
    return Figure(made, "The importance of each choice as a bar")


def _table(found: Mapping[str, Mapping[str, float]]) -> Table:
    metrics = list(found)
    labels = list(found[metrics[0]])
    return Table(
        "Importance of each choice",
        ["choice", *metrics],
        [[label, *(f"{found[m].get(label, 0.0):.1%}" for m in metrics)] for label in labels],
        numbers=frozenset(metrics),
        closed=True,
    )
