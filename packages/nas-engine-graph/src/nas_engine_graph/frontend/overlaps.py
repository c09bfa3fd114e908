"""Tensors that have elements in the memory of others: all but one are views of that one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter as preserving

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.elements import Elements
from nas_engine_graph.frontend.world import Path
from nas_engine_graph.ir import End, Tie

__all__ = ["Place", "views"]


@dataclass(frozen=True)
class Place:
    """A tensor, the place where it is found first, and the module around it that stays whole."""

    tensor: Tensor
    path: End
    whole: Path | None

    @cached_property
    def elements(self) -> Elements:
        """Where its elements are."""
        return Elements(self.tensor)

    @property
    def rank(self) -> tuple[bool, bool]:
        """The lower, the better others are made as views of it: a layer makes its own weights."""
        return self.whole is None, not isinstance(self.tensor, nn.Parameter)

    def meets(self, other: Place) -> bool:
        """Whether they have elements in common, which is not the work of one constructor."""
        together = self.whole is not None and self.whole == other.whole
        return not together and self.elements.meet(other.elements)


def views(places: Sequence[Place]) -> Mapping[End, Tie]:
    """The tensors that are made as views of others.

    Args:
        places: all tensors of a model, each once.

    Raises:
        UnsupportedModuleError: one is in an unusual layout, or no tensor holds what they share.
    """
    beside: dict[int, list[Place]] = {}
    for place in places:
        tensor = place.tensor
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise _refusal(place, "in an unusual layout")
        if tensor.numel() and not tensor.is_meta:
            beside.setdefault(tensor.untyped_storage().data_ptr(), []).append(place)
    groups = (group for found in beside.values() for group in _groups(found))
    ties = [tie for group in groups for tie in _views(group)]
    order = {place.path: index for index, place in enumerate(places)}
    return {tie.target: tie for tie in sorted(ties, key=lambda tie: order[tie.target])}


def _groups(places: list[Place]) -> Iterator[list[Place]]:
    """The tensors of one memory that have elements in common, also by way of others."""
    groups: list[list[Place]] = []
    for place in places if len(places) > 1 else ():
        met = [group for group in groups if any(map(place.meets, group))]
        groups = [group for group in groups if group not in met]
        groups.append([*(other for group in met for other in group), place])
    yield from (group for group in groups if len(group) > 1)


def _views(group: list[Place]) -> Iterator[Tie]:
    whole = [p for p in group if all(o.elements.within(p.elements) for o in group)]
    base = min(whole, key=lambda place: place.rank, default=None)
    if base is None or any(vars(p.tensor) for p in group if p is not base):
        first, *_, last = group
        text = f"shares its memory with {'.'.join(map(str, first.path))!r}"
        raise _refusal(last, text)
    for place in group:
        if place is not base:
            seen = place.elements.seen_from(base.elements)
            yield Tie(place.path, base.path, (*seen, *_words(place.tensor, base.tensor)))


def _words(tensor: Tensor, base: Tensor) -> Iterator[str]:
    """How the view is taken, and what is made of it."""
    if not _count_together(tensor, base):
        yield "data"
    elif base.requires_grad:
        yield "detach"
    if isinstance(tensor, nn.Parameter):
        yield "parameter" if tensor.requires_grad else "frozen"


def _count_together(one: Tensor, other: Tensor) -> bool:
    """Whether autograd takes what is written into one tensor for written into the other, too."""
    before = other._version
    with preserving(one):
        torch.autograd.graph.increment_version(one)
        return other._version != before


def _refusal(place: Place, what: str) -> UnsupportedModuleError:
    names = [step for step in place.path if isinstance(step, str)]
    return UnsupportedModuleError(f"tensor {names[-1]!r} {what}", ".".join(names[:-1]))
