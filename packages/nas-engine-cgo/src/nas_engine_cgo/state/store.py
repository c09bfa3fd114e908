"""The parameters and buffers of all members, in the tensors that the merged code trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from nas_engine_cgo.members.calls import named_tensors, version_of
from nas_engine_cgo.packs import Form, Need

__all__ = ["Entry", "Place", "Store", "joined"]

Place = tuple[int, str]
"""A member, and the name of a parameter or buffer in it."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One tensor that is trained, of one member or of several."""

    tensor: Tensor
    form: Form
    slots: tuple[Place, ...]
    shapes: tuple[tuple[int, ...], ...] = ()
    padded: tuple[int, ...] | None = None

    @property
    def moved(self) -> bool:
        """Whether it is another tensor than that of a member."""
        return self.form != "own" or self.padded is not None

    def spread(self, values: Tensor) -> Tensor:
        """One number for each slot, in a shape that broadcasts over the tensor."""
        ones = (1,) * (self.tensor.dim() - 1)
        if self.form == "rows":
            values = values.repeat_interleave(self.tensor.shape[0] // len(self.slots))
        return values.view(-1, *ones) if self.form != "own" else values.view(())

    def parts(self, tensor: Tensor) -> Tensor:
        """A tensor like this one as one row for each slot."""
        return tensor.reshape(len(self.slots), -1)

    def part(self, tensor: Tensor, position: int) -> Tensor:
        """The view of a tensor like this one that is one slot's, in the shape that it has there."""
        part = _part(tensor, self.form, position, len(self.slots))
        if self.padded is None:
            return part
        return part[tuple(slice(size) for size in self.shapes[position])]

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """A tensor like this one of what each slot has of it."""
        return joined(parts, self.form, self.padded)


class Store:
    """Where each parameter and buffer of each member lies.

    Args:
        modules: the members.
        memory_format: that of weights of two-dimensional convolutions.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.modules = tuple(modules)
        self._memory_format = memory_format
        self._lays_out = memory_format is not torch.contiguous_format
        if self._lays_out:
            self._lay_out(memory_format)
        self._entries: dict[Need, Entry] = {}
        self._home: dict[Place, tuple[Entry, int]] = {}
        self._closed = False

    @cached_property
    def _own(self) -> list[dict[str, Tensor]]:
        return [named_tensors(module) for module in self.modules]

    def own(self, member: int, path: str) -> Tensor:
        """A parameter or buffer of a member's module, where the module has it."""
        return self._own[member][path]

    def claim(self, need: Need) -> Tensor:
        """The tensor of a need of the training code, which is trained in it from now on."""
        if need not in self._entries:
            parts = [self._own[member][path] for member, path in need.slots]
            late = self._closed and parts[0].requires_grad and need.moved
            if late or any(place in self._home for place in need.slots):
                return self.gather(need)
            entry = self._entry(need, self._made(need))
            self._entries[need] = entry
            self._home |= {place: (entry, i) for i, place in enumerate(need.slots)}
        return self._entries[need].tensor

    def holds(self, needs: Sequence[Need]) -> bool:
        """Whether each of the needs is one tensor that stays where it is."""
        return all(need in self._entries for need in needs)

    def close(self) -> None:
        """Let parameters lie where they are: an optimiser knows them there."""
        self._closed = True

    def settle(self, need: Need, tensor: Tensor) -> None:
        """Bring back what the code may have changed in a tensor that was only gathered."""
        if need in self._entries or tensor.requires_grad or not need.moved:
            return
        with torch.no_grad():
            gathered = self._entry(need, tensor)
            for position, place in enumerate(need.slots):
                self.view(place).copy_(gathered.part(tensor, position))

    def gather(self, need: Need) -> Tensor:
        """The tensor of a need, wherever its parts lie; gradients reach them."""
        if need in self._entries:
            return self._entries[need].tensor
        return joined([self.view(place) for place in need.slots], need.form, need.padded)

    def view(self, place: Place) -> Tensor:
        """A parameter or buffer of a member, where it lies now."""
        if (home := self._home.get(place)) is None:
            return self._own[place[0]][place[1]]
        entry, position = home
        return entry.part(entry.tensor, position)

    def entries(self) -> Iterator[Entry]:
        """What is trained: each parameter of each member once."""
        yield from (e for e in self._entries.values() if e.tensor.requires_grad)
        for member, tensors in enumerate(self._own):
            for path, tensor in tensors.items():
                trained = isinstance(tensor, nn.Parameter) and tensor.requires_grad
                if trained and (member, path) not in self._home:
                    yield Entry(tensor, "own", ((member, path),))

    def packed(self) -> Iterator[tuple[tuple[Place, ...], bool]]:
        """What lies in another form than its own, and whether it is trained there."""
        for entry in self._entries.values():
            if entry.moved:
                yield entry.slots, entry.tensor.requires_grad

    def write_back(self, member: int) -> None:
        """Bring a member's module up to date."""
        with torch.no_grad():
            for path, tensor in self._own[member].items():
                home = self._home.get((member, path))
                if home is not None and home[0].moved:
                    tensor.copy_(self.view((member, path)))

    def take_over(self, member: int) -> None:
        """Take over what a member's module has put in the place of its buffers.

        Raises:
            ValueError: something of another shape or type is in the place of one that is merged.
        """
        own, module = self._own[member], self.modules[member]
        for path, buffer in module.named_buffers():
            if buffer is own.get(path):
                continue
            if (member, path) not in self._home:
                own[path] = buffer
                continue
            kept = own[path]
            if (kept.shape, kept.dtype) != (buffer.shape, buffer.dtype):
                raise ValueError(f"forward puts another kind of tensor in the place of {path}")
            with torch.no_grad():
                kept.copy_(buffer)
                self.view((member, path)).copy_(buffer)
            owner, _, name = path.rpartition(".")
            setattr(module.get_submodule(owner), name, kept)

    @contextmanager
    def lent(self, member: int) -> Iterator[None]:
        """Take over what a call of a member's module, which is up to date, does to its buffers."""
        before = [(path, each, version_of(each)) for path, each in self._own[member].items()]
        yield
        with torch.no_grad():
            for path, tensor, version in before:
                if version_of(tensor) != version:
                    self.view((member, path)).copy_(tensor)
        self.take_over(member)

    @contextmanager
    def as_built(self, member: int) -> Iterator[None]:
        """Have a member's weights laid out, for a while, as they were before."""
        laid_out = self.modules[member].parameters() if self._lays_out else ()
        chosen = [parameter for parameter in laid_out if parameter.dim() == 4]
        kept = [parameter.data for parameter in chosen]
        for parameter in chosen:
            parameter.data = parameter.data.contiguous()
        try:
            yield
        finally:
            for parameter, data in zip(chosen, kept, strict=True):
                parameter.data = data

    def restore_layout(self, member: int, path: str = "") -> None:
        """Lay the weights of a member, or of a part, out as in a module that nobody has touched."""
        if not self._lays_out:
            return
        for parameter in self.modules[member].get_submodule(path).parameters():
            parameter.data = parameter.data.contiguous()

    def _lay_out(self, memory_format: torch.memory_format) -> None:
        for module in self.modules:
            for parameter in module.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.data.contiguous(memory_format=memory_format)

    def _entry(self, need: Need, tensor: Tensor) -> Entry:
        shapes = tuple(tuple(self._own[member][path].shape) for member, path in need.slots)
        return Entry(tensor, need.form, need.slots, shapes, need.padded)

    def _made(self, need: Need) -> Tensor:
        parts = [self._own[member][path] for member, path in need.slots]
        if not need.moved:
            return parts[0]
        with torch.no_grad():
            tensor = joined(parts, need.form, need.padded).detach()
            if tensor.dim() == 4 and need.form in ("rows", "own"):
                tensor = tensor.contiguous(memory_format=self._memory_format)
        return tensor.requires_grad_(parts[0].requires_grad)


def _part(tensor: Tensor, form: Form, position: int, count: int) -> Tensor:
    match form:
        case "own":
            return tensor
        case "rows":
            size = tensor.shape[0] // count
            return tensor.narrow(0, position * size, size)
        case "matrix":
            return tensor[position].transpose(0, 1)
        case "bias":
            return tensor[position, 0]
        case _:
            return tensor[position]


def joined(parts: Sequence[Tensor], form: Form, padded: tuple[int, ...] | None = None) -> Tensor:
    """Tensors of members as one.

    Args:
        parts: the tensors.
        form: how they lie in it.
        padded: the shape that each gets by zeros at the ends of its dimensions; None if none does.

    >>> joined([torch.zeros(3, 4), torch.ones(3, 4)], "matrix").shape
    torch.Size([2, 4, 3])
    >>> joined([torch.ones(1), torch.ones(2)], "stack", (2,))
    tensor([[1., 0.],
            [1., 1.]])
    """
    if padded is not None:
        parts = [_padded(part, padded) for part in parts]
    match form:
        case "own":
            return parts[0]
        case "rows":
            return torch.cat(list(parts))
        case "matrix":
            return torch.stack([part.t() for part in parts])
        case "bias":
            return torch.stack(list(parts)).unsqueeze(1)
        case _:
            return torch.stack(list(parts))


def _padded(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    missing = [size - own for own, size in zip(tensor.shape, shape, strict=True)]
    return pad(tensor, [each for size in reversed(missing) for each in (0, size)])
