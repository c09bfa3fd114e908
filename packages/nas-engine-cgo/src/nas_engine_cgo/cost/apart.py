"""When planning can't repay itself: the first model tells it, before any other is made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nas_engine_cgo.cost.length import MOSTLY_ALONE, gains_anyway, gains_unmerged, steps_of
from nas_engine_cgo.cost.memory import largest_activation
from nas_engine_cgo.cost.outline import alike, calls_of, repays
from nas_engine_cgo.members import UntraceableError
from nas_engine_cgo.options import Options
from nas_engine_cgo.state import Store
from nas_engine_cgo.train import Member, Programs, Traces, modes_kept

__all__ = ["why_apart", "why_short"]

_SHORT = 3072
"""Steps of all members from which on timing tells more than rules do."""


def why_short(first: Member, sources: Sequence[str], options: Options) -> str | None:
    """Why members gain less than it takes to look at any of them; None if they may gain more.

    Args:
        first: one of them.
        sources: those of the models of all.
        options: how they are run together.
    """
    if gains_anyway([first], options):
        return None
    steps, count, kinds = steps_of(first), len(sources), len(set(sources))
    if steps * count >= _SHORT:
        return None
    if repays(steps, count, kinds, calls_of(first.module), alike(sources)):
        return None
    return f"{steps} steps are too few to gain by merging"


def why_apart(first: Member, count: int, options: Options, programs: Programs) -> str | None:
    """Why members that take turns with their weights in the cache gain nothing, if they don't.

    Args:
        first: one of them.
        count: how many they are.
        options: how they are run together.
        programs: what is traced; it is filled.
    """
    short = steps_of(first) * count < _SHORT
    if not short or gains_anyway([first], options) or gains_unmerged([first]):
        return None
    store = Store([first.module])
    traces = Traces([first], store, programs, options.exact, lambda _, on: _set(first, on))
    with modes_kept([first]):
        try:
            program = traces.of(0, _batch(first), training=True)
        except UntraceableError:
            return MOSTLY_ALONE
    _, alone = largest_activation(program)
    return MOSTLY_ALONE if alone else None


def _set(member: Member, training: bool) -> None:
    member.module.train(training)


def _batch(member: Member) -> Sequence[Tensor]:
    """A batch like the first one, of data that is given as tensors."""
    recipe = member.recipe
    data = recipe.train
    assert isinstance(data, Sequence)
    held = recipe.validation if isinstance(recipe.validation, float | int) else 0.0
    count = len(data[0]) - round(len(data[0]) * held)
    some = torch.arange(min(recipe.batch_size, count))
    return [tensor[some].to(member.stream.generator.device) for tensor in data]
