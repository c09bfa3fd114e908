"""What batches that were timed have found of settings: no single one of them decides for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

from nas_engine_cgo.cost.trials import ALONE, Setting

__all__ = ["Findings"]

_ENOUGH = 3
"""Batches that time what is fastest: of three one may have met a machine that was busy."""


@dataclass(frozen=True)
class Findings:
    """What settings take, in shares of what members take one by one.

    Attributes:
        shares: what each batch has found that timed a setting, the first one first.
    """

    shares: Mapping[Setting, tuple[float, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.shares)

    @property
    def are_sure(self) -> bool:
        """Whether what seems fastest was timed often enough."""
        return bool(self) and len(self.shares[self.best()]) >= _ENOUGH

    def best(self) -> Setting:
        """What seems fastest: by the median, and of two times by the shorter one."""
        return min(self.shares, key=self.share)

    def share(self, setting: Setting) -> float:
        """What a setting takes."""
        return median_low(self.shares[setting])

    def joined(self, tried: Mapping[Setting, float]) -> Findings:
        """With what another batch has found, in seconds.

        >>> merged = Setting(8, "contiguous")
        >>> found = Findings().joined({ALONE: 1.0, merged: 1.5})  # something else was running
        >>> for _ in range(2):
        ...     found = found.joined({ALONE: 1.0, merged: 0.5})
        >>> str(found.best()), found.share(merged), found.are_sure
        ('clusters of 8, contiguous', 0.5, True)
        """
        new = {
            setting: (*self.shares.get(setting, ()), seconds / tried[ALONE])
            for setting, seconds in tried.items()
        }
        return Findings({**self.shares, **new})

    def written(self) -> list[Any]:
        """As JSON."""
        return [[s.size, s.layout, s.widen, *shares] for s, shares in self.shares.items()]

    @staticmethod
    def read(found: Any) -> Findings:
        """What was written; nothing, if the file was changed by somebody else."""
        shares = {}
        for entry in found if isinstance(found, list) else ():
            match entry:
                case [
                    int(size),
                    ("contiguous" | "channels_last") as layout,
                    bool(widen),
                    float(first),
                    *others,
                ] if size > 0 and all(isinstance(share, float) for share in others):
                    shares[Setting(size, layout, widen)] = (first, *others)
                case _:
                    return Findings()
        return Findings(shares)
