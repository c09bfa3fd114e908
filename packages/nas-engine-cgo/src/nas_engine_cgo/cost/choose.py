"""When merging pays: how many members share a cluster, in which layout, and of which widths.

Three steps, each with less to say than the one before: the memory there is bounds the size of a
cluster; the cache suggests one; as far as a small part of the training's time allows, steps of
copies of the members are timed, and the fastest wins. What was found is remembered for the next
batch like it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import version
from statistics import fmean
from typing import Any, Literal, TypeAlias

import torch

from nas_engine_cgo.cost.cache import cache_bytes
from nas_engine_cgo.cost.clusters import deeds, likeness, similar
from nas_engine_cgo.cost.memory import largest_activation, training_memory
from nas_engine_cgo.cost.widening import seems_to_pay
from nas_engine_cgo.exact import Verdicts
from nas_engine_cgo.members import Program, duplicate
from nas_engine_cgo.remember import Memory
from nas_engine_cgo.train import Loop, Member, MemberError, Options, Prepared
from nas_engine_cgo.train.available import available
from nas_engine_cgo.train.clusters import clusters_of
from nas_engine_cgo.train.members import can_be_wide
from nas_engine_cgo.uncollected import uncollected
from nas_engine_cgo.widen import widened, widths_of

__all__ = ["Choice", "choose"]

_PROBED, _PROBED_LARGE = 1 / 4, 1 / 64
"""The part of all steps of all members that may be taken to time settings, and the same for members
of which the cache has room for one: they have little to gain."""
_OUTGROWN = 1.05
_LOST = 1.2
"""So much longer than one by one, and merging is given up once it was timed in two ways."""
_TIMED = 3
"""Steps that a setting is timed by, the least counts: a first one may take half as long again."""
_SOME = 4
"""So many members of a cluster are timed one by one."""
_LONG = 0.05
"""Seconds after which a setting is known well enough."""

Layout: TypeAlias = Literal["contiguous", "channels_last"]


@dataclass(frozen=True)
class Choice:
    """How members are run.

    Attributes:
        clusters: those that are merged with each other.
        options: with what was chosen.
        why: what decided, in words.
        prepared: what was found out on the way.
    """

    clusters: list[list[int]]
    options: Options
    why: str
    prepared: Prepared


@dataclass(frozen=True)
class _Setting:
    """A size of clusters, a layout by name, and whether layers that differ in width are widened."""

    size: int
    layout: Layout
    widen: bool = False

    def __str__(self) -> str:
        return f"clusters of {self.size}, {self.layout}{', widened' if self.widen else ''}"


_ALONE = _Setting(1, "contiguous")
"""Members one by one."""


def choose(members: Sequence[Member], options: Options, memory: Memory) -> Choice:
    """Decide for these members."""
    probe = _Probe(members, options, Verdicts(memory.beside("cgo-bits.json")))
    most = probe.most()
    setting, why = probe.guess(most)
    if options.cluster_size is not None:
        size = max(1, min(most, options.cluster_size))
        setting, why = replace(setting, size=size), "as asked for"
    elif (known := _recalled(memory.recall(probe.key))) is not None:
        setting = replace(known, size=max(1, min(known.size, most)))
        why = "it was fastest for such a batch before"
    elif (trials := probe.trials(most, setting)).tried:
        setting, speed = trials.best()
        why = f"it was fastest of what was timed, {speed:.1f} times one by one"
        memory.keep({probe.key: (setting.size, setting.layout, setting.widen)})
    clusters = clusters_of(probe.order, setting.size)
    setting = replace(setting, widen=setting.widen and any(map(probe.differ, clusters)))
    return Choice(
        clusters,
        replace(options, layout=setting.layout, widen=setting.widen),
        f"{setting}: {why}",
        probe.prepared,
    )


def _recalled(found: Any) -> _Setting | None:
    """A setting that was kept, unless the file was changed by somebody else."""
    match found:
        case [int(size), ("contiguous" | "channels_last") as layout, bool(widen)]:
            return _Setting(size, layout, widen)
        case _:
            return None


@dataclass
class _Trials:
    """Settings that are timed while that takes no more than it may.

    Attributes:
        time: seconds of a step for each member.
        clock: by which those are.
        steps: steps of one member that timing may take; all else that it takes counts as well.
        tried: what was found.
    """

    time: Callable[[_Setting], float]
    clock: Callable[[], float]
    steps: float
    tried: dict[_Setting, float] = field(default_factory=dict)
    _spent: float = 0.0

    def run(self, setting: _Setting) -> bool:
        """Time a setting; whether that was done, and it is not slower than others."""
        if self.tried and self._spent > self.steps * min(self.tried.values()):
            return False
        if self.is_lost():
            return False
        started = self.clock()
        self.tried[setting] = self.time(setting)
        self._spent += self.clock() - started
        return self.tried[setting] <= _OUTGROWN * min(self.tried.values())

    def is_lost(self) -> bool:
        """Whether merging was so much slower in two ways that no other will be faster."""
        merged = [seconds for setting, seconds in self.tried.items() if setting != _ALONE]
        return len(merged) > 1 and min(merged) > _LOST * self.tried[_ALONE]

    def faster(self, one: _Setting, other: _Setting) -> _Setting:
        """The one of two that took less time, as far as they were timed."""
        return min((one, other), key=lambda each: self.tried.get(each, math.inf))

    def best(self) -> tuple[_Setting, float]:
        """The fastest, and how much faster it is than members one by one."""
        best = min(self.tried, key=lambda setting: self.tried[setting])
        return best, self.tried[_ALONE] / self.tried[best]


class _Probe:
    """What can be found out about members before they are trained."""

    def __init__(self, members: Sequence[Member], options: Options, verdicts: Verdicts) -> None:
        self._members, self._options = members, options
        loop = Loop(members, [range(len(members))], options, verdicts=verdicts)
        batches = next(loop.batches(), None)
        if batches is None:
            # Each says for itself that it has no data.
            numbers = [member.candidate.number for member in members]
            raise MemberError(numbers) from ValueError("the training data gives no batch")
        self._batches = batches
        self._copied: dict[int, Member] = {}
        self._alone: dict[int, float] = {}
        self._first: Sequence[int] = ()
        self._traced = loop.merged.traced(self._batches)
        self.prepared = loop.prepared
        self._deeds = deeds(self._traced)
        self.order = similar(self._deeds)
        self._programs = [program for program in self._traced if program]
        may = options.widen is not False and not options.exact and can_be_wide(members)
        self._wide = widened(self._programs) if may else self._programs
        self._differ = self._wide != self._programs

    def most(self) -> int:
        """How many members have room in memory at once."""
        needed = max(map(training_memory, self._wide), default=1)
        room = self._options.memory or available(self._batches[0][0].device) // 2
        return max(1, min(len(self._members), room // max(1, needed)))

    def guess(self, most: int) -> tuple[_Setting, str]:
        """As many as the cache holds the largest activations of, and that in words.

        One, if those come from a call that can't be merged, such as a recurrent layer.
        """
        largest, alone = self._largest
        size = 1 if alone else max(1, min(most, cache_bytes() // max(1, largest)))
        why = "most of the work can't be merged" if alone else f"the cache has room for {size}"
        layout = self._merged_layout() if size > 1 else _ALONE.layout
        return _Setting(size, layout, self._widens()), why

    def differ(self, cluster: Sequence[int]) -> bool:
        """Whether members have layers that differ in width."""
        return bool(widths_of(program for i in cluster if (program := self._traced[i])))

    def _widens(self) -> bool:
        if not self._differ or self._options.widen is not None:
            return self._differ and bool(self._options.widen)
        return seems_to_pay(self._programs, self._wide)

    @cached_property
    def _largest(self) -> tuple[int, bool]:
        return max(map(largest_activation, self._programs), default=(0, False))

    def _affordable(self, guess: _Setting) -> float:
        """How many steps of one member may be taken to time settings."""
        recipe = self._members[0].recipe
        steps = recipe.steps
        if steps is None:
            count = recipe.feeds(0, self._batches[0][0].device)[0].batches
            steps = None if count is None else count * recipe.epochs
        part = _PROBED if guess.size > 1 else _PROBED_LARGE
        return math.inf if steps is None else part * steps * len(self._members)

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
        device = self._batches[0][0].device.type
        threads = torch.get_num_threads()
        # Other code, and in no other layout.
        ways = (self._options.exact, self._differ, self._options.widen)
        versions = torch.__version__, version("nas-engine-cgo")
        return repr((*versions, device, threads, ways, names, sizes))

    def trials(self, most: int, guess: _Setting) -> _Trials:
        """Time one by one, what the cache suggests, and larger clusters while they are faster."""
        trials = _Trials(self._seconds, self._clock(), self._affordable(guess))
        first = _Setting(min(most, max(2, guess.size)), self._merged_layout(), guess.widen)
        if most == 1 or trials.steps < (1 + _TIMED) * (1 + first.size):
            return trials
        (self._first, *_) = clusters_of(self.order, first.size)
        trials.run(_ALONE)
        last = self._larger(trials, first, most)
        if first.size // 2 > 1 and trials.best()[0].size <= first.size:
            trials.run(replace(last, size=first.size // 2))
        return trials

    def _larger(self, trials: _Trials, setting: _Setting, most: int) -> _Setting:
        """Time a setting and larger ones, till they have outgrown the cache; gives the last.

        The first is timed in both layouts, and the first whose members differ in width is timed
        both ways: larger ones follow what was faster there.
        """
        changes: list[dict[str, Any]] = []
        if setting.layout != _ALONE.layout:
            changes.append({"layout": _ALONE.layout})
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
        device = self._batches[0][0].device
        if device.type == "cuda":
            return partial(_after_kernels, device)
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        return time.thread_time if alone else time.perf_counter

    def _merged_layout(self) -> Layout:
        """The layout that is mostly faster for members that are merged."""
        calls = (call for program in self._programs for call in program.calls)
        images = any(call.name in ("conv2d", "conv_transpose2d") for call in calls)
        return "channels_last" if images and not self._options.exact else self._options.layout

    @uncollected()
    def _seconds(self, setting: _Setting) -> float:
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
                self._alone[kind] = self._step([i], _ALONE)
        return fmean(self._alone[kind] for kind in kinds)

    def _step(self, chosen: Sequence[int], setting: _Setting) -> float:
        """Seconds of a step of one cluster for each member."""
        copies = self._copies(chosen)
        options = replace(self._options, layout=setting.layout, widen=setting.widen)
        loop = Loop(copies, [range(len(copies))], options, self.prepared)
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
    """The least seconds of a few steps after some others; of one, if that takes long."""
    for _ in range(untimed):
        step()
    times: list[float] = []
    while len(times) < _TIMED and sum(times) < _LONG:
        started = clock()
        step()
        times.append(clock() - started)
    return max(min(times), 1e-9)  # Some clocks stand still for so long.


def _after_kernels(device: torch.device) -> float:
    """The time at which a GPU has done what it was given."""
    torch.cuda.synchronize(device)
    return time.perf_counter()


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory is used up.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    True
    """
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
