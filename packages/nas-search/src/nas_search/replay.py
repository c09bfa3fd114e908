"""A resumed strategy, and one that runs in several places, proposes the same again."""

from __future__ import annotations

from nas_core import Candidate
from nas_core.errors import NasError

from nas_search.store import Trial

__all__ = ["ReplayError", "require_same"]


class ReplayError(NasError, RuntimeError):
    """A strategy proposes other architectures than those that are stored."""


def require_same(candidate: Candidate, trial: Trial | None) -> None:
    """Refuse a trial that is stored with another architecture than the one proposed now.

    Raises:
        ReplayError: it is.
    """
    if trial is None or trial.architecture == candidate.architecture:
        return
    raise ReplayError(
        f"trial {trial.number} is stored with {trial.architecture.to_json()}, but the strategy "
        f"now proposes {candidate.architecture.to_json()}: has it been changed, or does it "
        "draw random numbers from elsewhere than its own seeded generator? "
        "Resume with the original one, or start under another name"
    )
