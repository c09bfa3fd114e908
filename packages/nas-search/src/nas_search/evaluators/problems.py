"""What is wrong with a recipe whatever the candidate, so that it is said before any trial starts.

Each check is that of the training itself, on the smallest stand-in for a model. Where its arguments
are choices it is made for each of their options.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch
from nas_core import Space, resolve
from nas_core.expression import expressions_in
from nas_core.failure import Failed, attempt
from nas_core.protocols import Problem

from nas_search.evaluators.data import require_data, require_divisible
from nas_search.evaluators.parts import OPTIMIZERS, SCHEDULES
from nas_search.evaluators.training import (
    autocast,
    check_numbers,
    check_objectives,
)

if TYPE_CHECKING:
    from nas_search.evaluators.supervised import SupervisedEvaluator

MOST_COMBINATIONS = 64
STAND_IN_MOVES = 100


def problems(
    recipe: SupervisedEvaluator, space: Space, objectives: Sequence[str]
) -> Iterator[Problem]:
    """Say what no candidate of a space can be trained with; nothing is trained for that."""
    checks = {**CHECKS, _check_wanted(objectives): CHECKS[check_objectives]}
    found: dict[str, None] = {}
    for check, names in checks.items():
        for values in _combinations(recipe, names, space):
            outcome = attempt(partial(check, _with(recipe, names, values)))
            if isinstance(outcome, Failed):
                found[_in_words(outcome.error, values)] = None
    yield from map(Problem, found)


def _combinations(
    recipe: SupervisedEvaluator, names: Sequence[str], space: Space
) -> Iterator[Mapping[str, object]]:
    """The ways to decide the choices in some arguments, where that is cheap and all are allowed."""
    parts = [getattr(recipe, name) for name in names]
    if not any(True for _ in expressions_in(parts)):
        yield {}
    # A constraint may forbid the very combination that would not work.
    elif not any(constraint.shown for constraint in space.constraints):
        yield from islice(Space.of(parts).enumerate(), MOST_COMBINATIONS)


def _with(
    recipe: SupervisedEvaluator, names: Sequence[str], values: Mapping[str, object]
) -> SupervisedEvaluator:
    decided = resolve({name: getattr(recipe, name) for name in names}, values)
    return dataclasses.replace(recipe, **decided)


def _in_words(error: BaseException, values: Mapping[str, object]) -> str:
    text = str(error) or type(error).__name__
    given = ", ".join(f"{label} = {value!r}" for label, value in values.items())
    return f"{text} (with {given})" if given else text


def _check_loss(recipe: SupervisedEvaluator) -> None:
    recipe.metric_functions()


def _check_wanted(objectives: Sequence[str]) -> Callable[[SupervisedEvaluator], None]:
    return lambda recipe: check_objectives(recipe, objectives)


def _check_optimizer(recipe: SupervisedEvaluator) -> None:
    model = torch.nn.Linear(2, 2, bias=False)
    if _is_own(recipe.optimizer, OPTIMIZERS):
        optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    else:
        optimizer = recipe.make_optimizer(model)
    if not _is_own(recipe.schedule, SCHEDULES):
        recipe.make_schedule(optimizer, STAND_IN_MOVES)


def _is_own(part: object, known: Mapping[str, object]) -> bool:
    """Whether it is a function or class of the user's, which may need the real model."""
    return callable(part) and part not in known.values()


def _check_device(recipe: SupervisedEvaluator) -> None:
    autocast(recipe, torch.device("cpu"))
    if recipe.device != "auto":
        try:
            torch.device(recipe.device)
        except RuntimeError as error:
            raise ValueError(f"device {recipe.device!r}: {error}") from error


def _check_data(recipe: SupervisedEvaluator) -> None:
    require_data(recipe.train)
    if isinstance(recipe.validation, float | int):
        require_divisible(recipe.train, recipe.validation)
    else:
        require_data(recipe.validation)
    for data in recipe.also_measure.values():
        require_data(data)


CHECKS: Mapping[Callable[[SupervisedEvaluator], None], Sequence[str]] = {
    **{
        partial(check_numbers, names=(name,)): (name,)
        for name in (
            "batch_size",
            "epochs",
            "validate_every",
            "steps",
            "threads",
            "clip_norm",
            "schedule_every",
        )
    },
    _check_loss: ("loss", "loss_options", "metrics"),
    check_objectives: (
        "loss",
        "loss_options",
        "metrics",
        "also_measure",
        "epochs",
        "objectives",
    ),
    _check_optimizer: (
        "optimizer",
        "optimizer_options",
        "schedule",
        "schedule_options",
        "schedule_every",
    ),
    _check_device: ("device", "precision"),
    _check_data: ("train", "validation", "also_measure"),
}
"""Each check, with the arguments that it looks at."""
