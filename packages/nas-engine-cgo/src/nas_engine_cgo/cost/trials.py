"""Ways to run members, and what was found of those that were timed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["ALONE", "Layout", "Setting", "Trials"]

_OUTGROWN = 1.05
_LOST = 1.2
"""So much longer than one by one, and merging is given up once it was timed in two ways."""
Layout: TypeAlias = Literal["contiguous", "channels_last"]


@dataclass(frozen=True)
class Setting:
    """A size of clusters, a layout by name, and whether layers that differ in width are widened."""

    size: int
    layout: Layout
    widen: bool = False

    def __str__(self) -> str:
        return f"clusters of {self.size}, {self.layout}{', widened' if self.widen else ''}"


ALONE = Setting(1, "contiguous")
"""Members one by one."""


@dataclass
class Trials:
    """Settings that are timed, one by one first, while that takes no more than it may.

    Attributes:
        time: seconds of a step for each member.
        cost: steps of one member that it probably takes to time a setting.
        clock: by which seconds are told.
        steps: steps of one member that timing may take; all else that it takes counts as well.
        tried: what was found.
    """

    time: Callable[[Setting], float]
    cost: Callable[[Setting], float]
    clock: Callable[[], float]
    steps: float
    tried: dict[Setting, float] = field(default_factory=dict)
    _spent: float = 0.0

    def run(self, setting: Setting) -> bool:
        """Time a setting, once; whether that was done, and it is not slower than others."""
        if setting not in self.tried:
            if not self.affords(setting) or self.is_lost():
                return False
            started = self.clock()
            self.tried[setting] = self.time(setting)
            self._spent += self.clock() - started
        return self.tried[setting] <= _OUTGROWN * min(self.tried.values())

    def affords(self, *settings: Setting) -> bool:
        """Whether these may be timed, too."""
        spent = self._spent / self.tried[ALONE] if self.tried else 0.0
        return spent + sum(map(self.cost, settings)) <= self.steps

    def is_lost(self) -> bool:
        """Whether merging was so much slower in two ways that no other will be faster."""
        merged = [seconds for setting, seconds in self.tried.items() if setting != ALONE]
        return len(merged) > 1 and min(merged) > _LOST * self.tried[ALONE]

    def faster(self, one: Setting, other: Setting) -> Setting:
        """The one of two that took less time, as far as they were timed."""
        return min((one, other), key=lambda each: self.tried.get(each, math.inf))

    def best(self) -> Setting:
        """The fastest."""
        return min(self.tried, key=lambda setting: self.tried[setting])
