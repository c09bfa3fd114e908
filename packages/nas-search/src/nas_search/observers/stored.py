"""What an observer that mirrors an experiment has to make up for when it begins.

A search that was killed may have stored the end of a trial without telling anybody.
"""

from __future__ import annotations

from pathlib import Path

from nas_search.store import Trial

__all__ = ["ended_trials"]


def ended_trials(home: Path) -> dict[int, Trial]:
    """Number → trial, for all in the folder of an experiment that have ended."""
    from nas_search.experiment import Experiment  # It makes observers.

    trials = Experiment.open(home).trials
    return {trial.number: trial for trial in trials if trial.state != "running"}
