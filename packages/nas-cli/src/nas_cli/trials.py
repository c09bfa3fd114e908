"""``nas top`` and ``nas show``: what an experiment has found, during and after its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from nas_core.wording import duration_text, metrics_text, number_text, value_text

from nas_cli.command import command
from nas_cli.console import console, print_json, print_table, printable, table
from nas_cli.display import best_table
from nas_cli.edge import NoExperimentError
from nas_cli.locate import counts, experiment_argument, find_trial, state_of

if TYPE_CHECKING:
    from nas_search import Experiment, Trial

__all__ = ["show", "top", "trial_json"]


def trial_json(trial: Trial) -> dict[str, Any]:
    """The record of a trial as JSON values."""
    return {
        "number": trial.number,
        "state": trial.state,
        "architecture": dict(trial.architecture),
        "digest": trial.digest,
        "seed": trial.seed,
        "metrics": None if trial.metrics is None else dict(trial.metrics),
        "error": trial.error,
        "pruned": trial.pruned,
        "intermediate": dict(trial.intermediate) if trial.state == "pruned" else None,
        "seconds": trial.seconds,
        "created": trial.created,
        "started": trial.started,
        "finished": trial.finished,
    }


@command(
    "top",
    examples=(
        "nas top digits",
        "nas top digits --pruned",
        "nas top nas-experiments/digits -k 1 --json | jq '.[0].architecture'",
    ),
)
@experiment_argument
@click.option(
    "-k", "count", type=click.IntRange(1), default=5, show_default=True, help="How many trials."
)
@click.option(
    "--pruned",
    "with_pruned",
    is_flag=True,
    help="Below them as many pruned trials, those that came furthest first, with what they "
    "reported last.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def top(folder: Path, count: int, with_pruned: bool, as_json: bool) -> None:
    """Show the best trials of EXPERIMENT.

    EXPERIMENT is a folder, or a name in ./nas-experiments. It may be running.
    """
    from nas_search import Experiment

    experiment = Experiment.open(folder)
    best = experiment.top_trials(count)
    if with_pruned:
        best += _pruned(experiment)[:count]
    if as_json:
        print_json([trial_json(trial) for trial in best])
    elif best:
        print_table(console(), best_table(best, experiment.objectives))
    else:
        states = ", ".join(f"{n} {state}" for state, n in counts(experiment).items())
        console().print(f"No trial has completed yet: {states}.")


@command(
    "show",
    short_help="Show one trial, and why it failed or was pruned.",
    examples=(
        "nas show digits 7",
        "nas show digits 7 --log                    # what it printed",
        "nas show digits 7 --json | jq .error",
    ),
)
@experiment_argument
@click.argument("number", metavar="TRIAL", type=click.IntRange(0))
@click.option("--log", "as_log", is_flag=True, help="Print what it printed, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(folder: Path, number: int, as_log: bool, as_json: bool) -> None:
    """Show one TRIAL of EXPERIMENT: architecture, metrics, reports, why it failed or was pruned.

    TRIAL is its number. EXPERIMENT is a folder, or a name in ./nas-experiments. A trial in a worker
    process prints into a file; trials that were trained as one share it.
    """
    from nas_search import Experiment
    from nas_search.logs import find_log

    experiment = Experiment.open(folder)
    trial = find_trial(experiment, number)
    state = state_of(trial, experiment)
    log = find_log(folder, number)
    if as_log:
        _print_log(experiment, number, log)
    elif as_json:
        more = {"state": state, "reports": _reports(trial), "details": trial.details}
        print_json(trial_json(trial) | more | {"log": None if log is None else str(log)})
    else:
        _print_trial(trial, state)
        if log is not None:
            click.echo(f"\nlog: {printable(log)}")


def _print_log(experiment: Experiment, number: int, log: Path | None) -> None:
    if log is None:
        raise NoExperimentError(
            f"trial {number} of {experiment.config.name!r} has no log: it has printed nothing, or "
            'ran in the process of the search itself (executor = "inline")'
        )
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            click.echo(printable(line), nl=False)


def _pruned(experiment: Experiment) -> list[Trial]:
    """The pruned trials, those of later steps first: what they reported is not comparable else."""
    pruned = [trial for trial in experiment.trials if trial.state == "pruned"]
    return sorted(pruned, key=lambda trial: -max((r.step for r in trial.reports), default=-1))


def _reports(trial: Trial) -> list[dict[str, Any]]:
    return [{"step": report.step, "metrics": dict(report.metrics)} for report in trial.reports]


def _print_trial(trial: Trial, state: str) -> None:
    out = console()
    out.print(f"trial {trial.number}: {state} in {duration_text(trial.seconds)}")
    out.print(f"seed {trial.seed}, digest {trial.digest}\n")
    decisions = table("label", "value")
    for label, value in trial.architecture.items():
        decisions.add_row(printable(label), value_text(value))
    print_table(out, decisions)
    if trial.metrics:
        metrics = table("metric", "value", numbers=("value",))
        for name, value in trial.metrics.items():
            metrics.add_row(printable(name), number_text(value))
        out.print()
        print_table(out, metrics)
    for report in trial.reports:
        out.print(f"step {report.step}: {metrics_text(report.metrics)}")
    if trial.pruned:
        out.print(f"\npruned {printable(trial.pruned)}")
    if trial.error:
        out.print(f"\n{printable(trial.error)}")
    if trial.details:
        out.print(f"\n{printable(trial.details)}")
