"""When merging pays: how many members share a cluster, and in which layout.

Three steps, each with less to say than the one before: the memory there is bounds the size of a
cluster; the cache suggests one; where the training is long enough, steps of copies of the members
are timed, and the fastest wins. What was found is remembered for the next batch like it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

import torch

from nas_engine_cgo.cost.cache import cache_bytes
from nas_engine_cgo.cost.clusters import similar
from nas_engine_cgo.cost.memory import largest_activation, training_memory
from nas_engine_cgo.cost.remember import Memory
from nas_engine_cgo.exact.bits import same_stream
from nas_engine_cgo.train import Loop, Member, MemberError, Options, Prepared
from nas_engine_cgo.train.available import available
from nas_engine_cgo.train.clusters import clusters_of

__all__ = ["Choice", "choose"]

_STEPS_WORTH_A_PROBE = 48
_OUTGROWN = 1.05

Layout: TypeAlias = Literal["contiguous", "channels_last"]


@dataclass(frozen=True)
class Choice:
    """How members are run.

    Attributes:
        clusters: those that are merged with each other.
        options: with the layout that was chosen.
        why: what decided, in words.
        prepared: what was found out on the way.
    """

    clusters: list[list[int]]
    options: Options
    why: str
    prepared: Prepared


@dataclass(frozen=True)
class _Setting:
    """A size of clusters, and a layout by name."""

    size: int
    layout: Layout


def choose(members: Sequence[Member], options: Options, memory: Memory) -> Choice:
    """Decide for these members."""
    probe = _Probe(members, options)
    most = probe.most()
    guess = probe.guess(most)
    steps = probe.steps()
    setting, why = guess, f"the cache has room for {guess.size}"
    if options.cluster_size is not None:
        size = max(1, min(most, options.cluster_size))
        setting, why = _Setting(size, guess.layout), "as asked for"
    elif steps is None or steps >= _STEPS_WORTH_A_PROBE:
        key = probe.key()
        if (known := memory.recall(key)) is not None:
            setting = _Setting(max(1, min(known[0], most)), cast("Layout", known[1]))
            why = "it was fastest for such a batch before"
        else:
            setting, speed = probe.fastest(most, guess)
            why = f"it was fastest of what was timed, {speed:.1f} times one by one"
            memory.keep(key, (setting.size, setting.layout))
    return Choice(
        clusters_of(probe.order, setting.size),
        replace(options, layout=setting.layout),
        f"clusters of {setting.size}, {setting.layout}: {why}",
        probe.prepared,
    )


class _Probe:
    """What can be found out about members before they are trained."""

    def __init__(self, members: Sequence[Member], options: Options) -> None:
        self._members, self._options = members, options
        loop = Loop(members, [range(len(members))], options)
        batches = next(loop.batches(), None)
        if batches is None:
            # Each says for itself that it has no data.
            raise MemberError([member.candidate.number for member in members])
        self._batches = batches
        self._traced = loop.merged.traced(self._batches)
        self.prepared = loop.prepared
        self.order = similar(self._traced)

    def most(self) -> int:
        """How many members have room in memory at once."""
        needed = max((training_memory(p) for p in self._traced if p), default=1)
        room = self._options.memory or available(self._batches[0][0].device) // 2
        return max(1, min(len(self._members), room // max(1, needed)))

    def guess(self, most: int) -> _Setting:
        """As many as the cache holds the largest activation of."""
        largest = max((largest_activation(p) for p in self._traced if p), default=1)
        size = max(1, min(most, cache_bytes() // max(1, largest)))
        return _Setting(size, self._options.layout)

    def steps(self) -> int | None:
        """How many steps the training takes; None if that is not known."""
        recipe = self._members[0].recipe
        if recipe.steps is not None:
            return recipe.steps
        count = recipe.feeds(0, self._batches[0][0].device)[0].batches
        return None if count is None else count * recipe.epochs

    def key(self) -> str:
        """What batches of members have in common that behave alike."""
        programs = [p for p in self._traced if p]
        work = sum(training_memory(p) for p in programs) // max(1, len(programs))
        largest = max((largest_activation(p) for p in programs), default=0)
        calls = sum(len(p.calls) for p in programs) // max(1, len(programs))
        names = sorted({call.name for p in programs for call in p.calls if "conv" in call.name})
        sizes = [value.bit_length() for value in (work, largest, calls, len(self._members))]
        device = self._batches[0][0].device.type
        exact = self._options.exact  # Other code, and in no other layout.
        return repr((torch.__version__, device, torch.get_num_threads(), exact, names, sizes))

    def fastest(self, most: int, guess: _Setting) -> tuple[_Setting, float]:
        """Time sizes from one up until they are slower; then the other layout of images.

        Returns:
            The fastest, and how much faster it is than members one by one.
        """
        tried: dict[_Setting, float] = {}
        for size in sorted({1, guess.size // 2, guess.size, guess.size * 2, most}):
            if 0 < size <= most:
                setting = _Setting(size, "contiguous")
                tried[setting] = self._seconds(setting)
                if tried[setting] > _OUTGROWN * min(tried.values()):
                    break  # Larger ones have outgrown the cache even more.
        alone = tried[_Setting(1, "contiguous")]
        if self._has_images() and not self._options.exact:
            best = min(tried, key=lambda setting: tried[setting])
            for size in {best.size, max(1, best.size // 2)}:
                setting = _Setting(size, "channels_last")
                tried[setting] = self._seconds(setting)
        best = min(tried, key=lambda setting: tried[setting])
        return best, alone / tried[best]

    def _has_images(self) -> bool:
        calls = (call for program in self._traced if program for call in program.calls)
        return any(call.name in ("conv2d", "conv_transpose2d") for call in calls)

    def _seconds(self, setting: _Setting) -> float:
        """Seconds of a step for each member, timed on copies of one cluster."""
        (chosen, *_) = clusters_of(self.order, setting.size)
        copies = [_copied(self._members[i]) for i in chosen]
        options = replace(self._options, layout=setting.layout)
        loop = Loop(copies, [range(len(copies))], options, self.prepared)
        batches = self._batches if len(self._batches) == 1 else [self._batches[i] for i in chosen]
        try:
            return _timed(lambda: loop.step(batches)) / len(copies)
        except MemberError as error:
            if is_out_of_memory(error.__cause__) and len(copies) > 1:
                return math.inf
            raise


def _timed(step: Callable[[], object]) -> float:
    """The least seconds of a few steps after a first one."""
    step()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return min(times)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory is used up.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    True
    """
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _copied(member: Member) -> Member:
    stream = same_stream(member.stream)
    return Member(member.candidate, copy.deepcopy(member.module), member.recipe, stream)
