"""Who is trained with whom: candidates of jobs become members, as far as that repays.

The first of those whose recipes differ in little tells whether planning can pay. If not, no other
model is made here: each is made where it is trained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from nas_core import resolve
from nas_core.candidate import seed_all
from nas_core.failure import failure_text
from nas_core.uncollected import uncollected
from nas_engine_graph.engine import GraphJob
from nas_engine_graph.weights import Generated
from nas_search.evaluators.training import check_numbers, check_objectives, pick_device

from nas_engine_cgo.cost import why_apart, why_short
from nas_engine_cgo.members.calls import named_tensors
from nas_engine_cgo.members.shared import Shared
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import (
    Member,
    Programs,
    RefusedError,
    Stream,
    cohort_key,
    functions_in,
    recipe_key,
    unshared,
    why_alone,
    why_recipe_alone,
)

__all__ = ["Apart", "assembled", "threads_of"]


@dataclass(frozen=True, eq=False)
class Apart:
    """A candidate that is trained by itself.

    Attributes:
        reason: why.
        member: what was made of it; None if that failed, or nothing was.
    """

    reason: str
    member: Member | None = None


@uncollected()
def assembled(
    jobs: Sequence[GraphJob], options: Options, programs: Programs
) -> tuple[list[list[Member]], dict[int, Apart]]:
    """The candidates of jobs: those that can be trained in one loop, and why others run alone.

    Args:
        jobs: one candidate each.
        options: how they are run together.
        programs: what is traced on the way; it is filled.
    """
    groups: dict[Any, list[_Draft]] = defaultdict(list)
    alone: dict[int, Apart] = {}
    for job in jobs:
        try:
            draft = _Draft.of(job)
        # The recipe is anybody's code: alone, it finds its own end.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            alone[job.candidates[0].number] = Apart(failure_text(error))
        else:
            groups[recipe_key(draft.recipe)].append(draft)
    together: list[list[Member]] = []
    for drafts in groups.values():
        together += _grouped(drafts, options, programs, alone)
    return together, alone


@dataclass(frozen=True, eq=False)
class _Draft:
    """A candidate whose model is not made yet, and how it is trained, without open choices."""

    job: GraphJob
    recipe: Any

    @classmethod
    def of(cls, job: GraphJob) -> _Draft:
        (candidate,) = job.candidates
        recipe: Any = resolve(job.evaluator, candidate.architecture)
        check_numbers(recipe)
        check_objectives(recipe)
        return cls(job, recipe)

    @property
    def number(self) -> int:
        return self.job.candidates[0].number

    @property
    def source(self) -> str:
        """That of its model; empty if it has none."""
        made = self.job.made
        return made.source.text if isinstance(made, Generated) else ""

    def member(self) -> Member:
        """The candidate, ready to be trained with others."""
        (candidate,) = self.job.candidates
        device = pick_device(self.recipe.device)
        seed_all(candidate.seed)
        module = self.job.build()
        if any(tensor.device != device for tensor in named_tensors(module).values()):
            module = module.to(device)
        stream = Stream(torch.Generator(device).manual_seed(candidate.seed))
        return Member(candidate, module, self.recipe, stream)


def _grouped(
    drafts: Sequence[_Draft], options: Options, programs: Programs, alone: dict[int, Apart]
) -> Iterator[list[Member]]:
    """Those of equal data and length that can be trained in one loop; the others are ``alone``."""
    cohorts: dict[Any, list[Member]] = defaultdict(list)
    sources = [draft.source for draft in drafts]
    reason = why_recipe_alone(drafts[0].recipe) or (_NO_OTHER if len(drafts) == 1 else None)
    count = len(drafts)
    for draft in drafts:
        if reason is not None:
            alone[draft.number] = Apart(reason)
            continue
        try:
            member = draft.member()
            own = reason = None if cohorts else why_short(member, sources, options)
            own = own or _why_by_itself(member, count, options)
            if own is None and not cohorts:
                own = reason = why_apart(member, count, options, programs)
        except RefusedError as error:
            reason = str(error)
            alone[draft.number] = Apart(reason)
        # The model is anybody's code, too.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            alone[draft.number] = Apart(failure_text(error))
        else:
            if own is None:
                cohorts[cohort_key(member)].append(member)
            else:
                alone[draft.number] = Apart(own, member)
    for members in cohorts.values():
        if len(members) > 1:
            yield members
        else:
            alone[members[0].candidate.number] = Apart(_NO_OTHER, members[0])


_NO_OTHER = "no other is trained in the same way"


def _why_by_itself(member: Member, count: int, options: Options) -> str | None:
    """Why one of so many can't be trained with others, if so."""
    with unshared(Shared([], functions_in([member.recipe.optimizer])), count):
        return why_alone(member) or (_inexact(member) if options.exact else None)


def _inexact(member: Member) -> str | None:
    """Why the bits of a member can't be kept, if so.

    What is rounded to few bits is equal to the bit most of the time and differs later.
    """
    if member.stream.generator.device.type != "cpu":
        return "bits can be kept on CPU only"
    if member.recipe.precision != "float32":
        return f"bits can't be kept in {member.recipe.precision}"
    if member.is_rounded:
        return "bits of parameters in bfloat16 or float16 can't be kept"
    if any(group.get("fused") for group in member.optimizer.param_groups):
        return "bits of a fused optimiser can't be kept"
    return None


@contextmanager
def threads_of(member: Member) -> Iterator[None]:
    """Use as many threads as the training will."""
    outer = torch.get_num_threads()
    torch.set_num_threads(member.recipe.threads or outer)
    try:
        yield
    finally:
        torch.set_num_threads(outer)
