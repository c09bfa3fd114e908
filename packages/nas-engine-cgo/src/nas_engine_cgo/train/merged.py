"""A merged model: the members' modules, and the code that runs them together."""

from __future__ import annotations

import itertools
import linecache
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import Program, Ref, UntraceableError, frozen_program, prune, trace
from nas_engine_cgo.packs import Need
from nas_engine_cgo.train.members import Member
from nas_engine_cgo.train.store import Store
from nas_engine_cgo.train.streams import drawing, dropout_masks
from nas_engine_cgo.write import Function, write_function

__all__ = ["Merged", "Outcome"]

Outcome = tuple[Tensor, tuple[int, ...]]
"""Outputs, and the members that they belong to along dimension 0; of one member as they are."""

_COUNTER = itertools.count()


@dataclass(frozen=True, eq=False)
class _Compiled:
    """Merged code that can be called, for these members."""

    function: Function
    members: tuple[int, ...]
    needs: tuple[Need, ...]
    call: FunctionType


class Merged:
    """Runs the forward passes of several members as one.

    Args:
        members: their modules lie on one device.
        feeds: for each member the number of its data stream.
        clusters: members that are merged with each other.
        programs: those that were traced before, by candidate, mode and shapes.
        memory_format: of convolutions' weights.
    """

    def __init__(
        self,
        members: Sequence[Member],
        feeds: Sequence[int],
        clusters: Sequence[Sequence[int]],
        programs: dict[Any, Program],
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.store = Store([member.module for member in members], memory_format)
        self.clusters = tuple(tuple(cluster) for cluster in clusters)
        self.alone: dict[int, str] = {}
        self._members, self._feeds = members, feeds
        self._forwards = [member.loss() for member in members]
        self._programs = programs
        self._compiled: dict[Any, _Compiled] = {}
        self._tensors: dict[_Compiled, list[Tensor]] = {}
        self._known: dict[Any, Any] = {}
        self._files: dict[str, _Compiled] = {}
        self._shapes: dict[Any, Any] = {}

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

    def traced(self, batches: Sequence[Sequence[Tensor]]) -> list[Program | None]:
        """What each member does in training; None where that can't be told."""
        found: list[Program | None] = []
        for member, feed in enumerate(self._feeds):
            try:
                found.append(self._traced(member, batches[feed], training=True))
            except UntraceableError:
                found.append(None)
        return found

    def functions(self) -> list[Function]:
        """The merged code of the clusters in training, as far as it was needed."""
        found: dict[tuple[int, ...], Function] = {}
        for (training, members, _), made in self._compiled.items():
            if training:
                found.setdefault(members, made.function)
        return list(found.values())

    # ------------------------------------------------------------------ running

    def _run(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> list[Outcome]:
        compiled, single = self.code(cluster, batches, training)
        outcomes = [] if compiled is None else self._call(compiled, batches, training)
        return outcomes + [(self._single(m, batches, training), (m,)) for m in single]

    def _call(
        self, compiled: _Compiled, batches: Sequence[Sequence[Tensor]], training: bool
    ) -> list[Outcome]:
        function, members = compiled.function, compiled.members
        tensors = self._tensors.get(compiled)
        if tensors is None:
            find = self.store.claim if training else self.store.gather
            tensors = [find(need) for need in compiled.needs]
            if training and self.store.holds(compiled.needs):
                self._tensors[compiled] = tensors
        inputs = [batches[stream][position] for stream, position in function.inputs]
        found = compiled.call(inputs, tensors, [self._members[m].stream for m in members])
        return [
            (tensor, tuple(members[m] for m in result))
            for tensor, result in zip(found, function.results, strict=True)
        ]

    def _single(self, member: int, batches: Sequence[Sequence[Tensor]], training: bool) -> Tensor:
        """Call the module itself."""
        module, batch = self._members[member].module, batches[self._feeds[member]]
        self.store.write_back(member)
        module.train(training)
        with drawing(self._members[member].stream):
            if training:
                return self._forwards[member](module, *batch)
            output: Tensor = module(*batch[:-1])
            return output

    # ------------------------------------------------------------------ code

    def code(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> tuple[_Compiled | None, tuple[int, ...]]:
        """The code for inputs of these shapes, and the members that have none."""
        given = tuple(
            tuple((tuple(t.shape), t.dtype) for t in batches[s])
            for s in dict.fromkeys(self._feeds[m] for m in cluster)
        )
        key = (cluster, training, given)
        if key not in self._shapes:
            self._shapes[key] = self._plan(cluster, batches, training)
        found: tuple[_Compiled | None, tuple[int, ...]] = self._shapes[key]
        return found

    def _plan(
        self, cluster: tuple[int, ...], batches: Sequence[Sequence[Tensor]], training: bool
    ) -> tuple[_Compiled | None, tuple[int, ...]]:
        programs: dict[int, Program] = {}
        for member in cluster:
            try:
                programs[member] = self._traced(member, batches[self._feeds[member]], training)
            except UntraceableError as error:
                self.alone[member] = str(error)
        single = tuple(member for member in cluster if member not in programs)
        if not programs:
            return None, single
        members = tuple(programs)
        # Code for one size of the batch does for another, unless a number in it depends on that.
        key = (training, members, tuple(map(frozen_program, programs.values())))
        if key not in self._compiled:
            self._compiled[key] = self._written(members, list(programs.values()))
        return self._compiled[key], single

    def _traced(self, member: int, batch: Sequence[Tensor], training: bool) -> Program:
        module = self._members[member].module
        shapes = tuple((tuple(t.shape), t.dtype) for t in batch)
        key = (self._members[member].candidate.number, training, shapes)
        if key not in self._programs:
            module.train(training)
            if training:
                program = trace(module, self._forwards[member], batch, self._known)
            else:
                with torch.no_grad():
                    program = trace(module, _outputs, batch[:-1], self._known)
            if not isinstance(program.output, Ref):
                raise UntraceableError("forward gives back something else than one tensor")
            self._programs[key] = prune(program)
        return self._programs[key]

    def _written(self, members: tuple[int, ...], programs: Sequence[Program]) -> _Compiled:
        feeds = [self._feeds[member] for member in members]
        function = write_function(programs, feeds, {}, fits)
        modules = [self._members[member].module for member in members]
        needs = tuple(
            Need(need.form, tuple((members[m], path) for m, path in need.slots))
            for need in function.needs
        )
        made = _Compiled(function, members, needs, compiled(function, modules))
        self._files[made.call.__code__.co_filename] = made
        return made

    def suspects(self, error: BaseException) -> tuple[int, ...]:
        """The members whose calls may have raised an error; none if nothing tells."""
        for frame, line in traceback.walk_tb(error.__traceback__):
            if frame.f_code is Merged._single.__code__:
                return (frame.f_locals["member"],)
            if (made := self._files.get(frame.f_code.co_filename)) is not None:
                return tuple(made.members[m] for m in made.function.origin[line - 1])
        return ()


def _outputs(module: nn.Module, *inputs: Tensor) -> Any:
    return module(*inputs)


def compiled(function: Function, modules: Sequence[nn.Module]) -> FunctionType:
    """The merged code as a function of ``(inputs, tensors, streams)``."""
    file = f"<merged {next(_COUNTER)}>"
    linecache.cache[file] = (len(function.source), None, function.source.splitlines(True), file)
    names: dict[str, Any] = {
        "torch": torch,
        "F": functional,
        "drawing": drawing,
        "dropout_masks": dropout_masks,
        "device": next((p.device for m in modules for p in m.parameters()), torch.device("cpu")),
        **function.constants,
    }
    for number, module in enumerate(modules):
        names[f"m{number}"] = module.get_submodule
    exec(compile(function.source, file, "exec", dont_inherit=True), names)  # noqa: S102
    made: FunctionType = names["forward"]
    return made
