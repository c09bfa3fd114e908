"""The merged code of members: what they do is traced, merged, written and compiled."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nas_core.uncollected import uncollected
from torch import Tensor

from nas_engine_cgo.cache import room_for_steps
from nas_engine_cgo.exact import ExactWriter, Verdicts
from nas_engine_cgo.exact.verify import Subject
from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import (
    Call,
    Program,
    UntraceableError,
    frozen_programs,
    on_the_cpu,
)
from nas_engine_cgo.options import Options
from nas_engine_cgo.state import Store
from nas_engine_cgo.train.compiled import Compiled, callable_of
from nas_engine_cgo.train.features import Features, find_features
from nas_engine_cgo.train.frozen import written_by
from nas_engine_cgo.train.members import Member
from nas_engine_cgo.train.refused import RefusedError, check_called
from nas_engine_cgo.train.traces import Programs, Traces
from nas_engine_cgo.widen import widened
from nas_engine_cgo.write import Function, write_function

__all__ = ["Code"]


class Code:
    """Makes the code of clusters when it is needed for the first time.

    Args:
        members: whose.
        feeds: for each member the number of its data stream.
        store: where their parameters and buffers lie.
        programs: those that were traced before, by candidate or what alike ones share, mode and
            shapes.
        features: what programs read from the data instead of computing it.
        verdicts: what is equal to the bit, if members are to get the bits that they get alone.
        options: how they are run together; zeros are added to layers only if that is asked for.
        set_mode: lets the module of a member train, or not.

    Attributes:
        traces: what members do.
        forwards: what each member does with a batch in training.
        alone: member → why it is trained by itself.
        verifies: whether exact code is run beside each member alone before it counts.
    """

    def __init__(
        self,
        members: Sequence[Member],
        feeds: Sequence[int],
        store: Store,
        programs: Programs,
        features: Features | None,
        verdicts: Verdicts,
        options: Options,
        set_mode: Callable[[int, bool], None],
    ) -> None:
        self._members, self._feeds, self._store = members, feeds, store
        self._device = members[0].stream.generator.device
        self._features, self._options = features, options
        self._exact = ExactWriter(callable_of, verdicts) if options.exact else None
        self.traces = Traces(members, store, programs, options.exact, set_mode)
        self.forwards = [member.loss() for member in members]
        self.verifies = True
        self.alone: dict[int, str] = {}
        self._measured_alone: dict[int, str] = {}
        self._compiled: dict[Any, Compiled] = {}
        self._files: dict[str, Compiled] = {}
        self._shapes: dict[Any, Any] = {}
        self._hosted: dict[Program, frozenset[int]] = {}

    # ------------------------------------------------------------------ what members do

    @uncollected()
    def traced(
        self, batches: Sequence[Sequence[Tensor]], training: bool = True
    ) -> list[Program | None]:
        """What each member does, by default in training; None where that can't be told."""
        found: list[Program | None] = []
        for member in range(len(self._members)):
            try:
                found.append(self.program(member, batches, training))
            except UntraceableError:
                found.append(None)
        return found

    def program(
        self, member: int, batches: Sequence[Sequence[Tensor]], training: bool = True
    ) -> Program:
        """What a member does.

        Raises:
            UntraceableError: that can't be told.
        """
        return self.traces.of(member, self.own(batches[self._feeds[member]]), training)

    def features(
        self, batch: Sequence[Tensor], other: Sequence[Tensor], samples: int, room: int
    ) -> Features | None:
        """What members can read from the data instead of computing it again and again.

        Args:
            batch, other: one to train on, one to measure on.
            samples: how many there are in all.
            room: bytes that the features may take.
        """
        programs: list[Program] = []
        owners: list[int] = []
        for member in range(len(self._members)):
            with contextlib.suppress(UntraceableError):
                pair = [self.traces.of(member, batch, True), self.traces.of(member, other, False)]
                programs += pair
                owners += [member, member]
        modules = [self._members[member].module for member in owners]
        contents = self.traces.contents(owners, programs)
        numbers = [self._members[member].candidate.number for member in owners]
        return find_features(programs, numbers, modules, contents, len(batch), room, samples)

    def own(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        """The tensors of a batch that are the recipe's own."""
        return batch if self._features is None else batch[: self._features.width]

    # ------------------------------------------------------------------ code

    def of(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> tuple[Compiled | None, tuple[int, ...]]:
        """The code for inputs of these shapes, and the members that have none."""
        given = tuple(
            tuple((tuple(t.shape), t.dtype) for t in batches[s])
            for s in dict.fromkeys(self._feeds[m] for m in cluster)
        )
        key = (cluster, training, given)
        if key not in self._shapes:
            self._shapes[key] = self._plan(cluster, batches, training)
        found: tuple[Compiled | None, tuple[int, ...]] = self._shapes[key]
        return found

    @uncollected()
    def _plan(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> tuple[Compiled | None, tuple[int, ...]]:
        programs = self._traceable(cluster, batches, training)
        single = tuple(member for member in cluster if member not in programs)
        called = [(member, "") for member in single]
        if not programs:
            check_called(self._store, called, programs, training)
            return None, single
        members = tuple(programs)
        if self._options.widen:
            wide = widened(list(programs.values()), self._fits)
            programs = dict(zip(members, wide, strict=True))
        # Code for one size of the batch does for another, unless a number in it depends on that.
        key: Any = (training, members, frozen_programs(list(programs.values())))
        if self._exact is not None:  # Kernels differ by size.
            key = key, tuple(tuple(t.shape) for batch in batches for t in batch)
        if key not in self._compiled:
            self._compiled[key] = self._written(members, list(programs.values()), training)
            if self._differ(self._compiled[key], batches, training):
                return self._plan(cluster, batches, training)
        called += [(members[m], path) for m, path in self._compiled[key].function.modules]
        check_called(self._store, called, programs, training)
        return self._compiled[key], single

    def _traceable(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> dict[int, Program]:
        """What those members do of whom that can be told."""
        programs: dict[int, Program] = {}
        alone = self._told_alone(training)
        for member in cluster:
            if member in self.alone or member in alone:
                continue
            try:
                program = self.program(member, batches, training)
                if self._features is not None:
                    number = self._members[member].candidate.number
                    program = self._features.read_by(number, program)
                programs[member] = program
            except UntraceableError as error:
                alone[member] = str(error)
        return programs

    def _differ(self, made: Compiled, batches: Sequence[Sequence[Tensor]], training: bool) -> bool:
        """Whether members get other bits than alone, where these count; then they run alone."""
        if self._exact is None or not self.verifies:
            return False
        for member in made.members:
            self._store.write_back(member)
        subjects = [
            Subject(
                self._members[member].module,
                self.forwards[member],
                self._members[member].stream,
                self.own(batches[self._feeds[member]]),
            )
            for member in made.members
        ]
        found = self._exact.differing(subjects, made.function, training)
        for number in found:
            reason = "merged, the last bits would differ"
            self._told_alone(training)[made.members[number]] = reason
        return bool(found)

    def _told_alone(self, training: bool) -> dict[int, str]:
        """Where it is noted why a member runs alone: what measures alone may be trained merged."""
        return self.alone if training else self._measured_alone

    def _written(
        self, members: tuple[int, ...], programs: Sequence[Program], training: bool
    ) -> Compiled:
        feeds = [self._feeds[member] for member in members]
        modules = [self._members[member].module for member in members]
        contents = self.traces.contents(members, programs)
        room, share = room_for_steps(self._device, self._options.exact), self._options.deduplicate
        if self._exact is None:
            function = write_function(programs, feeds, contents, self._fits, room, share)
        else:
            function = self._exact.write(programs, feeds, contents, self._fits, room, share)
        needs = tuple(
            replace(need, slots=tuple((members[m], path) for m, path in need.slots))
            for need in function.needs
        )
        written = frozenset(
            (member, path)
            for member, program in zip(members, programs, strict=True)
            for path in written_by(program)
        )
        made = Compiled(function, training, members, needs, written, callable_of(function, modules))
        self._files[made.call.__code__.co_filename] = made
        return made

    def _fits(self, call: Call, program: Program) -> bool:
        """Whether a call is fused on this device: dropout on GPUs draws in another way."""
        if not self._options.fuse:
            return False
        if self._device.type == "cpu":
            return fits(call, program)
        if program not in self._hosted:
            self._hosted[program] = on_the_cpu(program)
        here = self._hosted[program].isdisjoint(call.inputs)
        return here and not call.name.startswith("dropout") and fits(call, program)

    def sources(self) -> list[str]:
        """The texts of the merged code that was written so far."""
        return [made.function.source for made in self._compiled.values()]

    def suspects(self, error: BaseException) -> tuple[int, ...]:
        """The members whose calls may have raised an error; none if nothing tells."""
        if isinstance(error, RefusedError):
            return error.members
        for frame, line in traceback.walk_tb(error.__traceback__):
            if (made := self._files.get(frame.f_code.co_filename)) is not None:
                return tuple(made.members[m] for m in made.function.origin[line - 1])
        return ()

    def functions(self) -> list[Function]:
        """The merged code of the clusters in training, as far as it was needed."""
        found: dict[tuple[int, ...], Function] = {}
        for made in self._compiled.values():
            if made.training:
                found.setdefault(made.members, made.function)
        return list(found.values())
