"""``nas plan``: what an engine would do with candidates that it trains together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_cli.command import command
from nas_cli.console import printable, results_only
from nas_cli.environment import plugins
from nas_cli.files import is_standard_output, write_output
from nas_cli.subject import candidates, load_subject, subject_options

if TYPE_CHECKING:
    from nas_core.protocols import Explains
    from nas_search import ExperimentConfig

__all__ = ["plan"]

_SAMPLE = 8


def _architectures(
    _ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]
) -> list[dict[str, Any]]:
    found = []
    for text in texts:
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise click.BadParameter(f"{text!r} is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise click.BadParameter(f'{text!r} is no object such as {{"width": 32}}')
        found.append(value)
    return found


@command(
    "plan",
    short_help="Show what would happen to candidates trained together.",
    examples=(
        "nas plan search.toml                     # eight candidates of its space",
        "nas plan net.py:Net --evaluator train.py:evaluator --sample 16 --seed 7",
        """nas plan search.toml --arch '{"width": 16}' --arch '{"width": 32}'""",
        "nas plan search.toml --format source     # the merged training code",
        "nas plan search.toml --format html --output plan.html",
        "nas plan search.toml --format svg --output plan.svg",
        "nas plan search.toml --set engine_options.cluster_size=4",
    ),
)
@subject_options
@click.option(
    "--arch",
    "architectures",
    metavar="JSON",
    multiple=True,
    callback=_architectures,
    help="An architecture: label -> value. As often as there are candidates.",
)
@click.option(
    "--sample",
    "count",
    type=click.IntRange(0),
    help=f"How many random candidates.  [default: {_SAMPLE}, or none with --arch]",
)
@click.option(
    "--format",
    "formatter",
    type=click.Choice(["text", "source", "html", "svg"]),
    default="text",
    show_default=True,
    help="text: who is trained with whom, and what is merged. source: the code that is run. "
    "svg: what flows from step to step. html: all of it, as one page.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="The file to write to.  [default: -, standard output]",
)
def plan(
    target: str,
    evaluator: str | None,
    overrides: dict[str, Any],
    seed: int,
    architectures: list[dict[str, Any]],
    count: int | None,
    formatter: str,
    output: Path | None,
) -> None:
    """Show what would happen to candidates of TARGET that are trained together.

    TARGET is path/to/file.py:name or module:name, as for `nas space`; a TOML file names the model
    and the evaluator, as for `nas run`. The engine is that of the configuration if it can explain
    itself, or else an installed one that can. Nothing is trained, but a few steps may be timed.
    """
    if count is None:
        count = 0 if architectures else _SAMPLE
    with results_only():
        subject = load_subject(target, evaluator, overrides)
        chosen = candidates(subject, architectures, count, seed)
        if not chosen:
            raise click.UsageError("no candidates: give --arch or --sample")
        engine = _engine(subject.config)
        text = engine.explain(subject.model, chosen, subject.evaluator, formatter)
    if output is None or is_standard_output(output):
        click.echo(printable(text), nl=False)
    else:
        write_output(output, text)


def _engine(config: ExperimentConfig) -> Explains:
    """That of the configuration, or else one that explains."""
    from nas_core.errors import PluginError
    from nas_core.protocols import Explains
    from nas_search.named import load_engine

    found = plugins()
    able = [name for name, known in found.engines.items() if "explain" in known.info.capabilities]
    if not able:
        raise PluginError(
            "no installed engine trains candidates together and says how: "
            "`pip install nas-engine-cgo` brings one"
        )
    name = config.execution_engine if config.execution_engine in able else able[0]
    engine = load_engine(config, found, name)
    if not isinstance(engine, Explains):
        raise PluginError(f"engine {name!r} says that it explains, and has no method explain")
    return engine
