"""``nas run`` and ``nas resume``: explore a model space, and go on after an interruption."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from nas_core.errors import nearest

from nas_cli.command import command
from nas_cli.conclusion import conclude, say_how_to_resume
from nas_cli.console import results_only
from nas_cli.display import Scale, Unread, display
from nas_cli.edge import explain
from nas_cli.environment import plugins
from nas_cli.exit_codes import ExitCode
from nas_cli.locate import is_configuration, resumed_argument
from nas_cli.overrides import changed, set_option

if TYPE_CHECKING:
    from nas_search import Experiment, ExperimentConfig

__all__ = ["resume", "run"]


_MAY_CHANGE = (
    "executor",
    "executor_options",
    "max_failures_in_a_row",
    "max_seconds",
    "max_trials",
    "observer_options",
    "observers",
    "threads_per_trial",
    "trial_concurrency",
    "trial_time_limit",
)
"""The keys that decide how an experiment is run, and not what it is."""

_SAY_WHICH = ("directory", "name", "store")
"""The keys that decide which one it is, where a configuration names it."""


@command(
    "run",
    examples=(
        "nas run search.toml",
        "nas run search.toml --name wide --max-trials 20 --concurrency 2",
        "nas run search.toml --set strategy.name=grid --set seed=7",
        "nas run search.toml --json > result.json   # progress goes to standard error",
    ),
)
@click.argument(
    "config", metavar="CONFIG.toml", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--max-trials", type=click.IntRange(1), help="How many architectures to try.")
@click.option("--concurrency", type=click.IntRange(1), help="How many trials run at once.")
@click.option("--name", help="The experiment's name.")
@click.option(
    "--directory", type=click.Path(file_okay=False), help="Where the experiment's folder goes."
)
@set_option(
    "Change any key of the configuration. Another strategy.name, execution_engine, executor "
    "or pruner drops the options that the file gives to its own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def run(config: Path, overrides: dict[str, Any], as_json: bool, **options: Any) -> None:
    """Explore the model space that CONFIG.toml names.

    Ctrl-C stops it; every trial that has ended is kept, and `nas resume` goes on.
    """
    with results_only(as_json):
        from nas_search import Experiment, ExperimentConfig

        settings = _changed(ExperimentConfig.from_toml(config), overrides, options)
        with _workers_ahead(settings):
            experiment = Experiment.from_config(settings, plugins=plugins())
            reason = _explore(experiment, experiment.run, as_json)
    conclude(experiment, reason, as_json)


@command(
    "resume",
    short_help="Go on with an experiment, or try more architectures.",
    examples=(
        "nas resume digits",
        "nas resume nas-experiments/digits --max-trials 100   # further than planned",
        "nas resume digits --set executor_options.address=tcp://10.0.0.7:8786",
        "nas resume search.toml   # one in a database, begun on another machine",
    ),
)
@resumed_argument
@click.option("--max-trials", type=click.IntRange(1), help="How many in all, from now on.")
@click.option("--concurrency", type=click.IntRange(1), help="How many trials run at once.")
@set_option(f"Change how it is run from now on: {', '.join(_MAY_CHANGE)}.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def resume(named: Path, overrides: dict[str, Any], as_json: bool, **options: Any) -> None:
    """Go on with EXPERIMENT after an interruption, or to try more architectures.

    EXPERIMENT is a folder, a name in ./nas-experiments, or the TOML file that it was begun with.
    Trials that have ended are not repeated.
    """
    with results_only(as_json):
        _require_resumable(named, overrides)
        experiment = _begun(named, overrides, options)
        with _workers_ahead(experiment.config):
            reason = _explore(experiment, experiment.resume, as_json)
    conclude(experiment, reason, as_json)


def _begun(named: Path, overrides: dict[str, Any], options: dict[str, Any]) -> Experiment:
    """The experiment of a folder as it was begun, or that of a file as the file says now."""
    from nas_search import Experiment, ExperimentConfig

    if is_configuration(named):
        settings = _changed(ExperimentConfig.from_toml(named), overrides, options)
        return Experiment.from_config(settings, plugins=plugins())
    experiment = Experiment.open(named, plugins=plugins())
    experiment.config = _changed(experiment.config, overrides, options)
    return experiment


def _require_resumable(named: Path, overrides: dict[str, Any]) -> None:
    may = sorted((*_MAY_CHANGE, *_SAY_WHICH)) if is_configuration(named) else _MAY_CHANGE
    for key in overrides:
        name = key.partition(".")[0]
        if name not in may:
            raise click.BadParameter(
                f"an experiment keeps its {name!r}{nearest(name, may)} (what may change: "
                f"{', '.join(may)}); `nas run --name` starts another one",
                param_hint="'--set'",
            )


def _workers_ahead(config: ExperimentConfig) -> AbstractContextManager[None]:
    """Let what starts workers import torch while this process does, and loads the model."""
    from nas_search.executors.local import server_ahead

    return server_ahead() if config.executor == "local" else nullcontext()


def _changed(
    config: ExperimentConfig, overrides: dict[str, Any], options: dict[str, Any]
) -> ExperimentConfig:
    """The configuration with what --set and the options of their own say."""
    keys = {"concurrency": "trial_concurrency"}
    given = {keys.get(name, name): value for name, value in options.items() if value is not None}
    if not given:
        return changed(config, overrides)
    return changed(config, overrides | given, hint=None)  # the message names the key


def _explore(experiment: Experiment, go: Callable[[], str], as_json: bool) -> str:
    """Run or resume, showing it, and answer why it ended; an interruption says how to go on."""
    from nas_search.executors.protocol import WorkersError
    from nas_search.running import TooManyFailuresError

    scale = Scale(
        name=experiment.config.name,
        total=experiment.config.max_trials,
        ended=frozenset(t.number for t in experiment.trials if t.state != "running"),
        objectives=experiment.objectives,
        best=experiment.top_trials,
    )
    try:
        with display(scale, sys.stderr if as_json else sys.stdout) as shown:
            experiment.observers = (shown,)
            return go()
    except Unread:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
    except KeyboardInterrupt:
        say_how_to_resume(experiment, "Interrupted")
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except (TooManyFailuresError, WorkersError) as error:
        click.echo(explain(error).message, err=True)
        say_how_to_resume(experiment, "Given up")
        raise click.exceptions.Exit(ExitCode.FAILED) from None
