"""Members of one loop that are the same model in other names, trained in the same way."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nas_engine_cgo.members.calls import named_tensors
from nas_engine_cgo.members.twins import Form, forms
from nas_engine_cgo.options import Options
from nas_engine_cgo.train.loop import Loop, Prepared
from nas_engine_cgo.train.members import OWN, Member, comparable

__all__ = ["Twin", "find_twins"]


@dataclass(frozen=True)
class Twin:
    """A member that is another one in other names.

    Attributes:
        member: this one.
        first: the other one, which comes before it.
        paths: a parameter or buffer of the first, and of this one, for each.
    """

    member: Member
    first: Member
    paths: tuple[tuple[str, str], ...]

    def trained(self, module: nn.Module) -> nn.Module:
        """The module of this one with the weights of the first's."""
        theirs, own = (named_tensors(each) for each in (module, self.member.module))
        with torch.no_grad():
            for other, path in self.paths:
                own[path].copy_(theirs[other])
        return self.member.module


def find_twins(
    members: Sequence[Member], options: Options, prepared: Prepared | None = None
) -> list[Twin]:
    """Those that are another one, both while they are trained and while they are measured.

    Args:
        members: of one loop.
        options: how they are run together.
        prepared: what was found out about them before.
    """
    loop = Loop(members, [range(len(members))], options, prepared or Prepared({}))
    batches = next(loop.batches(), None)
    if batches is None:
        return []
    both = [loop.merged.code.traced(batches, training) for training in (True, False)]
    traced = [i for i, programs in enumerate(zip(*both, strict=True)) if all(programs)]
    modules = [members[i].module for i in traced]
    found = [forms([p for i in traced if (p := each[i])], modules) for each in both]
    firsts: dict[Hashable, tuple[Member, Form]] = {}
    twins = []
    for i, form, measured in zip(traced, *found, strict=True):
        settings = tuple(comparable(getattr(members[i].recipe, name)) for name in OWN)
        first, other = firsts.setdefault((form.key, measured.key, settings), (members[i], form))
        if first is not members[i]:
            paths = tuple(zip(other.paths, form.paths, strict=True))
            twins.append(Twin(members[i], first, paths))
    return twins
