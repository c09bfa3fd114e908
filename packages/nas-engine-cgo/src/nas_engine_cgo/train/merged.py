"""A merged model: the members' modules, and the code that runs them together."""

from __future__ import annotations

import itertools
import linecache
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as functional
from nas_core.failure import failure_text
from torch import Tensor, nn

from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import Program, Ref, UntraceableError, frozen_programs, prune, trace
from nas_engine_cgo.packs import Need
from nas_engine_cgo.train.store import Place, Store
from nas_engine_cgo.train.streams import Stream, drawing, dropout_masks, ordered
from nas_engine_cgo.write import Function, write_function

__all__ = ["Merged", "Outcome", "RefusedError"]

Forward = Callable[..., Tensor]
Outcome = tuple[Tensor, tuple[int, ...]]
"""Outputs, and the members that they belong to along dimension 0; of one member as they are."""

_COUNTER = itertools.count()


@dataclass(frozen=True, eq=False)
class _Compiled:
    """Merged code that can be called."""

    function: Function
    members: tuple[int, ...]
    call: FunctionType


class Merged:
    """Runs the forward passes of several modules as one.

    Args:
        modules: the members; all on one device.
        forwards: for each member what is done in training, ``(module, *batch) -> loss``.
        streams: the members' random numbers.
        feeds: for each member the number of its data stream.
        clusters: members that are merged with each other.
        programs: those that were traced before, by module, mode and shapes.
        memory_format: of convolutions' weights.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        forwards: Sequence[Forward],
        streams: Sequence[Stream],
        feeds: Sequence[int],
        clusters: Sequence[Sequence[int]],
        programs: dict[Any, Program] | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.store = Store(modules, memory_format)
        self.clusters = tuple(tuple(cluster) for cluster in clusters)
        self.alone: dict[int, str] = {}
        self._forwards, self._streams, self._feeds = forwards, streams, feeds
        self.programs: dict[Any, Program] = {} if programs is None else programs
        self._compiled: dict[Any, _Compiled] = {}
        self._files: dict[str, _Compiled] = {}
        self._shapes: dict[Any, Any] = {}
        self._modes: dict[int, bool] = {}

    def losses(self, batches: Sequence[Sequence[Tensor]]) -> list[Outcome]:
        """The losses of all members on the batches of the data streams."""
        return self._run(batches, training=True)

    def outputs(self, batches: Sequence[Sequence[Tensor]]) -> list[Outcome]:
        """The outputs of all members, in evaluation mode; the last of a batch is its target."""
        return self._run(batches, training=False)

    # ------------------------------------------------------------------ running

    def _run(self, batches: Sequence[Sequence[Tensor]], training: bool) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for cluster in self.clusters:
            compiled, single = self._code(cluster, batches, training)
            if compiled is not None:
                outcomes += self._call(compiled, batches, training)
            for member in single:
                outcomes.append((self._single(member, batches, training), (member,)))
        return outcomes

    def _call(
        self, compiled: _Compiled, batches: Sequence[Sequence[Tensor]], training: bool
    ) -> list[Outcome]:
        function, members = compiled.function, compiled.members
        for member in dict.fromkeys(members[m] for m, _ in function.modules):
            self._prepare(member, training)
        find = self.store.claim if training else self.store.gather
        needs = _numbered(function, members)
        tensors = [find(need) for need in needs]
        inputs = [batches[stream][position] for stream, position in function.inputs]
        found = compiled.call(inputs, tensors, [self._streams[m] for m in members])
        if training:
            for need, tensor in zip(needs, tensors, strict=True):
                self.store.settle(need, tensor)
        return [
            (tensor, tuple(members[m] for m in result))
            for tensor, result in zip(found, function.results, strict=True)
        ]

    def _single(self, member: int, batches: Sequence[Sequence[Tensor]], training: bool) -> Tensor:
        """Call the module itself."""
        module, batch = self.store.modules[member], batches[self._feeds[member]]
        self._prepare(member, training)
        try:
            with drawing(self._streams[member], everything=True):
                if not training:
                    output: Tensor = module(*batch[:-1])
                    return output
                loss = self._forwards[member](module, *batch)
        # The member is anybody's code.
        except (Exception, SystemExit) as error:
            raise RefusedError((member,), failure_text(error)) from error
        if loss.shape != () or not loss.requires_grad:
            raise RefusedError((member,), "the loss is no number that has a gradient")
        return loss

    def _prepare(self, member: int, training: bool) -> None:
        """Make the module of a member, or parts of it, ready to be called."""
        if not training:
            self.store.write_back(member)
        if self._modes.get(member) != training:
            self.store.modules[member].train(training)
            self._modes[member] = training

    # ------------------------------------------------------------------ code

    def _code(
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
        key = (training, members, frozen_programs(list(programs.values())))
        if key not in self._compiled:
            self._compiled[key] = self._written(members, list(programs.values()))
        if training:
            self._check_whole(self._compiled[key], single, programs)
        return self._compiled[key], single

    def _check_whole(
        self, made: _Compiled, single: Sequence[int], programs: Mapping[int, Program]
    ) -> None:
        """Refuse code that trains only some of what other code trains in one tensor."""
        felt = {
            (member, source.path)
            for member, program in programs.items()
            for number, source in program.sources.items()
            if source.kind == "parameter" and number in (program.felt or ())
        }
        modules = [(member, "") for member in single]
        modules += [(made.members[m], path) for m, path in made.function.modules]
        for parts, trained in self.store.packed():
            missed = [place for place in parts if _within(place, modules)]
            if trained and not missed and not felt.isdisjoint(parts):
                missed = [place for place in parts if place not in felt]
            if missed:
                reason = "another size of the batch trains other parameters"
                raise RefusedError(sorted({member for member, _ in missed}), reason)

    def _traced(self, member: int, batch: Sequence[Tensor], training: bool) -> Program:
        module = self.store.modules[member]
        shapes = tuple((tuple(t.shape), t.dtype) for t in batch)
        key = (id(module), training, shapes)
        if key not in self.programs:
            module.train(training)
            self._modes[member] = training
            if training:
                program = trace(module, self._forwards[member], batch)
            else:
                with torch.no_grad():
                    program = trace(module, lambda model, *inputs: model(*inputs), batch[:-1])
            if not isinstance(program.output, Ref):
                raise UntraceableError("forward gives back something else than one tensor")
            if training and program.felt is not None and program.output.id not in program.felt:
                raise UntraceableError("the loss depends on no parameter")
            if training and program.facts[program.output.id].shape != ():
                raise UntraceableError("the loss is more than one number")
            self.programs[key] = prune(program)
        return self.programs[key]

    def _written(self, members: tuple[int, ...], programs: Sequence[Program]) -> _Compiled:
        feeds = [self._feeds[member] for member in members]
        function = write_function(programs, feeds, {}, fits)
        modules = [self.store.modules[member] for member in members]
        made = _Compiled(function, members, compiled(function, modules))
        self._files[made.call.__code__.co_filename] = made
        return made

    def suspects(self, error: BaseException) -> tuple[int, ...]:
        """The members whose calls may have raised an error; none if nothing tells."""
        if isinstance(error, RefusedError):
            return error.members
        for frame, line in traceback.walk_tb(error.__traceback__):
            if (made := self._files.get(frame.f_code.co_filename)) is not None:
                return tuple(made.members[m] for m in made.function.origin[line - 1])
        return ()


class RefusedError(Exception):
    """These members can't go on in this loop; alone, each finds its own end."""

    def __init__(self, members: Sequence[int], reason: str) -> None:
        super().__init__(reason)
        self.members = tuple(members)


def _within(place: Place, modules: Sequence[tuple[int, str]]) -> bool:
    """Whether a parameter belongs to one of these submodules."""
    member, path = place
    return any(
        member == other and (not root or path.startswith(f"{root}.")) for other, root in modules
    )


def _numbered(function: Function, members: tuple[int, ...]) -> list[Need]:
    return [
        Need(need.form, tuple((members[m], path) for m, path in need.slots))
        for need in function.needs
    ]


def compiled(function: Function, modules: Sequence[nn.Module]) -> FunctionType:
    """The merged code as a function of ``(inputs, tensors, streams)``."""
    file = f"<merged {next(_COUNTER)}>"
    linecache.cache[file] = (len(function.source), None, function.source.splitlines(True), file)
    names: dict[str, Any] = {
        "torch": torch,
        "F": functional,
        "drawing": drawing,
        "dropout_masks": dropout_masks,
        "ordered": ordered,
        "device": next((p.device for m in modules for p in m.parameters()), torch.device("cpu")),
        **function.constants,
    }
    for number, module in enumerate(modules):
        names[f"m{number}"] = module.get_submodule
    exec(compile(function.source, file, "exec", dont_inherit=True), names)  # noqa: S102
    made: FunctionType = names["forward"]
    return made
