"""Which settings are timed, as far as what merging may save allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nas_engine_cgo.cost.findings import Findings
from nas_engine_cgo.cost.probe import Probe
from nas_engine_cgo.cost.timing import Timing
from nas_engine_cgo.cost.trials import ALONE, Setting, Trials
from nas_engine_cgo.train.clusters import clusters_of

__all__ = ["explored"]

_DOUBTED = 1 / 8
"""The part of what merging may save that may be taken to time whether it does."""
_SURE = 1 / 16
"""The same where rules leave no doubt that it does, or it was timed before: only how is open."""


def explored(probe: Probe, most: int, guess: Setting, known: Findings) -> Mapping[Setting, float]:
    """Time one by one, what rules suggest, and larger clusters while they are faster.

    What is known to be the fastest comes before all else. Nothing is timed where that tells
    nothing: one by one and one other, where no doubt is left which of these two is faster.

    Args:
        probe: what is known of the members.
        most: how many have room in memory.
        guess: what rules suggest.
        known: what batches like this one have found.
    """
    first = Setting(min(most, max(2, guess.size)), probe.layout, guess.widen)
    timing, sure = Timing(probe), probe.surely_gains(first)
    steps = probe.to_save * (_SURE if sure or known else _DOUBTED)
    trials = Trials(timing.seconds, timing.cost, timing.clock(), steps)
    needed = (ALONE, first, first) if sure else (ALONE, first)
    if most == 1 or not probe.programs or not trials.affords(*needed):
        return {}
    trials.run(ALONE)
    if known and (best := known.best()).size <= most:
        trials.run(best)
    last = _larger(probe, trials, first, most)
    if first.size // 2 > 1 and trials.best().size <= first.size:
        trials.run(replace(last, size=first.size // 2))
    return trials.tried


def _larger(probe: Probe, trials: Trials, setting: Setting, most: int) -> Setting:
    """Time a setting and larger ones, till they have outgrown the cache; gives the last.

    The first is timed in both layouts, and the first whose members differ in width is timed both
    ways: larger ones follow what was faster there.
    """
    changes: list[dict[str, Any]] = []
    if setting.layout != ALONE.layout:
        changes.append({"layout": ALONE.layout})
    undecided = probe.options.widen is None
    for size in sorted({setting.size, min(most, 2 * setting.size), most}):
        setting = replace(setting, size=size)
        if undecided and probe.differ(clusters_of(probe.order, size)[0]):
            changes.append({"widen": not setting.widen})
            undecided = False
        faster = trials.run(setting)
        for change in changes:
            other = replace(setting, **change)
            if trials.run(other):
                faster, setting = True, trials.faster(setting, other)
        changes = []
        # With exact a slower one may have too few members to repay what each costs by itself.
        if not faster and not probe.options.exact:
            break
    return setting
