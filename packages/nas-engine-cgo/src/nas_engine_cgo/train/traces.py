"""What each member does, traced once for members that are alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from nas_engine_cgo.exact.fan_out import with_fans
from nas_engine_cgo.exact.losses import with_logarithms
from nas_engine_cgo.members import Program, Remembered, UntraceableError
from nas_engine_cgo.members.kept import Attribute
from nas_engine_cgo.merge import Slot
from nas_engine_cgo.state import Store
from nas_engine_cgo.train.frozen import content_of, left_by, written_by
from nas_engine_cgo.train.members import Member
from nas_engine_cgo.train.silent import check_unread, kept_apart
from nas_engine_cgo.train.tracing import kind_of, program_of

__all__ = ["Programs", "Traces"]

Programs: TypeAlias = dict[Any, Program | UntraceableError]
"""What members do, or why that can't be told: by candidate or by kind, by mode, and by shapes."""


class Traces:
    """The programs of members, by mode and shapes of the batch.

    Args:
        members: whose.
        store: where their parameters and buffers lie.
        programs: those that were traced before, or why they have none; it is filled.
        exact: whether bits count.
        set_mode: lets the module of a member train, or not.
    """

    def __init__(
        self,
        members: Sequence[Member],
        store: Store,
        programs: Programs,
        exact: bool,
        set_mode: Callable[[int, bool], None],
    ) -> None:
        self._members, self._store, self._programs = members, store, programs
        self._exact, self._set_mode = exact, set_mode
        self._seen = Remembered.here()
        self._frozen: dict[int, frozenset[str]] = {}
        self._contents: dict[int, Hashable] = {}

    def of(self, member: int, batch: Sequence[Tensor], training: bool) -> Program:
        """What a member does with such a batch.

        Raises:
            UntraceableError: that can't be told.
        """
        shapes = tuple((tuple(t.shape), t.dtype) for t in batch)
        key = (self._members[member].candidate.number, training, shapes)
        if key not in self._programs:
            self._programs[key] = self._known(member, batch, training, shapes)
        found = self._programs[key]
        assert isinstance(found, Program)
        if training:
            self._frozen[member] = self._unchanged(member, batch, found)
        else:
            check_unread(self._members, member, found.kept - self.kept(member))
        return found

    def kinds(self) -> int:
        """How many members were traced for training: one of those that are alike."""
        found = ((program, key[1]) for key, program in self._programs.items())
        return len({id(p) for p, training in found if training and isinstance(p, Program)})

    def contents(
        self, members: Sequence[int], programs: Sequence[Program]
    ) -> Mapping[Slot, Hashable]:
        """(program, source) → what is equal for frozen tensors of these members, if they are."""
        modules = [self._members[member].module for member in members]
        frozen = [self._frozen.get(member, frozenset()) for member in members]
        return content_of(modules, programs, frozen, self._contents)

    def _unchanged(self, member: int, batch: Sequence[Tensor], program: Program) -> frozenset[str]:
        """What training reads and leaves as it is, and evaluation, too."""
        left = left_by(program)
        if not left:
            return left
        try:
            return left - written_by(self.of(member, batch, False))
        except UntraceableError:
            return frozenset()

    def _known(
        self, member: int, batch: Sequence[Tensor], training: bool, shapes: Hashable
    ) -> Program:
        """The program of an alike member, if one was traced, or this one's own."""
        kind = (kind_of(self._members[member], training), training, shapes)
        if kind not in self._programs:
            self._programs[kind] = self._traced(member, batch, training)
        found = self._programs[kind]
        if isinstance(found, UntraceableError):
            raise found.with_traceback(None)
        return found

    def kept(self, member: int) -> frozenset[Attribute]:
        """What training changes of a member's modules besides tensors."""
        number = self._members[member].candidate.number
        own = (p for key, p in self._programs.items() if key[:2] == (number, True))
        return frozenset().union(*(p.kept for p in own if isinstance(p, Program)))

    def _traced(
        self, member: int, batch: Sequence[Tensor], training: bool
    ) -> Program | UntraceableError:
        self._set_mode(member, training)
        try:
            with self._store.as_built(member), kept_apart(self._members, member):
                kept = frozenset() if training else self.kept(member)
                program = program_of(self._members[member], batch, training, self._seen, kept)
        except UntraceableError as error:
            # What it was raised by holds what was traced so far.
            return UntraceableError(str(error), error.everywhere)
        return with_fans(with_logarithms(program)) if self._exact else program
