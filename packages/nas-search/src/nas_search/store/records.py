"""What a store holds, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nas_core.architecture import Architecture
from nas_core.protocols import Candidate

__all__ = ["Event", "Report", "State", "Trial"]

State = Literal["running", "completed", "failed", "pruned"]


@dataclass(frozen=True)
class Report:
    """Intermediate metrics of a trial."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Event:
    """Something that happened to a trial: it reported at a ``step``, or it ended, without one."""

    number: int
    step: int | None
    metrics: Mapping[str, float]
    state: State


@dataclass(frozen=True)
class Trial:
    """The stored record of one candidate.

    Attributes:
        number: counts the architectures of the experiment from 0.
        architecture: what was tried.
        digest: that of the architecture.
        seed: the seed of everything random in the trial.
        state: ``"running"``, ``"completed"``, ``"failed"`` or ``"pruned"``.
        metrics: metric → value if it completed.
        error: one line that says what went wrong if it failed.
        details: the traceback or the end of the worker's output.
        seconds: how long it took, if it has ended.
        created: when it was first started, in seconds since 1970.
        started: when it was last started.
        finished: when it ended.
        reports: intermediate metrics, in the order of their steps.
        session: the run that works or has worked on it; empty if that one is dead.
        weights: the SHA-256 of its file of weights, if it has any.
        pruned: at which step, and why, if it was pruned.
    """

    number: int
    architecture: Architecture
    digest: str
    seed: int
    state: State
    metrics: Mapping[str, float] | None = None
    error: str | None = None
    details: str | None = None
    seconds: float | None = None
    created: float = 0.0
    started: float = 0.0
    finished: float | None = None
    reports: tuple[Report, ...] = field(default=(), compare=False)
    session: str = field(default="", compare=False)
    weights: str | None = None
    pruned: str | None = None

    @property
    def candidate(self) -> Candidate:
        """What an engine needs of it."""
        return Candidate(self.number, self.architecture, self.seed)

    @property
    def intermediate(self) -> Mapping[str, float]:
        """The metrics that it reported last: all that is known of one that was pruned."""
        return self.reports[-1].metrics if self.reports else {}
