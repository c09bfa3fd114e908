"""Which trials are the best, and their models."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from nas_core.errors import UnsupportedFormatError, nearest
from nas_core.protocols import FORMATS, Direction

from nas_search.artifacts import Artifacts, weights_name
from nas_search.store import StoreError, Trial

if TYPE_CHECKING:
    import torch

__all__ = ["drawing_as", "front", "load_weights", "ranked", "require_format", "stored_weights"]

log = logging.getLogger("nas_search")


Scored: TypeAlias = tuple[tuple[float, ...], "Trial"]
"""A trial after its objectives, lower ones better."""


def ranked(trials: Sequence[Trial], objectives: Mapping[str, Direction]) -> list[Trial]:
    """The completed trials, the best first; equal ones by number.

    With several objectives the Pareto front comes first, then the front of what is left, and so
    on (non-dominated sorting, Deb et al. 2002); within a front the main objective decides.
    """
    return [trial for front in _fronts(trials, objectives) for _, trial in front]


def front(trials: Sequence[Trial], objectives: Mapping[str, Direction]) -> list[Trial]:
    """The completed trials that no other one dominates: the Pareto front, the main one first."""
    return [trial for front in _fronts(trials, objectives)[:1] for _, trial in front]


def _fronts(trials: Sequence[Trial], objectives: Mapping[str, Direction]) -> list[list[Scored]]:
    """The fronts in turn, found by binary search for each trial (Zhang et al. 2015)."""
    fronts: list[list[Scored]] = []
    for each in _scored(trials, objectives):
        # What a front dominates, those before it dominate as well.
        place = bisect_left(fronts, True, key=lambda front: not _dominates(front, each[0]))
        if place == len(fronts):
            fronts.append([])
        fronts[place].append(each)
    return fronts


def _scored(trials: Sequence[Trial], objectives: Mapping[str, Direction]) -> list[Scored]:
    """The completed trials, sorted: none is dominated by what comes after it."""
    signs = {name: -1 if way == "maximize" else 1 for name, way in objectives.items()}
    found = [
        (tuple(trial.metrics[name] * sign for name, sign in signs.items()), trial)
        for trial in trials
        if trial.state == "completed" and trial.metrics is not None
    ]
    return sorted(found, key=lambda each: (each[0], each[1].number))


def _dominates(front: Sequence[Scored], mine: tuple[float, ...]) -> bool:
    """Whether one of a front dominates what comes after all of it."""
    # Of two objectives the last one has the least of the second.
    rivals = front[-1:] if len(mine) <= 2 else front
    return any(
        other != mine and all(x <= y for x, y in zip(other, mine, strict=True))
        for other, _ in rivals
    )


def require_format(formatter: str) -> None:
    """Refuse what is no format of any engine.

    >>> require_format("instanse")
    Traceback (most recent call last):
    nas_core.errors.UnsupportedFormatError: no format 'instanse' (dict, instance or code); \
did you mean 'instance'?
    """
    if formatter not in FORMATS:
        raise UnsupportedFormatError(
            f"no format {formatter!r} (dict, instance or code){nearest(formatter, FORMATS)}"
        )


@contextmanager
def drawing_as(trial: Trial) -> Iterator[None]:
    """Draw random numbers within the block as the trial has, while its model was made.

    What is drawn and not among the weights is then what the trial had, such as a buffer that is not
    saved, or the first weights in generated code.
    """
    from nas_core.candidate import seed_host
    from nas_core.generators import random_states

    rewind = random_states()
    seed_host(trial.seed)
    try:
        yield
    finally:
        rewind()


def load_weights(model: torch.nn.Module, files: Artifacts, trial: Trial, saved: bool) -> None:
    """Load the trained weights of a trial; every one of them must be there and fit.

    Raises:
        StoreError: they are not there, are not what was stored, or belong to another model.
    """
    if not saved:
        log.warning(
            'trial %d has no stored weights (save_weights = "none"): its model is untrained',
            trial.number,
        )
        return
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    with stored_weights(files, trial) as path:
        try:
            load_model(model, str(path), strict=True)
        except (RuntimeError, SafetensorError) as error:
            raise StoreError(
                files.where(weights_name(trial.number)),
                f"the weights don't fit the model of trial {trial.number}: {error}; "
                "has the model's code been changed since?",
            ) from error


@contextmanager
def stored_weights(files: Artifacts, trial: Trial) -> Iterator[Path]:
    """The file of the trained weights of a trial, as one that lies here within the block.

    Raises:
        StoreError: it is not there, or not what was stored.
    """
    name = weights_name(trial.number)
    if not files.exists(name):
        raise StoreError(
            files.where(name),
            f"the weights of trial {trial.number} are not there: were they written elsewhere, or "
            "on another machine? `artifacts` names one place for all",
        )
    with files.read(name, trial.weights) as path:
        yield path
