"""``nas dashboard``: an experiment in Optuna's dashboard."""

from __future__ import annotations

import contextlib
import webbrowser
from pathlib import Path

import click

from nas_cli.command import command
from nas_cli.locate import experiment_argument

__all__ = ["dashboard"]


@command(
    "dashboard",
    short_help="Show an experiment in Optuna's dashboard.",
    examples=(
        "nas dashboard digits",
        "nas dashboard digits --port 0 --no-browser   # any free port; the address is printed",
    ),
)
@experiment_argument
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Where it is served; 0: any free one.",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open it there.")
def dashboard(folder: Path, port: int, browser: bool) -> None:
    """Show EXPERIMENT in Optuna's dashboard, on this machine only, until Ctrl-C.

    It shows a copy of the trials, which follows them while they run: nothing that is done there
    changes the experiment. EXPERIMENT is a folder, or a name in ./nas-experiments.
    """
    from nas_search import Experiment
    from nas_search.dashboard import serve

    def ready(address: str) -> None:
        click.echo(f"{address}   (Ctrl-C ends it)")
        if browser:
            webbrowser.open(address)

    with contextlib.suppress(KeyboardInterrupt):
        serve(Experiment.open(folder), port, ready)
