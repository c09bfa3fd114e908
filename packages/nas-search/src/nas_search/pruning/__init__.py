"""Pruning: candidates that compare badly with others at the same step are ended early.

Optuna's pruners decide. The decision is taken where the candidate runs, from the reports in the
trial store, so that it needs no word from elsewhere and no slot waits for it.
"""

from nas_search.pruning.judging import Judging, judging_of
from nas_search.pruning.registry import PrunerError, described, make_pruner, pruner_names
from nas_search.pruning.replay import Replay, replay_of

__all__ = [
    "Judging",
    "PrunerError",
    "Replay",
    "described",
    "judging_of",
    "make_pruner",
    "pruner_names",
    "replay_of",
]
