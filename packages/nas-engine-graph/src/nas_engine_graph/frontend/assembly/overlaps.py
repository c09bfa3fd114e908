"""Tensors that have elements in the memory of others: all but one are views of that one.

Where none has them all, one is made as a part of a memory that has, and the others as views of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter as preserving

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.elements import Elements, Memory
from nas_engine_graph.frontend.encode import NotEncodableError, dtype_name, role_of, settings_of
from nas_engine_graph.frontend.world import Path
from nas_engine_graph.ir import End, Tie
from nas_engine_graph.ir.strides import overlaps

__all__ = ["Place", "views"]


@dataclass(frozen=True, eq=False)
class Place:
    """A tensor, and the place where it is found first.

    Attributes:
        whole: the module around it that stays whole.
        own: whether that is of the user's class, and makes memory that its tensors share again.
    """

    tensor: Tensor
    path: End
    whole: Path | None
    own: bool

    @cached_property
    def elements(self) -> Elements:
        """Where its elements are."""
        return Elements(self.tensor)

    @property
    def rank(self) -> tuple[bool, bool]:
        """The lower, the better others are made as views of it: a layer makes its own weights."""
        return self.whole is None, not isinstance(self.tensor, nn.Parameter)

    @property
    def has_history(self) -> bool:
        """Whether gradients of it are also those of others.

        Raises:
            UnsupportedModuleError: torch says nothing more of it.
        """
        try:
            return self.whole is None and self.tensor.grad_fn is not None
        except RuntimeError as error:
            text = "is a view by `unbind`, `split` or `chunk` of what was written since: torch"
            raise _refusal(self, f"{text} lets nobody use it, so convert before") from error

    def settings(self) -> tuple[tuple[str, Any], ...]:
        """The attributes that were set on it.

        Raises:
            UnsupportedModuleError: source can't have one.
        """
        try:
            return settings_of(self.tensor)
        except NotEncodableError as error:
            raise _refusal(self, str(error)) from error

    def meets(self, other: Place) -> bool:
        """Whether they have elements in common, which is not the work of one constructor."""
        together = self.own and self.whole == other.whole
        return not together and self.elements.meet(other.elements)


def views(places: Sequence[Place]) -> tuple[Mapping[End, Tie], Mapping[End, Memory]]:
    """The tensors that are made as views of others, and the memories in which some are made.

    Args:
        places: all tensors of a model, each once.

    Raises:
        UnsupportedModuleError: one is in an unusual layout, has elements of another type in a part
            of the memory of others, or attributes that source can't have.
    """
    beside: dict[int, list[Place]] = {}
    for place in places:
        tensor = place.tensor
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise _refusal(place, "in an unusual layout")
        if tensor.numel() and not tensor.is_meta and not place.has_history:
            beside.setdefault(tensor.untyped_storage().data_ptr(), []).append(place)
    memories: dict[End, Memory] = {}
    groups = (group for found in beside.values() for group in _groups(found))
    ties = [tie for group in groups for tie in _views(group, memories)]
    order = {place.path: index for index, place in enumerate(places)}
    found = {tie.target: tie for tie in sorted(ties, key=lambda tie: order[tie.target])}
    # In the order of their making, which is that in which autograd adds up gradients.
    made = sorted((place for place in places if place.has_history), key=_recorded_at)
    recorded = [_recorded(place, places, found, memories) for place in made]
    return {**found, **{tie.target: tie for tie in recorded}}, memories


def _groups(places: list[Place]) -> Iterator[list[Place]]:
    """The tensors of one memory that have elements in common, also by way of others."""
    groups: list[list[Place]] = []
    for place in places if len(places) > 1 else ():
        met = [group for group in groups if any(map(place.meets, group))]
        groups = [group for group in groups if group not in met]
        groups.append([*(other for group in met for other in group), place])
    yield from (group for group in groups if len(group) > 1)


def _views(group: list[Place], memories: dict[End, Memory]) -> Iterator[Tie]:
    whole = [p for p in group if all(o.elements.within(p.elements) for o in group)]
    base = min(whole, key=lambda place: place.rank, default=None)
    start = 0 if base is None else base.elements.start
    if base is None and (base := _within_a_memory(group)) is not None:
        memories[base.path] = Memory.around([place.elements for place in group])
        start = memories[base.path].start
    first = group[0]
    if base is None:
        odd = next(p for p in reversed(group) if not p.elements.is_like(first.elements))
        text = f"has elements of another type in a part of {_memory_of(first)}: copy them"
        raise _refusal(odd, text)
    for place in group:
        if place is not base:
            seen = place.elements.seen_from(start)
            words = _words(place, base, start)
            yield Tie(place.path, base.path, (*seen, *words), place.settings())


def _memory_of(place: Place) -> str:
    """What to call the memory of a tensor in a message about another one."""
    return f"the memory of {'.'.join(map(str, place.path))!r}"


def _within_a_memory(group: list[Place]) -> Place | None:
    """The tensor that is made as a part of a memory which holds all of them: of a layer at last."""
    first = group[0].elements
    alike = all(place.elements.is_like(first) for place in group)
    return min(group, key=lambda place: (place.whole is not None, place.rank)) if alike else None


def _recorded_at(place: Place) -> int:
    """A number that is higher the later autograd has begun to record a tensor."""
    node: Any = place.tensor.grad_fn
    while node is not None and type(node).__name__ != "AccumulateGrad":
        first, node = node, node.next_functions[0][0] if node.next_functions else None
    number: int = first._sequence_nr()
    return number


def _recorded(
    place: Place, places: Sequence[Place], ties: Mapping[End, Tie], memories: Mapping[End, Memory]
) -> Tie:
    """A view of a tensor that gets the gradients of the view.

    Raises:
        UnsupportedModuleError: it is not only a view, or of nothing that the model has. What else
            autograd has recorded are derivatives, which do not tell how to compute it anew.
    """
    shape, strides = tuple(place.tensor.shape), place.tensor.stride()
    base = next((p for p in places if p.tensor is place.tensor._base), None)
    told = base is not None and base.tensor.is_leaf and place.elements.is_like(base.elements)
    if base is None or not told or overlaps(shape, strides):
        text = "is computed of what needs a gradient: compute it in forward, or keep its detach()"
        raise _refusal(place, text)
    view = ties[base.path].view if base.path in ties else None
    begins = memories[base.path].offset(base.tensor) if base.path in memories else 0
    first = place.tensor.storage_offset() - base.tensor.storage_offset()
    seen = shape, strides, first + (view[2] if view else begins)
    return Tie(place.path, base.path, seen, place.settings())


def _words(place: Place, base: Place, start: int) -> Iterator[Any]:
    """How the view is taken, and what is made of it."""
    tensor = place.tensor
    if not _count_together(tensor, base.tensor):
        yield "data"
    elif base.tensor.requires_grad:
        yield "detach"
    if not place.elements.is_like(base.elements):
        yield (dtype_name(tensor.dtype), *base.elements.around(place.elements, start))
    if role := role_of(tensor):
        yield role


def _count_together(one: Tensor, other: Tensor) -> bool:
    """Whether autograd takes what is written into one tensor for written into the other, too."""
    before = other._version
    with preserving(one):
        torch.autograd.graph.increment_version(one)
        return other._version != before


def _refusal(place: Place, what: str) -> UnsupportedModuleError:
    names = [step for step in place.path if isinstance(step, str)]
    return UnsupportedModuleError(f"tensor {names[-1]!r} {what}", ".".join(names[:-1]))
