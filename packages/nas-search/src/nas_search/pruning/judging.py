"""By what the trials of an experiment are judged: a pruner, one metric, and its direction."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped]
from nas_core.errors import nearest
from nas_core.failure import Failed, attempt, failure_text
from nas_core.protocols import Direction

from nas_search.pruning.registry import PrunerError, described, make_pruner
from nas_search.strategies.optuna import quiet_optuna

if TYPE_CHECKING:
    import optuna

__all__ = ["Judging", "judging_of"]

DIRECTIONS = ("maximize", "minimize")


@dataclass(frozen=True)
class Judging:
    """What a worker has to know to prune.

    Attributes:
        pruner: pickled as it was given: each process replays the history from there.
        metric: what it looks at in the reports.
        direction: of that metric.
        words: the pruner, for people.
    """

    pruner: bytes
    metric: str
    direction: Direction
    words: str

    @property
    def name(self) -> str:
        """That of the pruner's class."""
        return self.words.partition("(")[0]

    def load(self) -> optuna.pruners.BasePruner:
        """The pruner as it was given."""
        pruner: optuna.pruners.BasePruner = pickle.loads(self.pruner)  # noqa: S301  # our own
        return pruner

    def __str__(self) -> str:
        return f"{self.words} by {self.metric} ({self.direction})"


def judging_of(
    pruner: str | object | None,
    options: Mapping[str, Any],
    objectives: Mapping[str, Direction],
) -> Judging | None:
    """Make ready what a configuration says, or a pruner that was given; None for no pruning.

    Args:
        pruner: the name of one of Optuna's, or a pruner.
        options: ``metric`` and ``direction``, and for a name the options of the constructor.
        objectives: metric → direction. Of a single one the pruner judges unless told otherwise.

    >>> print(judging_of("median", {}, {"accuracy": "maximize"}))
    MedianPruner(n_startup_trials=5, n_warmup_steps=0, interval_steps=1, n_min_trials=1) by \
accuracy (maximize)

    Raises:
        PrunerError: something in it is not accepted.
        MissingExtraError: Optuna is not installed.
    """
    own = {key: value for key, value in options.items() if key not in ("metric", "direction")}
    if pruner is None:
        if options:
            raise PrunerError(f"pruner_options has {next(iter(options))!r}, but there is no pruner")
        return None
    if isinstance(pruner, str):
        pruner = make_pruner(pruner, own)
    elif own:
        option = next(iter(own))
        raise PrunerError(
            f"pruner_options has {option!r}, but the pruner was given as it is: only 'metric' and "
            f"'direction' can be set{nearest(option, ['metric', 'direction'])}"
        )
    with quiet_optuna("pruning") as module:
        if not isinstance(pruner, module.pruners.BasePruner):
            raise PrunerError(
                "the pruner must be the name of one, or an object of a class of optuna.pruners, "
                f"not {pruner!r}"
            )
    metric, direction = _metric(options, objectives)
    return Judging(_pickled(pruner), metric, direction, described(pruner))


def _metric(
    options: Mapping[str, Any], objectives: Mapping[str, Direction]
) -> tuple[str, Direction]:
    if "metric" not in options and len(objectives) > 1:
        raise PrunerError(
            f"there are {len(objectives)} objectives ({', '.join(objectives)}), and a pruner looks "
            "at one number: say at which, as metric in pruner_options. What is good by the others "
            "alone is then pruned, too"
        )
    metric = options.get("metric", next(iter(objectives)))
    direction = options.get("direction", objectives.get(metric))
    if direction is None:
        raise PrunerError(
            f"the pruner's metric {metric!r} is no objective ({', '.join(objectives)})"
            f"{nearest(str(metric), objectives)}; to judge by it all the same, say its direction "
            "in pruner_options: 'maximize' or 'minimize'"
        )
    if direction not in DIRECTIONS:
        raise PrunerError(
            f"the pruner's direction must be 'maximize' or 'minimize', not {direction!r}"
            f"{nearest(str(direction), DIRECTIONS)}"
        )
    return metric, direction


def _pickled(pruner: object) -> bytes:
    made = attempt(partial(cloudpickle.dumps, pruner, protocol=pickle.HIGHEST_PROTOCOL))
    if isinstance(made, Failed):
        raise PrunerError(
            f"the pruner can't be sent to worker processes: {failure_text(made.error)}"
        ) from made.error
    pickled: bytes = made
    return pickled
