"""What members are trained and measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from nas_search.evaluators.data import Feed

from nas_engine_cgo.train.members import Member, Recipe

__all__ = ["Feeds", "feeds_of", "opened"]


@dataclass(frozen=True)
class Feeds:
    """One data stream: to train on, and by name to measure on."""

    training: Feed
    measured: Mapping[str, Feed]


def opened(members: Sequence[Member], device: torch.device, share: bool) -> list[Feeds]:
    """The data of members: one stream for all where it may be shared, or else one for each.

    It may be if its order is the same for all candidates.
    """
    one = share and members[0].recipe.data_seed is not None
    return [feeds_of(each, device) for each in (members[:1] if one else members)]


def feeds_of(member: Member, device: torch.device, recipe: Recipe | None = None) -> Feeds:
    """The data of a recipe, by default its own, as a member reads it."""
    return Feeds(*(recipe or member.recipe).feeds(member.candidate.seed, device))
