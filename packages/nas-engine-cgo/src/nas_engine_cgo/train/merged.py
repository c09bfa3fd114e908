"""A merged model: the members' modules, and the code that runs them together."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from nas_core.failure import failure_text
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
from nas_engine_cgo.state import Store, drawing
from nas_engine_cgo.train.compiled import Compiled, callable_of
from nas_engine_cgo.train.features import Features, find_features
from nas_engine_cgo.train.frozen import written_by
from nas_engine_cgo.train.members import Member
from nas_engine_cgo.train.passes import Outcome
from nas_engine_cgo.train.refused import RefusedError, check_called
from nas_engine_cgo.train.silent import FirstCalls
from nas_engine_cgo.train.traces import Programs, Traces
from nas_engine_cgo.widen import widened
from nas_engine_cgo.write import Function, write_function

__all__ = ["Merged"]


class Merged:
    """Runs the forward passes of several members as one.

    Args:
        members: their modules lie on one device.
        feeds: for each member the number of its data stream.
        clusters: members that are merged with each other.
        programs: those that were traced before, by candidate or what alike ones share, mode and
            shapes.
        features: what programs read from the data instead of computing it.
        memory_format: of convolutions' weights.
        verdicts: what is equal to the bit, if each member is to get the bits that it gets alone.
        widen: whether zeros are added to layers that differ in width.

    Attributes:
        verifies: whether exact code is run beside each member alone before it counts.
    """

    def __init__(
        self,
        members: Sequence[Member],
        feeds: Sequence[int],
        clusters: Sequence[Sequence[int]],
        programs: Programs,
        features: Features | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
        verdicts: Verdicts | None = None,
        widen: bool = False,
    ) -> None:
        self._widen = widen
        self._exact = None if verdicts is None else ExactWriter(callable_of, verdicts)
        self.verifies = True
        self.store = Store([member.module for member in members], memory_format)
        self.clusters = tuple(tuple(cluster) for cluster in clusters)
        self.alone: dict[int, str] = {}
        self._measured_alone: dict[int, str] = {}
        self._members, self._feeds = members, feeds
        self._device = members[0].stream.generator.device
        self._forwards = [member.loss() for member in members]
        exact = self._exact is not None
        self._traces = Traces(members, self.store, programs, exact, self._set_mode)
        self._first_calls = FirstCalls(members, self._traces.kept)
        self._features = features
        self._compiled: dict[Any, Compiled] = {}
        self._tensors: dict[Compiled, list[Tensor]] = {}
        self._files: dict[str, Compiled] = {}
        self._shapes: dict[Any, Any] = {}
        self._modes: dict[int, bool] = {}
        self._streams: list[torch.cuda.Stream] = []
        self._hosted: dict[Program, frozenset[int]] = {}
        # Members that have trained since their modules were told: their `train` may drop a cache.
        self._passed_by: set[int] = set()

    def losses(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]]
    ) -> list[Outcome]:
        """The losses of a cluster's members on the batches of the data streams."""
        return self._run(cluster, batches, training=True)

    def outputs(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]]
    ) -> list[Outcome]:
        """The outputs of a cluster's members in evaluation mode; a batch ends with its target."""
        return self._run(cluster, batches, training=False)

    def outputs_one_by_one(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]]
    ) -> list[Outcome]:
        """What ``outputs`` gives, by the members' own modules: without code to be made first."""
        return [(self._single(member, batches, training=False), (member,)) for member in cluster]

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
        return self._traces.of(member, self._own(batches[self._feeds[member]]), training)

    def kinds(self) -> int:
        """How many members were traced for training: one of those that are alike."""
        return self._traces.kinds()

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
                pair = [self._traces.of(member, batch, True), self._traces.of(member, other, False)]
                programs += pair
                owners += [member, member]
        modules = [self._members[member].module for member in owners]
        contents = self._traces.contents(owners, programs)
        numbers = [self._members[member].candidate.number for member in owners]
        return find_features(programs, numbers, modules, contents, len(batch), room, samples)

    def _own(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        """The tensors of a batch that are the recipe's own."""
        return batch if self._features is None else batch[: self._features.width]

    def functions(self) -> list[Function]:
        """The merged code of the clusters in training, as far as it was needed."""
        found: dict[tuple[int, ...], Function] = {}
        for made in self._compiled.values():
            if made.training:
                found.setdefault(made.members, made.function)
        return list(found.values())

    def has_trained(self) -> None:
        """Note that all members have taken a step, of which their modules do not know."""
        self._passed_by.update(range(len(self._members)))

    def take_over(self) -> None:
        """Look for what modules that train by themselves have put in the place of buffers."""
        for member in self._modes:  # Others have not run.
            self.store.take_over(member)

    def is_fixed(self, batches: Sequence[Sequence[Tensor]]) -> bool:
        """Whether training on such batches is nothing but torch's operations on the same tensors.

        Else Python may decide anew each time: what a module does, or where a tensor lies.
        """
        made: list[Compiled] = []
        for cluster in self.clusters:
            compiled, single = self.code(cluster, batches, True)
            if compiled is None or compiled.function.modules or single:
                return False
            made.append(compiled)
        for compiled in made:
            self._tensors_of(compiled, True)
        return all(compiled in self._tensors for compiled in made)

    # ------------------------------------------------------------------ running

    def _run(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> list[Outcome]:
        compiled, single = self.code(cluster, batches, training)
        outcomes = [] if compiled is None else self._call(compiled, batches, training)
        with self._beside(len(single)) as streams:
            for member, stream in zip(single, streams, strict=True):
                with torch.cuda.stream(stream):
                    outcomes.append((self._single(member, batches, training), (member,)))
        return outcomes

    @contextlib.contextmanager
    def _beside(self, count: int) -> Iterator[Sequence[torch.cuda.Stream | None]]:
        """Streams of a GPU for what can run beside each other; elsewhere None in their place."""
        if self._device.type != "cuda" or count < 2:
            yield [None] * count
            return
        here = torch.cuda.current_stream(self._device)
        while len(self._streams) < count:
            self._streams.append(torch.cuda.Stream(self._device))  # type: ignore[no-untyped-call]
        streams = self._streams[:count]
        for stream in streams:
            stream.wait_stream(here)
        try:
            yield streams
        finally:
            for stream in streams:
                here.wait_stream(stream)

    def _call(
        self, compiled: Compiled, batches: Sequence[Sequence[Tensor]], training: bool
    ) -> list[Outcome]:
        function, members = compiled.function, compiled.members
        for member in dict.fromkeys(members[m] for m, _ in function.modules):
            self._prepare(member, training)
        tensors = self._tensors_of(compiled, training)
        inputs = [batches[stream][position] for stream, position in function.inputs]
        found = compiled.call(inputs, tensors, [self._members[m].stream for m in members])
        if compiled not in self._tensors:
            for need, tensor in zip(compiled.needs, tensors, strict=True):
                if not compiled.written.isdisjoint(need.slots):
                    self.store.settle(need, tensor)
        return [
            (tensor, tuple(members[m] for m in result))
            for tensor, result in zip(found, function.results, strict=True)
        ]

    def _tensors_of(self, compiled: Compiled, training: bool) -> list[Tensor]:
        """Parameters and buffers as code takes them; it is noted if they stay where they are."""
        if (known := self._tensors.get(compiled)) is not None:
            return known
        find = self.store.claim if training else self.store.gather
        tensors = [find(need) for need in compiled.needs]
        if training and self.store.holds(compiled.needs):
            self._tensors[compiled] = tensors
        return tensors

    def _single(self, member: int, batches: Sequence[Sequence[Tensor]], training: bool) -> Tensor:
        """Call the module itself; what it does to its batch is seen by no other."""
        module, feed = self._members[member].module, self._feeds[member]
        batch = self._own(batches[feed])
        if self._feeds.count(feed) > 1:
            batch = [tensor.clone() for tensor in batch]
        self._prepare(member, training)
        merged = not training and member not in self.alone
        first = self._first_calls.over(member, training, merged)
        try:
            with drawing(self._members[member].stream, everything=True):
                if not training:
                    with self.store.lent(member), first:
                        output: Tensor = module(*batch[:-1])
                    return output
                with first:
                    loss = self._forwards[member](module, *batch)
        except RefusedError:
            raise
        # The member is anybody's code.
        except (Exception, SystemExit) as error:
            raise RefusedError((member,), failure_text(error)) from error
        if not isinstance(loss, Tensor) or loss.shape != () or not loss.requires_grad:
            raise RefusedError((member,), "the loss is no number that has a gradient")
        return loss

    def _prepare(self, member: int, training: bool) -> None:
        """Make the module of a member, or parts of it, ready to be called."""
        if not training:
            self.store.write_back(member)
            if member in self._passed_by:
                self._set_mode(member, True)
                self._passed_by.discard(member)
        if self._modes.get(member) != training:
            self._set_mode(member, training)

    def _set_mode(self, member: int, training: bool) -> None:
        module = self._members[member].module
        (module.train if training else module.eval)()
        self._modes[member] = training

    # ------------------------------------------------------------------ code

    def code(
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
            check_called(self.store, called, programs, training)
            return None, single
        members = tuple(programs)
        if self._widen:
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
        check_called(self.store, called, programs, training)
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
            self.store.write_back(member)
        subjects = [
            Subject(
                self._members[member].module,
                self._forwards[member],
                self._members[member].stream,
                self._own(batches[self._feeds[member]]),
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
        contents = self._traces.contents(members, programs)
        room = room_for_steps(self._device, exact=self._exact is not None)
        if self._exact is None:
            function = write_function(programs, feeds, contents, self._fits, room)
        else:
            function = self._exact.write(programs, feeds, contents, room)
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
        """Whether a call can be fused on this device: dropout on GPUs draws in another way."""
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
