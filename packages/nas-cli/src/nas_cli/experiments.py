"""``nas list-experiments``: the experiments in a directory, and how far each is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from nas_core.errors import NasError
from nas_core.wording import first_line, metrics_text

from nas_cli.command import command
from nas_cli.console import console, print_json, print_table, printable, table
from nas_cli.locate import HOME, STATES, counts, experiment_folders

if TYPE_CHECKING:
    from nas_search import Experiment

__all__ = ["list_experiments"]


@command(
    "list-experiments",
    short_help="List the experiments in a directory.",
    examples=(
        "nas list-experiments",
        "nas list-experiments /data/searches --json | jq '.[].name'",
    ),
)
@click.argument(
    "directory", default=HOME, type=click.Path(exists=False, file_okay=False, path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_experiments(directory: Path, as_json: bool) -> None:
    """List the experiments in DIRECTORY (./nas-experiments) with their trials and best result."""
    if directory != HOME and not directory.is_dir():
        raise click.BadParameter(f"no directory {str(directory)!r}", param_hint="DIRECTORY")
    rows = [_row(folder) for folder in experiment_folders(directory)]
    if as_json:
        print_json(rows)
    elif rows:
        _print_rows(rows)
    else:
        console().print(f"No experiments in {printable(directory)}.")


def _row(folder: Path) -> dict[str, Any]:
    from nas_search import Experiment

    row = {"name": folder.name, "folder": str(folder), "error": None, "best": None}
    try:
        experiment = Experiment.open(folder)
        return row | counts(experiment) | {"best": _best(experiment)}
    except NasError as error:  # one unreadable store must not hide the others
        return row | dict.fromkeys(STATES) | {"error": str(error)}


def _best(experiment: Experiment) -> dict[str, Any] | None:
    for trial in experiment.top_trials(1):
        metrics = trial.metrics or {}
        return {
            "number": trial.number,
            "metrics": {name: metrics[name] for name in experiment.objectives},
        }
    return None


def _print_rows(rows: list[dict[str, Any]]) -> None:
    out = console()
    shown = table("experiment", *STATES, "best trial", numbers=STATES)
    for row in rows:
        best = row["best"]
        text = "-" if best is None else f"{best['number']}: {metrics_text(best['metrics'])}"
        counts = ("-" if row[state] is None else str(row[state]) for state in STATES)
        shown.add_row(printable(row["name"]), *counts, first_line(row["error"]) or text)
    print_table(out, shown)
