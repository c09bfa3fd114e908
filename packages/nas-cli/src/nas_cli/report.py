"""``nas report``: an experiment as one page for the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from nas_cli.command import command
from nas_cli.console import results_only
from nas_cli.environment import plugins
from nas_cli.files import is_standard_output, write_output
from nas_cli.locate import experiment_argument

__all__ = ["report"]


@command(
    "report",
    short_help="Write an experiment as one HTML page.",
    examples=(
        "nas report digits --open",
        "nas report digits --trial 7 --output digits.html",
        "nas report digits --output - | ssh host 'cat > digits.html'",
    ),
)
@experiment_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="The file to write, - for standard output.  "
    "[default: report.html in the folder of EXPERIMENT]",
)
@click.option(
    "--trial",
    type=click.IntRange(0),
    help="The trial whose graph is drawn.  [default: the best one]",
)
@click.option("--open", "shown", is_flag=True, help="Show it in the browser.")
def report(folder: Path, output: Path | None, trial: int | None, shown: bool) -> None:
    """Write EXPERIMENT as one HTML page, which needs nothing but itself.

    It shows the best models, the history, what is important, when trials ran, what failed and why,
    and the graph of a model, for which that model is loaded. EXPERIMENT is a folder, or a name in
    ./nas-experiments. It may be running.
    """
    from nas_search import Experiment
    from nas_search.report import report_page

    path = folder / "report.html" if output is None else output
    to_stdout = is_standard_output(path)
    if to_stdout and shown:
        raise click.UsageError("--open shows a file, which --output - does not write")
    with results_only(to_stdout):
        installed = plugins()
        found = Experiment.open(folder, plugins=installed)
        page = report_page(found, trial=trial, plugins=installed)
    if to_stdout:
        click.echo(page)
        return
    write_output(path, page)
    if shown:
        webbrowser.open(path.resolve().as_uri())
