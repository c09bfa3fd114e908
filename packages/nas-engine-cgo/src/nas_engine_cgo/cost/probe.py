"""What can be found out about members before they are trained, without timing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version

import torch

from nas_engine_cgo.cache import cache_bytes, room_for_steps
from nas_engine_cgo.cost.clusters import Deeds, deeds, likeness, similar
from nas_engine_cgo.cost.length import MOSTLY_ALONE, gains_unmerged, steps_of
from nas_engine_cgo.cost.memory import largest_activation, recurrent_weights, training_memory
from nas_engine_cgo.cost.trials import ALONE, Layout, Setting
from nas_engine_cgo.cost.widening import seems_to_pay
from nas_engine_cgo.cost.work import CALL, seconds_of, share_in_pairs, share_of_calling
from nas_engine_cgo.exact import Verdicts
from nas_engine_cgo.members import Program
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Loop, Member, MemberError, Programs
from nas_engine_cgo.train.available import available
from nas_engine_cgo.train.members import can_be_wide
from nas_engine_cgo.widen import widened, widths_of

__all__ = ["Probe"]

_LITTLE = 1 / 20
"""If no larger part of a step is calling torch, it costs more to compute members together."""
_MANY = 1 / 2
"""If no larger part of a step has room in the cache by two, nothing is gained by two members."""
_KEPT = 4
"""What a call that can't be merged keeps for its gradient, in sizes of its result."""
_RECORDING = 120 * CALL
"""Seconds of steps, for each call in one, that repay to record them where members run one by one:
that takes as long as six calls, and a twentieth of the steps is saved, or more."""
_SURE = 2
"""What is so many times as fast as one by one, as far as rules tell, gains by merging for sure."""
_REPLAYED = 10
"""So many steps that are launched as a CUDA graph take as long as one that is not."""


class Probe:
    """Members of one loop, a batch of them, and what their programs tell."""

    def __init__(
        self,
        members: Sequence[Member],
        options: Options,
        verdicts: Verdicts,
        programs: Programs | None = None,
    ) -> None:
        self.members, self.options = members, options
        clusters = [range(len(members))]
        loop = Loop(members, clusters, options, verdicts=verdicts, programs=programs)
        batches = next(loop.batches(), None)
        if batches is None:
            # Each says for itself that it has no data.
            numbers = [member.candidate.number for member in members]
            raise MemberError(numbers) from ValueError("the training data gives no batch")
        self.batches, self.device = batches, loop.device
        self.on_cpu = loop.device.type == "cpu"
        self._merged, self._repeats = loop.merged, loop.passes.repeats
        self.prepared = loop.prepared

    def why_apart(self) -> str | None:
        """Why members can't be merged, if so."""
        if not all(isinstance(part, torch.Tensor) for batch in self.batches for part in batch):
            return "since their batches hold more than tensors"
        return None

    # ------------------------------------------------------------------ what members do

    @cached_property
    def traced(self) -> list[Program | None]:
        """What each does; None where that can't be told."""
        return self._merged.code.traced(self.batches)

    @cached_property
    def programs(self) -> list[Program]:
        """Those that can be told."""
        return [program for program in self.traced if program]

    @cached_property
    def _kinds(self) -> list[Program]:
        return list({id(program): program for program in self.programs}.values())

    @cached_property
    def _deeds(self) -> list[Deeds]:
        return deeds(self.traced)

    @cached_property
    def order(self) -> list[int]:
        """Members in the order in which they are merged."""
        return similar(self._deeds)

    @cached_property
    def work(self) -> list[float]:
        """Seconds that a step of each takes, or about; an average one, where that can't be told."""
        known = {id(program): seconds_of(program, self.device.type) for program in self._kinds}
        usual = sum(known[id(program)] for program in self.programs) / max(1, len(self.programs))
        return [known.get(id(program), usual) or 1.0 for program in self.traced]

    @cached_property
    def _wide(self) -> list[Program]:
        options = self.options
        may = options.widen is not False and not options.exact and can_be_wide(self.members)
        return widened(self.programs) if may else self.programs

    @cached_property
    def _differ(self) -> bool:
        return self._wide != self.programs

    def differ(self, cluster: Sequence[int]) -> bool:
        """Whether members have layers that differ in width."""
        return bool(widths_of(program for i in cluster if (program := self.traced[i])))

    @cached_property
    def _calling(self) -> float:
        return share_of_calling(self._kinds, self.device.type)

    @cached_property
    def _largest(self) -> tuple[int, bool]:
        return max(map(largest_activation, self._kinds), default=(0, False))

    # ------------------------------------------------------------------ what follows from that

    def most(self) -> int:
        """How many members have room in memory at once."""
        needed = max(map(training_memory, self._wide), default=1)
        room = self.options.memory or available(self.device) // 2
        return max(1, min(len(self.members), room // max(1, needed)))

    def guess(self, most: int) -> tuple[Setting, str]:
        """As many as the cache holds the largest activations of, and that in words.

        Weights that all steps of a cell read are to stay there, too. A call that can't be merged,
        such as a recurrent layer, keeps more than what it gives. A GPU is fastest with large steps.
        """
        if self._calling < _LITTLE:
            return ALONE, "nearly all of a step is computing"
        if not self.on_cpu:
            return Setting(most, self.layout, self._widens()), f"the device has room for {most}"
        largest, alone = self._largest
        weights = max(map(recurrent_weights, self._kinds), default=0)
        needed = max(1, largest * (_KEPT if alone else 1) + weights)
        size = max(1, min(most, cache_bytes() // needed))
        if self._has_no_room(largest):
            size = 1  # Nothing is gained by two of which most is done one by one.
        why = MOSTLY_ALONE if alone and size == 1 else f"the cache has room for {size}"
        return Setting(size, self.layout if size > 1 else ALONE.layout, self._widens()), why

    def _has_no_room(self, largest: int) -> bool:
        """Whether most of what two members do would not be done together, for want of room.

        Values of networks for images become smaller from layer to layer, and grouped convolutions
        are faster by themselves: of these only the largest values count.
        """
        room = room_for_steps(self.device, self.options.exact)
        if room is None:
            return False
        few = not self._images and share_in_pairs(self._kinds, room) < _MANY
        return few or largest > room

    @cached_property
    def _images(self) -> bool:
        calls = (call for program in self._kinds for call in program.calls)
        return any(call.name in ("conv2d", "conv_transpose2d") for call in calls)

    @cached_property
    def layout(self) -> Layout:
        """The layout that is mostly faster for members that are merged.

        In full precision convolutions in groups are slower by pixel on GPUs.
        """
        by_pixel = self.on_cpu or self.members[0].recipe.precision != "float32"
        chosen = self._images and by_pixel and not self.options.exact
        return "channels_last" if chosen else self.options.layout

    def _widens(self) -> bool:
        if not self._differ or self.options.widen is not None:
            return self._differ and bool(self.options.widen)
        return seems_to_pay(self.programs, self._wide)

    def gains(self, setting: Setting, timed: bool) -> bool:
        """Whether members probably gain by one loop that runs them so.

        Also one by one, if it is repeated without autograd, and one fused optimiser steps.

        Args:
            setting: how they would run.
            timed: whether it was the fastest, and not only what rules suggest.
        """
        mergeable = bool(self.programs) and not (self._largest[1] and self.on_cpu)
        repeated = self._repeats and all(self.traced) and not self.options.exact
        if (mergeable or timed) and setting.size > 1:
            return True
        if mergeable and repeated:
            calls = sum(len(program.calls) for program in self.programs)
            training = sum(self.work) * steps_of(self.members[0])
            return self._images or training >= _RECORDING * calls  # Kernels for images gain, too.
        return gains_unmerged(self.members)

    def gain(self, setting: Setting) -> float:
        """How many times as fast as one by one members are merged, as far as rules tell."""
        done = deeds(self._wide) if setting.widen else self._deeds
        likely = likeness(done) if self.options.fuse else 1.0
        together = max(1.0, min(likely, setting.size))
        return 1 / (1 - self._calling + self._calling / together)

    def surely_gains(self, setting: Setting) -> bool:
        """Whether rules leave no doubt that such clusters are faster than one by one.

        With ``exact``, too, which keeps two thirds of what merging saves. Zeros are in doubt.
        """
        return self.on_cpu and self.gain(replace(setting, widen=False)) >= _SURE

    @property
    def to_save(self) -> float:
        """How many steps of one member merging may save, at most."""
        steps = steps_of(self.members[0]) / (1 if self.on_cpu else _REPLAYED)
        return self._calling * steps * len(self.members)

    @cached_property
    def key(self) -> str:
        """What batches of members have in common that behave alike."""
        programs = self.programs
        work = sum(training_memory(p) for p in programs) // max(1, len(programs))
        largest, _ = self._largest
        calls = sum(len(p.calls) for p in programs) // max(1, len(programs))
        like = int(likeness(self._deeds))
        sizes = [value.bit_length() for value in (work, largest, calls, like, len(self.members))]
        names = sorted(set().union(*map(_layers, self._kinds)))
        device, threads = self.device.type, torch.get_num_threads()
        # Other code, and in no other layout.
        options = self.options
        ways = (options.exact, self._differ, options.widen, *options.left_out)
        versions = torch.__version__, version("nas-engine-cgo")
        return repr((*versions, device, threads, ways, names, sizes))


def _layers(program: Program) -> set[str]:
    """The functions that take parameters."""
    parameters = {n for n, source in program.sources.items() if source.kind == "parameter"}
    return {call.name for call in program.calls if not parameters.isdisjoint(call.inputs)}
