"""Explore model spaces: the experiment loop, strategies, the trial store, executors, evaluators.

Importing this package does not import torch: what needs it is loaded at its first use.
``experiment.py`` shows the loop.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_search.config import ConfigError as ConfigError
    from nas_search.config import ExperimentConfig as ExperimentConfig
    from nas_search.config import StrategyConfig as StrategyConfig
    from nas_search.experiment import Experiment as Experiment
    from nas_search.experiment import ReplayError as ReplayError
    from nas_search.running import TooManyFailuresError as TooManyFailuresError
    from nas_search.store import Report as Report
    from nas_search.store import StoreError as StoreError
    from nas_search.store import Trial as Trial
    from nas_search.store import TrialStore as TrialStore
    from nas_search.target import TargetError as TargetError
    from nas_search.target import load_target as load_target
    from nas_search.target import made as made

__version__ = "0.1.0"

_HOMES = {
    "ConfigError": "config",
    "Experiment": "experiment",
    "ExperimentConfig": "config",
    "ReplayError": "experiment",
    "Report": "store",
    "StoreError": "store",
    "StrategyConfig": "config",
    "TargetError": "target",
    "TooManyFailuresError": "running",
    "Trial": "store",
    "TrialStore": "store",
    "load_target": "target",
    "made": "target",
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604  # all are strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"nas_search.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
