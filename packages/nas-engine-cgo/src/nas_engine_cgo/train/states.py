"""What an optimiser remembers of each parameter, apart for each member and together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nas_engine_cgo.state import Entry, Place
from nas_engine_cgo.train.updates import Each, State

__all__ = ["Left", "joined_states", "laid_out", "part_of"]


@dataclass(frozen=True)
class Left:
    """Slots of an entry that a step leaves as they are, with all that it changes in them."""

    entry: Entry
    state: State
    kept: tuple[tuple[int, Tensor, State], ...]

    @classmethod
    def out(cls, entry: Entry, state: State, members: Collection[int]) -> Left:
        """Remember the slots of members."""
        slots = [i for i, (member, _) in enumerate(entry.slots) if member in members]
        kept = (
            (i, entry.part(entry.tensor, i).clone(),
             {name: part_of(value, entry, i) for name, value in state.items()})
            for i in slots
        )  # fmt: skip
        return cls(entry, state, tuple(kept))

    def put_back(self) -> None:
        """Undo the step there; a state that it has begun is that of no step."""
        for i, value, before in self.kept:
            self.entry.part(self.entry.tensor, i).copy_(value)
            for name, made in self.state.items():
                if isinstance(made, Tensor):
                    self.entry.part(made, i).copy_(before.get(name, torch.zeros(())))
                else:
                    counts = [part_of(made, self.entry, k) for k in range(len(self.entry.slots))]
                    counts[i] = before.get(name, 0)
                    self.state[name] = _counted(counts, self.entry)


def part_of(value: Any, entry: Entry, position: int) -> Any:
    """The state of one slot: of a tensor its part, and a count that may be one for each slot."""
    match value:
        case Tensor():
            return entry.part(value, position).clone()
        case Each():
            return int(value.values[position])
        case _:
            return value


def _counted(counts: Sequence[int], entry: Entry) -> int | Each:
    if len(set(counts)) == 1:
        return counts[0]
    return Each(torch.tensor(counts, dtype=torch.float64), entry)


def joined_states(entry: Entry, states: Mapping[Place, State]) -> State:
    """The state of an entry from those of its parts; one that has taken no step has zeros."""
    parts = [states.get(place, {}) for place in entry.slots]
    made: State = {}
    for name, one in {name: value for part in parts for name, value in part.items()}.items():
        if isinstance(one, Tensor):
            shapes = entry.shapes or (one.shape,) * len(parts)
            values = [
                part.get(name, one.new_zeros(shape))
                for part, shape in zip(parts, shapes, strict=True)
            ]
            made[name] = laid_out(entry.joined(values), entry.tensor)
        else:
            made[name] = _counted([part.get(name, 0) for part in parts], entry)
    return made


def laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy in the order in memory of another tensor."""
    return torch.empty_like(like).copy_(tensor)
