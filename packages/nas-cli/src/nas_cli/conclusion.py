"""What is said at the end of a run, however it ended."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from nas_core.wording import first_line

from nas_cli.console import console, print_json, print_table, printable
from nas_cli.display import best_table, is_terminal
from nas_cli.exit_codes import ExitCode
from nas_cli.locate import HOME, counts
from nas_cli.trials import trial_json

if TYPE_CHECKING:
    from nas_search import Experiment

__all__ = ["conclude", "say_how_to_resume", "shown_name"]

_BEST = 5


def shown_name(folder: Path) -> str:
    """What to type for an experiment.

    >>> shown_name(Path("nas-experiments/digits")), shown_name(Path("my runs/digits"))
    ('digits', "'my runs/digits'")
    """
    return shlex.quote(folder.name if folder.parent == HOME else str(folder))


def say_how_to_resume(experiment: Experiment, ending: str) -> None:
    """Say on standard error what is kept and the exact command that goes on."""
    from nas_search.store import recorded

    if recorded(experiment.folder) is None:
        click.echo(f"{ending}: nothing has been started yet.", err=True)
        return
    trials = experiment.trials
    ended = sum(trial.state != "running" for trial in trials)
    kept = f"{ended} of {experiment.config.max_trials} trials have ended and are kept"
    click.echo(
        f"{ending}: {kept}. To go on:\n  nas resume {shown_name(experiment.folder)}", err=True
    )


def conclude(experiment: Experiment, reason: str, as_json: bool) -> None:
    """Print what came out, and fail if nothing did."""
    best = experiment.top_trials(_BEST)
    if as_json:
        print_json(_result(experiment, reason))
    if not best:
        click.echo(_nothing(experiment), err=True)
        raise click.exceptions.Exit(ExitCode.FAILED)
    if not as_json:
        _print_ending(experiment, reason)


def _print_ending(experiment: Experiment, reason: str) -> None:
    out = console()
    if not is_terminal(sys.stdout):  # a terminal shows the table already
        out.print()
        print_table(out, best_table(experiment.top_trials(_BEST), experiment.objectives))
    out.print(f"\nEnded: {printable(reason)}.")
    out.print(f"The best model with its weights: nas export {shown_name(experiment.folder)}")


def _result(experiment: Experiment, reason: str) -> dict[str, Any]:
    return {
        "name": experiment.config.name,
        "folder": str(experiment.folder),
        "reason": reason,
        **counts(experiment),
        "objectives": dict(experiment.objectives),
        "best": [trial_json(trial) for trial in experiment.top_trials(_BEST)],
    }


def _nothing(experiment: Experiment) -> str:
    for trial in experiment.trials:
        if trial.error:
            return (
                f"Error: no trial completed. Trial {trial.number} failed: "
                f"{first_line(trial.error)}\n"
                f"`nas show {shown_name(experiment.folder)} {trial.number}` shows more."
            )
    if pruned := counts(experiment)["pruned"]:
        return f"Error: no trial completed: {pruned} were pruned. Is the pruner too strict?"
    return "Error: no trial completed, and none was tried."
