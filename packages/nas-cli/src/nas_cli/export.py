"""``nas export``: the best models out of an experiment, as files."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_cli.command import command
from nas_cli.console import console, printable
from nas_cli.edge import NoExperimentError
from nas_cli.environment import plugins
from nas_cli.locate import experiment_argument, find_trial, state_of

if TYPE_CHECKING:
    import torch
    from nas_search import Experiment, Trial
    from nas_search.artifacts import Artifacts

__all__ = ["export"]


def _folder(_ctx: click.Context, _param: click.Parameter, output: str | None) -> str | None:
    if output == "-":
        raise click.BadParameter("several files are written, which - can't hold: name a folder")
    return output


@command(
    "export",
    short_help="Write the best models, with their weights.",
    examples=(
        "nas export digits                          # into nas-experiments/digits/export",
        "nas export digits -k 3 --output best",
        "nas export digits --trial 4 --trial 17     # those that you have chosen",
        "nas export digits --formatter code --output best",
        "nas export digits --output s3://bucket/digits   # where the package s3fs reaches it",
    ),
)
@experiment_argument
@click.option(
    "-k",
    "count",
    type=click.IntRange(1),
    help="How many of the best models.  [default: 1, without --trial]",
)
@click.option(
    "--trial",
    "numbers",
    metavar="TRIAL",
    type=click.IntRange(0),
    multiple=True,
    help="The model of this trial; may be given several times.",
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
    "-o",
    "--output",
    type=click.Path(file_okay=False),
    callback=_folder,
    help="The folder to write to, made if needed, or a URL such as s3://bucket/folder.  "
    "[default: export/ in the folder of EXPERIMENT]",
)
def export(
    folder: Path, count: int | None, numbers: tuple[int, ...], formatter: str, output: str | None
) -> None:
    """Write the best models of EXPERIMENT: architectures as JSON, weights as safetensors.

    EXPERIMENT is a folder, or a name in ./nas-experiments. It may be running. A file is written
    whole or not at all.
    """
    from nas_search import Experiment

    experiment = Experiment.open(folder, plugins=plugins())
    trials = _chosen(experiment, count, numbers)
    exported = list(zip(trials, experiment.export_models(trials, formatter), strict=True))
    target = _made(folder / "export" if output is None else output)
    out = console()
    for trial, model in exported:
        for name in _written(experiment, trial, model, target):
            out.print(printable(target.where(name)))


def _made(place: Path | str) -> Artifacts:
    from nas_search import StoreError
    from nas_search.artifacts import Artifacts

    target = Artifacts(place)
    try:
        target.require_usable()
    except StoreError as error:
        raise StoreError(error.where, f"{error.reason}; --output names another folder") from error
    return target


def _chosen(experiment: Experiment, count: int | None, numbers: Sequence[int]) -> list[Trial]:
    """The trials of these numbers, then so many of the best, each once."""
    chosen = {number: find_trial(experiment, number) for number in numbers}
    for trial in chosen.values():
        if trial.state != "completed":
            raise NoExperimentError(
                f"trial {trial.number} of {experiment.config.name!r} has no model: it is "
                f"{state_of(trial, experiment)}, not completed"
            )
    if count is None:
        count = 0 if numbers else 1
    chosen |= {trial.number: trial for trial in experiment.top_trials(count)}
    if not chosen:
        raise NoExperimentError(f"experiment {experiment.config.name!r} has no completed trial yet")
    return list(chosen.values())


def _written(
    experiment: Experiment,
    trial: Trial,
    model: dict[str, Any] | str | torch.nn.Module,
    target: Artifacts,
) -> Iterator[str]:
    """Write the files of one trial, all or none, and name each as it is complete."""
    from nas_search.export import stored_weights

    stem = f"trial-{trial.number}"
    untrained = experiment.config.save_weights == "none"
    # What there may not be comes first: the weights, and a model that can be pickled.
    with nullcontext() if untrained else stored_weights(experiment.artifacts, trial) as weights:
        if not isinstance(model, (dict, str)):
            yield target.put(f"{stem}.pt", lambda path: _pickle(model, path))
        yield target.put(f"{stem}.json", lambda path: _write_text(path, _architecture_json(trial)))
        if weights is None:
            click.echo('Warning: no weights, since the run had save_weights = "none"', err=True)
        else:
            yield target.put(f"{stem}.safetensors", partial(shutil.copyfile, weights))
    if isinstance(model, str):
        yield target.put(f"{stem}.py", lambda path: _write_text(path, model))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _architecture_json(trial: Trial) -> str:
    return json.dumps(dict(trial.architecture), indent=2) + "\n"


def _pickle(model: torch.nn.Module, path: Path) -> None:
    import torch

    try:
        torch.save(model, path)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise click.UsageError(
            f"the model can't be pickled as a whole ({error}); "
            "--formatter dict writes its architecture and weights, code also its source"
        ) from error
