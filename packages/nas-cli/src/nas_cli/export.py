"""``nas export``: the best models out of an experiment, as files."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_cli.command import command
from nas_cli.console import console, printable
from nas_cli.edge import NoExperimentError
from nas_cli.environment import plugins
from nas_cli.files import replacing, write_text
from nas_cli.locate import experiment_argument

if TYPE_CHECKING:
    import torch
    from nas_search import Experiment, Trial

__all__ = ["export"]


@command(
    "export",
    examples=(
        "nas export digits                          # into nas-experiments/digits/export",
        "nas export digits -k 3 --output best",
        "nas export digits --formatter code --output best",
    ),
)
@experiment_argument
@click.option(
    "-k", "count", type=click.IntRange(1), default=1, show_default=True, help="How many models."
)
@click.option(
    "--formatter",
    type=click.Choice(["dict", "instance", "code"]),
    default="dict",
    show_default=True,
    help="dict: architecture and weights. instance: also the model itself, for torch.load. "
    "code: also its source, from engines that can write it.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write to, made if needed.  [default: export/ in that of EXPERIMENT]",
)
def export(folder: Path, count: int, formatter: str, output: Path | None) -> None:
    """Write the best models of EXPERIMENT: architectures as JSON, weights as safetensors.

    EXPERIMENT is a folder, or a name in ./nas-experiments. It may be running. A file is written
    whole or not at all.
    """
    from nas_search import Experiment

    experiment = Experiment.open(folder, plugins=plugins())
    exported = _exported(experiment, count, formatter)
    if not exported:
        raise NoExperimentError(f"experiment {experiment.config.name!r} has no completed trial yet")
    target = _made(folder / "export" if output is None else output)
    out = console()
    for trial, model in exported:
        for path in _written(experiment, trial, model, target):
            out.print(printable(path))


def _made(target: Path) -> Path:
    from nas_search import StoreError

    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"can't be made: {error.strerror}; --output names another folder"
        raise StoreError(target, reason) from error
    return target


def _exported(experiment: Experiment, count: int, formatter: str) -> list[tuple[Trial, Any]]:
    while True:
        top = experiment.top_trials(count)
        models = experiment.export_top_models(count, formatter)
        # A trial that ended meanwhile may have changed the order.
        if top == experiment.top_trials(count):
            return list(zip(top, models, strict=True))


def _written(
    experiment: Experiment,
    trial: Trial,
    model: dict[str, Any] | str | torch.nn.Module,
    target: Path,
) -> Iterator[Path]:
    """Write the files of one trial, each named as it is complete."""
    stem = target / f"trial-{trial.number}"
    yield write_text(stem.with_suffix(".json"), _architecture_json(trial))
    from nas_search import StoreError
    from nas_search.recorder import weights_path

    weights = weights_path(experiment.folder, trial.number)
    if weights.is_file():
        with replacing(stem.with_suffix(".safetensors")) as temporary:
            shutil.copyfile(weights, temporary)
        yield stem.with_suffix(".safetensors")
    elif experiment.config.save_weights == "none":
        click.echo('Warning: no weights, since the run had save_weights = "none"', err=True)
    else:
        raise StoreError(weights, f"the weights of trial {trial.number} are not there")
    if isinstance(model, str):
        yield write_text(stem.with_suffix(".py"), model)
    elif not isinstance(model, dict):
        yield _pickled(model, stem.with_suffix(".pt"))


def _architecture_json(trial: Trial) -> str:
    return json.dumps(dict(trial.architecture), indent=2) + "\n"


def _pickled(model: torch.nn.Module, path: Path) -> Path:
    import torch

    try:
        with replacing(path) as temporary:
            torch.save(model, temporary)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise click.UsageError(
            f"the model can't be pickled as a whole ({error}); "
            "--formatter dict writes its architecture and weights"
        ) from error
    return path
