"""A merged model: the members' modules, and the code that runs them together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from nas_core.failure import failure_text
from torch import Tensor

from nas_engine_cgo.exact import Verdicts
from nas_engine_cgo.options import Options
from nas_engine_cgo.state import Store, drawing
from nas_engine_cgo.train.code import Code
from nas_engine_cgo.train.compiled import Compiled
from nas_engine_cgo.train.features import Features
from nas_engine_cgo.train.members import Member
from nas_engine_cgo.train.passes import Outcome
from nas_engine_cgo.train.refused import RefusedError
from nas_engine_cgo.train.silent import FirstCalls
from nas_engine_cgo.train.traces import Programs

__all__ = ["Merged"]


class Merged:
    """Runs the forward passes of several members as one.

    Args:
        members: their modules lie on one device.
        feeds: for each member the number of its data stream.
        clusters: members that are merged with each other.
        programs, features, verdicts, options: as ``Code`` is given them.

    Attributes:
        code: that of the clusters.
        store: where parameters and buffers lie.
    """

    def __init__(
        self,
        members: Sequence[Member],
        feeds: Sequence[int],
        clusters: Sequence[Sequence[int]],
        programs: Programs,
        features: Features | None,
        verdicts: Verdicts,
        options: Options,
    ) -> None:
        self.clusters = tuple(tuple(cluster) for cluster in clusters)
        modules = [member.module for member in members]
        self.store = store = Store(modules, options.memory_format)
        self.code = Code(
            members, feeds, store, programs, features, verdicts, options, self._set_mode
        )
        self._members, self._feeds = members, feeds
        self._device = members[0].stream.generator.device
        self._first_calls = FirstCalls(members, self.code.traces.kept)
        self._tensors: dict[Compiled, list[Tensor]] = {}
        self._modes: dict[int, bool] = {}
        self._streams: list[torch.cuda.Stream] = []
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
        return [*self._singles(cluster, batches, training=False)]

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
            compiled, single = self.code.of(cluster, batches, True)
            if compiled is None or compiled.function.modules or single:
                return False
            if self._device.type == "cpu" and compiled.changes_if_noted:
                return False
            made.append(compiled)
        for compiled in made:
            self._tensors_of(compiled, True)
        return all(compiled in self._tensors for compiled in made)

    # ------------------------------------------------------------------ running

    def _run(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> list[Outcome]:
        compiled, single = self.code.of(cluster, batches, training)
        outcomes = [] if compiled is None else self._call(compiled, batches, training)
        return [*outcomes, *self._singles(single, batches, training)]

    def _singles(
        self, members: Sequence[int], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> Iterator[Outcome]:
        """What comes of members that are called by themselves.

        Raises:
            RefusedError: of all that can't go on for the reason of the first of them.
        """
        refused: list[RefusedError] = []
        with self._beside(len(members)) as streams:
            for member, stream in zip(members, streams, strict=True):
                try:
                    with torch.cuda.stream(stream):
                        yield self._single(member, batches, training), (member,)
                except RefusedError as error:
                    refused.append(error)
        RefusedError.raise_first(refused)

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
        batch = self.code.own(batches[feed])
        if self._feeds.count(feed) > 1:
            batch = [tensor.clone() for tensor in batch]
        self._prepare(member, training)
        merged = not training and member not in self.code.alone
        first = self._first_calls.over(member, training, merged)
        try:
            with drawing(self._members[member].stream, everything=True):
                if not training:
                    with self.store.lent(member), self.store.as_built(member), first:
                        output: Tensor = module(*batch[:-1])
                    return output
                with first:
                    loss = self.code.forwards[member](module, *batch)
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
