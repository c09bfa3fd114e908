"""Finding an experiment: by its folder, or by its name in ``./nas-experiments``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from nas_core.errors import nearest

from nas_cli.edge import NoExperimentError

if TYPE_CHECKING:
    from nas_search import Experiment, Trial

__all__ = [
    "HOME",
    "STATES",
    "STORE",
    "counts",
    "experiment_argument",
    "experiment_folders",
    "find_experiment",
    "find_trial",
    "is_configuration",
    "resumed_argument",
    "state_of",
]

HOME = Path("nas-experiments")
STORE = "trials.sqlite"
RECORD = "store.json"
STATES = ("completed", "pruned", "failed", "running", "interrupted")


def counts(experiment: Experiment) -> dict[str, int]:
    """How many trials are in each state; those that no process runs any more are interrupted."""
    states = [state_of(trial, experiment) for trial in experiment.trials]
    return {state: states.count(state) for state in STATES}


def state_of(trial: Trial, experiment: Experiment) -> str:
    """The state of a trial in words: a store alone can't tell that its process was killed."""
    stopped = trial.state == "running" and not experiment.is_running
    return "interrupted" if stopped else trial.state


def experiment_folders(directory: Path) -> list[Path]:
    """The experiments right inside a directory, by name."""
    if not directory.is_dir():
        return []
    return sorted(child for child in directory.iterdir() if _has_experiment(child))


def _has_experiment(folder: Path) -> bool:
    """Whether the trials are in it, or it says in which database they are."""
    return any((folder / name).is_file() for name in (STORE, RECORD))


def find_experiment(name: str) -> Path:
    """The folder of an experiment.

    Raises:
        NoExperimentError: neither the folder of an experiment nor the name of one.
    """
    by_name = [HOME / name] if Path(name).name == name else []
    for folder in (Path(name), *by_name):
        if _has_experiment(folder):
            return folder
    known = [folder.name for folder in experiment_folders(HOME)]
    there = ", ".join(known) if known else "none"
    reason = f"it has no {STORE} and no {RECORD}" if Path(name).is_dir() else "no such folder"
    raise NoExperimentError(
        f"no experiment {name!r}: {reason}, and no experiment of this name in "
        f"{HOME}{os.sep} (there: {there}){nearest(name, known)}"
    )


def find_trial(experiment: Experiment, number: int) -> Trial:
    """The trial of this number.

    Raises:
        NoExperimentError: there is none; says which there are.
    """
    found = {trial.number: trial for trial in experiment.trials}
    if number in found:
        return found[number]
    there = f"it has 0 to {max(found)}" if found else "it has none yet"
    raise NoExperimentError(f"experiment {experiment.config.name!r} has no trial {number}: {there}")


def _find(_ctx: click.Context, _param: click.Parameter, name: str) -> Path:
    return find_experiment(name)


def _find_or_read(ctx: click.Context, param: click.Parameter, name: str) -> Path:
    return Path(name) if is_configuration(name) else _find(ctx, param, name)


def is_configuration(name: str | Path) -> bool:
    """Whether this is a configuration, and not the folder or the name of an experiment."""
    return Path(name).suffix == ".toml" and Path(name).is_file()


def _complete(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    names = [folder.name for folder in experiment_folders(HOME)]
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="dir")]


experiment_argument = click.argument(
    "folder", metavar="EXPERIMENT", callback=_find, shell_complete=_complete
)
"""The EXPERIMENT of a command, which gets its folder."""

resumed_argument = click.argument(
    "named", metavar="EXPERIMENT", callback=_find_or_read, shell_complete=_complete
)
"""The EXPERIMENT of a command that takes its configuration as well, and gets which it is."""
