"""What there is to gain: how much of the training is left when merging has been planned."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas_search.evaluators.data import is_tensors

from nas_engine_cgo.cache import cache_bytes
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Member

__all__ = ["MOSTLY_ALONE", "gains_anyway", "gains_unmerged", "steps_of"]

MOSTLY_ALONE = "most of the work can't be merged"


def steps_of(member: Member) -> float:
    """How many steps its training has, or about; infinite if that is not known."""
    recipe = member.recipe
    if recipe.steps is not None:
        return recipe.steps
    if is_tensors(recipe.train):  # To divide them takes time.
        share = recipe.validation if isinstance(recipe.validation, float | int) else 0.0
        return math.ceil(len(recipe.train[0]) * (1 - share) / recipe.batch_size) * recipe.epochs
    batches = recipe.feeds(0, member.stream.generator.device)[0].batches
    return math.inf if batches is None else batches * recipe.epochs


def gains_anyway(members: Sequence[Member], options: Options) -> bool:
    """Whether members gain by one loop even where they can't be merged, or it has to be.

    Data that has to be loaded is loaded once, and so is frozen layers' work done.
    """
    frozen = any(member.has_frozen for member in members)
    asked = options.cluster_size is not None or options.twins == "once"
    return asked or frozen or not is_tensors(members[0].recipe.train)


def gains_unmerged(members: Sequence[Member]) -> bool:
    """Whether members whose work can't be merged gain by one loop all the same.

    One batch is loaded for all, and one optimiser steps. But they take turns, and where weights,
    gradients and what the optimiser keeps of one fill the cache, each finds its own gone.
    """
    trained = sum(p.nbytes for p in members[0].parameters if p.requires_grad)
    return 3 * trained <= cache_bytes()
