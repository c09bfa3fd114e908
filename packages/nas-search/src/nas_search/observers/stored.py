"""What an observer that mirrors an experiment has to make up for when it begins.

A search that was killed may have stored the end of a trial without telling anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nas_search.store import Trial

__all__ = ["ended", "stored_trials"]


def stored_trials(home: Path) -> dict[int, Trial]:
    """Number → trial, for all that the experiment in this folder has."""
    from nas_search.experiment import Experiment  # It makes observers.

    return {trial.number: trial for trial in Experiment.open(home).trials}


def ended(trials: Mapping[int, Trial]) -> list[Trial]:
    """Those that have ended; others run, here or elsewhere, or were left by a process that died."""
    return [trial for trial in trials.values() if trial.state != "running"]
