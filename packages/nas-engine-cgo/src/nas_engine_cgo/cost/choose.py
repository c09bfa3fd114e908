"""When merging pays: how many members share a cluster, in which layout, and of which widths.

Three steps, each with less to say than the one before: the memory there is bounds the size of a
cluster; the cache suggests one; as far as a part of what merging may save allows, steps of copies
of the members are timed, and the fastest wins. What was found is remembered for the next
batches like it, of which some time again what they can for less.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from statistics import fmean, median_low
from typing import Any

import torch
from nas_core.uncollected import uncollected

from nas_engine_cgo.cache import cache_bytes
from nas_engine_cgo.cost.clusters import Deeds, deeds, likeness, similar
from nas_engine_cgo.cost.findings import Findings
from nas_engine_cgo.cost.length import MOSTLY_ALONE, gains_anyway, gains_unmerged, steps_of
from nas_engine_cgo.cost.memory import is_out_of_memory, largest_activation, training_memory
from nas_engine_cgo.cost.trials import ALONE, Layout, Setting, Trials
from nas_engine_cgo.cost.widening import seems_to_pay
from nas_engine_cgo.cost.work import share_of_calling
from nas_engine_cgo.exact import Verdicts
from nas_engine_cgo.members import Program, duplicate
from nas_engine_cgo.options import Options
from nas_engine_cgo.remember import Memory
from nas_engine_cgo.train import Loop, Member, MemberError, Prepared, Programs
from nas_engine_cgo.train.available import available
from nas_engine_cgo.train.clusters import clusters_of
from nas_engine_cgo.train.members import can_be_wide
from nas_engine_cgo.widen import widened, widths_of

__all__ = ["Choice", "choose"]

_PROBED = 1 / 4
"""The part of what merging may save that may be taken to time settings."""
_LITTLE = 1 / 20
"""If no larger part of a step is calling torch, it costs more to compute members together."""
_AGAIN = 1 / 2
"""The part of that which later batches may take to time them again."""
_MADE = 80
"""Steps of one member that take as long as to make the code of two settings."""
_REPLAYED = 10
"""So many steps that are launched as a CUDA graph take as long as one that is not."""
_TIMED = 3
"""Steps that a setting is timed by, of which the median counts: a first one may take half as long
again, and a clock that stands still for a moment makes one seem to take no time."""
_SOME = 4
"""So many members of a cluster are timed one by one."""
_KEPT = 4
"""What such a call keeps for its gradient, in sizes of its result."""
_LONG = 0.05
"""Seconds after which a setting is known well enough."""


@dataclass(frozen=True)
class Choice:
    """How members are run.

    Attributes:
        clusters: those that are merged with each other.
        options: with what was chosen.
        why: what decided, in words.
        prepared: what was found out on the way.
        apart: whether nothing is gained by one loop for all.
    """

    clusters: list[list[int]]
    options: Options
    why: str
    prepared: Prepared
    apart: bool = False


def choose(
    members: Sequence[Member],
    options: Options,
    memory: Memory,
    programs: Programs | None = None,
) -> Choice:
    """Decide for these members.

    Args:
        members: of one loop.
        options: how they are run together.
        memory: what is known of this machine.
        programs: what was traced before.
    """
    verdicts = Verdicts(memory.beside("cgo-bits.json"))
    probe = _Probe(members, options, verdicts, programs)
    if (reason := probe.why_apart()) is not None:
        each = [[i] for i in range(len(members))]
        return Choice(each, options, reason, probe.prepared, apart=True)
    most = probe.most()
    setting, why = probe.guess(most)
    apart = False
    if options.cluster_size is not None:
        size = max(1, min(most, options.cluster_size))
        setting, why = replace(setting, size=size), "as asked for"
    elif (fastest := _fastest(probe, most, setting, memory)) is not None:
        setting, why = fastest
        apart = setting.size == 1 and not gains_unmerged(members)
    else:
        apart = True
    apart = apart and not (probe.gains(setting) or gains_anyway(members, options))
    clusters = clusters_of(probe.order, setting.size)
    setting = replace(setting, widen=setting.widen and any(map(probe.differ, clusters)))
    return Choice(
        clusters,
        replace(options, layout=setting.layout, widen=setting.widen),
        f"{setting}: {why}",
        probe.prepared,
        apart,
    )


def _fastest(
    probe: _Probe, most: int, guess: Setting, memory: Memory
) -> tuple[Setting, str] | None:
    """The setting that was fastest of those that were timed, now or before, if any was.

    One measurement may have met a machine that was busy: so what later batches find counts, too.
    """
    known = Findings.read(memory.recall(probe.key))
    tried = {} if known.are_sure else probe.trials(most, guess, known).tried
    compared = len(tried) > 1
    if compared:
        known = known.joined(tried)
        memory.keep({probe.key: known.written()})
    if not known:
        return None
    best, why = known.best(), "it was fastest for such a batch before"
    if compared:
        why = f"it was fastest of what was timed, {1 / known.share(best):.1f} times one by one"
    return replace(best, size=min(best.size, most)), why


class _Probe:
    """What can be found out about members before they are trained."""

    def __init__(
        self,
        members: Sequence[Member],
        options: Options,
        verdicts: Verdicts,
        programs: Programs | None = None,
    ) -> None:
        self._members, self._options = members, options
        clusters = [range(len(members))]
        loop = Loop(members, clusters, options, verdicts=verdicts, programs=programs)
        batches = next(loop.batches(), None)
        if batches is None:
            # Each says for itself that it has no data.
            numbers = [member.candidate.number for member in members]
            raise MemberError(numbers) from ValueError("the training data gives no batch")
        self._batches = batches
        self._device = loop.device
        self._on_cpu = loop.device.type == "cpu"
        self._copied: dict[int, Member] = {}
        self._alone: dict[int, float] = {}
        self._first: Sequence[int] = ()
        self._merged, self._repeats = loop.merged, loop.passes.repeats
        self.prepared = loop.prepared

    def why_apart(self) -> str | None:
        """Why members can't be merged, if so."""
        if not all(isinstance(part, torch.Tensor) for batch in self._batches for part in batch):
            return "since their batches hold more than tensors"
        return None

    @cached_property
    def _traced(self) -> list[Program | None]:
        return self._merged.traced(self._batches)

    @cached_property
    def _programs(self) -> list[Program]:
        return [program for program in self._traced if program]

    @cached_property
    def _deeds(self) -> list[Deeds]:
        return deeds(self._traced)

    @cached_property
    def order(self) -> list[int]:
        """Members in the order in which they are merged."""
        return similar(self._deeds)

    @cached_property
    def _wide(self) -> list[Program]:
        options = self._options
        may = options.widen is not False and not options.exact and can_be_wide(self._members)
        return widened(self._programs) if may else self._programs

    @cached_property
    def _differ(self) -> bool:
        return self._wide != self._programs

    def most(self) -> int:
        """How many members have room in memory at once."""
        needed = max(map(training_memory, self._wide), default=1)
        room = self._options.memory or available(self._device) // 2
        return max(1, min(len(self._members), room // max(1, needed)))

    def guess(self, most: int) -> tuple[Setting, str]:
        """As many as the cache holds the largest activations of, and that in words.

        A call that can't be merged, such as a recurrent layer, keeps more than what it gives. A GPU
        is fastest with large steps.
        """
        if self._calling < _LITTLE:
            return ALONE, "nearly all of a step is computing"
        if not self._on_cpu:
            why = f"the device has room for {most}"
            return Setting(most, self._merged_layout(), self._widens()), why
        largest, alone = self._largest
        needed = max(1, largest * (_KEPT if alone else 1))
        size = max(1, min(most, cache_bytes() // needed))
        why = MOSTLY_ALONE if alone and size == 1 else f"the cache has room for {size}"
        layout = self._merged_layout() if size > 1 else ALONE.layout
        return Setting(size, layout, self._widens()), why

    def gains(self, setting: Setting) -> bool:
        """Whether members probably gain by one loop that runs them so.

        Also one by one, if it is repeated without autograd, and one fused optimiser steps.
        """
        _, alone = self._largest
        if not self._programs or (alone and self._on_cpu):
            return gains_unmerged(self._members)
        repeated = self._repeats and all(self._traced) and not self._options.exact
        return setting.size > 1 or repeated

    def differ(self, cluster: Sequence[int]) -> bool:
        """Whether members have layers that differ in width."""
        return bool(widths_of(program for i in cluster if (program := self._traced[i])))

    def _widens(self) -> bool:
        if not self._differ or self._options.widen is not None:
            return self._differ and bool(self._options.widen)
        return seems_to_pay(self._programs, self._wide)

    @cached_property
    def _calling(self) -> float:
        programs = list({id(p): p for p in self._programs}.values())
        return share_of_calling(programs, self._device.type)

    @cached_property
    def _largest(self) -> tuple[int, bool]:
        return max(map(largest_activation, self._programs), default=(0, False))

    @property
    def _affordable(self) -> float:
        """How many steps of one member may be taken to time settings."""
        steps = steps_of(self._members[0]) / (1 if self._on_cpu else _REPLAYED)
        return _PROBED * self._calling * steps * len(self._members)

    @cached_property
    def key(self) -> str:
        """What batches of members have in common that behave alike."""
        programs = self._programs
        work = sum(training_memory(p) for p in programs) // max(1, len(programs))
        largest, _ = self._largest
        calls = sum(len(p.calls) for p in programs) // max(1, len(programs))
        like = int(likeness(self._deeds))
        sizes = [value.bit_length() for value in (work, largest, calls, like, len(self._members))]
        names = sorted(set().union(*map(_layers, {id(p): p for p in programs}.values())))
        device, threads = self._device.type, torch.get_num_threads()
        # Other code, and in no other layout.
        ways = (self._options.exact, self._differ, self._options.widen)
        versions = torch.__version__, version("nas-engine-cgo")
        return repr((*versions, device, threads, ways, names, sizes))

    def trials(self, most: int, guess: Setting, known: Findings) -> Trials:
        """Time one by one, what the cache suggests, and larger clusters while they are faster.

        What is known to be the fastest comes before all else, so that it is timed again for less.
        """
        affordable = self._affordable
        part = _AGAIN if known else 1
        trials = Trials(self._seconds, self._clock(), part * affordable)
        first = Setting(min(most, max(2, guess.size)), self._merged_layout(), guess.widen)
        if most == 1 or not self._programs or affordable < _MADE + (1 + _TIMED) * (1 + first.size):
            return trials
        (self._first, *_) = clusters_of(self.order, first.size)
        trials.run(ALONE)
        if known and (best := known.best()).size <= most:
            trials.run(best)
        last = self._larger(trials, first, most)
        if first.size // 2 > 1 and trials.best().size <= first.size:
            trials.run(replace(last, size=first.size // 2))
        return trials

    def _larger(self, trials: Trials, setting: Setting, most: int) -> Setting:
        """Time a setting and larger ones, till they have outgrown the cache; gives the last.

        The first is timed in both layouts, and the first whose members differ in width is timed
        both ways: larger ones follow what was faster there.
        """
        changes: list[dict[str, Any]] = []
        if setting.layout != ALONE.layout:
            changes.append({"layout": ALONE.layout})
        undecided = self._options.widen is None
        for size in sorted({setting.size, min(most, 2 * setting.size), most}):
            setting = replace(setting, size=size)
            if undecided and self.differ(clusters_of(self.order, size)[0]):
                changes.append({"widen": not setting.widen})
                undecided = False
            faster = trials.run(setting)
            for change in changes:
                other = replace(setting, **change)
                if trials.run(other):
                    faster, setting = True, trials.faster(setting, other)
            changes = []
            # With exact a slower one may have too few members to repay what each costs by itself.
            if not faster and not self._options.exact:
                break
        return setting

    def _clock(self) -> Callable[[], float]:
        """One that other work on the machine does not move, where one thread does all."""
        if self._device.type == "cuda":
            return partial(_after_kernels, self._device)
        alone = self._on_cpu and torch.get_num_threads() == 1
        return time.thread_time if alone else time.perf_counter

    def _merged_layout(self) -> Layout:
        """The layout that is mostly faster for members that are merged.

        In full precision convolutions in groups are slower by pixel on GPUs.
        """
        by_pixel = self._on_cpu or self._members[0].recipe.precision != "float32"
        calls = (call for program in self._programs for call in program.calls)
        images = any(call.name in ("conv2d", "conv_transpose2d") for call in calls)
        chosen = images and by_pixel and not self._options.exact
        return "channels_last" if chosen else self._options.layout

    @uncollected()
    def _seconds(self, setting: Setting) -> float:
        """Seconds of a step for each member, timed on copies of one cluster.

        Members may differ in what they take: so it is compared with what those of the cluster take
        one by one, and given for members that take as much as those of the first cluster.
        """
        (chosen, *_) = clusters_of(self.order, setting.size)
        if setting.size > 1:
            return self._step(chosen, setting) * self._usual / self._one_by_one(chosen)
        return self._usual

    @cached_property
    def _usual(self) -> float:
        return self._one_by_one(self._first)

    def _one_by_one(self, chosen: Sequence[int]) -> float:
        """Seconds of a step of these, on average over some of them; alike ones are timed once."""
        kinds = {id(self._traced[i]): i for i in chosen[:: math.ceil(len(chosen) / _SOME)]}
        for kind, i in kinds.items():
            if kind not in self._alone:
                self._alone[kind] = self._step([i], ALONE)
        return fmean(self._alone[kind] for kind in kinds)

    def _step(self, chosen: Sequence[int], setting: Setting) -> float:
        """Seconds of a step of one cluster for each member."""
        copies = self._copies(chosen)
        options = replace(self._options, layout=setting.layout, widen=setting.widen)
        loop = Loop(copies, [range(len(copies))], options, self.prepared)
        loop.merged.verifies = False  # Nobody asks for the bits of copies.
        batches = self._batches if len(self._batches) == 1 else [self._batches[i] for i in chosen]
        try:
            if loop.device.type == "cpu":  # A graph of CUDA has to wait for longer.
                loop.passes.patience = 1
            untimed = 1 + max(1, loop.passes.patience)  # Till steps are repeated.
            return _timed(partial(loop.step, batches), self._clock(), untimed) / len(copies)
        except MemberError as error:
            if is_out_of_memory(error.__cause__) and len(copies) > 1:
                return math.inf
            raise
        finally:
            for position in range(len(copies)):
                loop.merged.store.restore_layout(position)

    def _copies(self, chosen: Sequence[int]) -> list[Member]:
        """Members that timing may train as it likes: the same ones for all settings."""
        for i in chosen:
            if i not in self._copied:
                member = self._members[i]
                module, stream = duplicate(member.module), member.stream.copied()
                self._copied[i] = Member(member.candidate, module, member.recipe, stream)
        return [self._copied[i] for i in chosen]


def _layers(program: Program) -> set[str]:
    """The functions that take parameters."""
    parameters = {n for n, source in program.sources.items() if source.kind == "parameter"}
    return {call.name for call in program.calls if not parameters.isdisjoint(call.inputs)}


def _timed(step: Callable[[], object], clock: Callable[[], float], untimed: int) -> float:
    """The median seconds of a few steps after some others; of one, if that takes long."""
    for _ in range(untimed):
        step()
    times: list[float] = []
    while len(times) < _TIMED and sum(times) < _LONG:
        started = clock()
        step()
        times.append(clock() - started)
    return max(median_low(times), 1e-9)


def _after_kernels(device: torch.device) -> float:
    """The time at which a GPU has done what it was given."""
    torch.cuda.synchronize(device)
    return time.perf_counter()
