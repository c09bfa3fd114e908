"""How long steps take in a setting, timed on copies of members that may be trained at will."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean, median_low

import torch
from nas_core.uncollected import uncollected

from nas_engine_cgo.cost.memory import is_out_of_memory
from nas_engine_cgo.cost.probe import Probe
from nas_engine_cgo.cost.trials import Setting
from nas_engine_cgo.members import duplicate
from nas_engine_cgo.train import Loop, Member, MemberError
from nas_engine_cgo.train.clusters import clusters_of

__all__ = ["Timing"]

_TIMED = 3
"""Steps that a setting is timed by, of which the median counts: a first one may take half as long
again, and a clock that stands still for a moment makes one seem to take no time."""
_UNTIMED = 2
"""Steps before these, until steps are repeated."""
_SOME = 3
"""So many members are timed one by one."""
_LONG = 0.05
"""Seconds after which a setting is known well enough."""
_MADE = 16
"""Steps of one member that take as long as to make the code of a setting, and to record it."""
_SAVED = 1 / 2
"""The part of a step that merging saves, or about, to tell beforehand what timing takes."""


class Timing:
    """Times settings of the members of a probe."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._copied: dict[int, Member] = {}

    def clock(self) -> Callable[[], float]:
        """One that other work on the machine does not move, where one thread does all."""
        if self._probe.device.type == "cuda":
            return partial(_after_kernels, self._probe.device)
        alone = self._probe.on_cpu and torch.get_num_threads() == 1
        return time.thread_time if alone else time.perf_counter

    def cost(self, setting: Setting) -> float:
        """How many steps of one member it probably takes to time a setting."""
        steps = _UNTIMED + _TIMED
        if setting.size == 1:
            return (_MADE + steps) * len(self._some())
        return _MADE + steps * setting.size * (1 - _SAVED)

    @uncollected()
    def seconds(self, setting: Setting) -> float:
        """Seconds of a step for each member, timed on one cluster, or on some one by one.

        Members may differ in what they take: it is given for what a usual one does.
        """
        chosen = self._some()
        if setting.size > 1:
            chosen = clusters_of(self._probe.order, setting.size)[0]
            taken = self._step(chosen, setting)
        else:
            taken = fmean(self._step([member], setting) for member in chosen)
        work = self._probe.work
        return taken * fmean(work) / fmean(work[member] for member in chosen)

    def _some(self) -> list[int]:
        """Members that stand for all one by one: of those that are alike only one."""
        order, traced = self._probe.order, self._probe.traced
        some = order[:: math.ceil(len(order) / _SOME)]
        return list({id(traced[member]): member for member in some}.values())

    def _step(self, chosen: Sequence[int], setting: Setting) -> float:
        """Seconds of a step of one cluster for each member."""
        copies, given = self._copies(chosen), self._probe.batches
        options = replace(self._probe.options, layout=setting.layout, widen=setting.widen)
        loop = Loop(copies, [range(len(copies))], options, self._probe.prepared)
        loop.merged.code.verifies = False  # Nobody asks for the bits of copies.
        batches = given if len(given) == 1 else [given[member] for member in chosen]
        try:
            # A CUDA graph has to wait for longer.
            untimed = max(_UNTIMED, 1 + loop.passes.first)
            return _timed(partial(loop.step, batches), self.clock(), untimed) / len(copies)
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
                member = self._probe.members[i]
                module, stream = duplicate(member.module), member.stream.copied()
                self._copied[i] = Member(member.candidate, module, member.recipe, stream)
        return [self._copied[i] for i in chosen]


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
