"""Optuna's pruners by name, for configuration files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

from nas_core.errors import nearest
from nas_core.failure import Failed, attempt, failure_text

from nas_search.errors import PlacedError, unknown_option
from nas_search.strategies.optuna import quiet_optuna

if TYPE_CHECKING:
    import optuna

__all__ = ["PrunerError", "described", "make_pruner", "pruner_names"]

PRUNERS: Mapping[str, str] = {
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "successive_halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "threshold": "ThresholdPruner",
    "patient": "PatientPruner",
    "wilcoxon": "WilcoxonPruner",
}


class PrunerError(PlacedError):
    """There is no such pruner, or it can't be used as asked."""


def pruner_names() -> tuple[str, ...]:
    """Give the names that ``make_pruner`` knows.

    >>> pruner_names()[:4]
    ('median', 'percentile', 'successive_halving', 'hyperband')
    """
    return tuple(PRUNERS)


def make_pruner(name: str, options: Mapping[str, Any] | None = None) -> optuna.pruners.BasePruner:
    """Make a pruner of ``optuna.pruners`` by its name, with the options of its constructor.

    The pruner that ``patient`` wraps is given by its name, too.

    >>> described(make_pruner("median", {"n_warmup_steps": 2}))
    'MedianPruner(n_startup_trials=5, n_warmup_steps=2, interval_steps=1, n_min_trials=1)'
    >>> make_pruner("medain")
    Traceback (most recent call last):
    nas_search.pruning.registry.PrunerError: no pruner 'medain' (there are: median, percentile, \
successive_halving, hyperband, threshold, patient, wilcoxon); did you mean 'median'?

    Raises:
        PrunerError: the name, an option or its value is not accepted.
        MissingExtraError: Optuna is not installed.
    """
    if name not in PRUNERS:
        raise PrunerError(
            f"no pruner {name!r} (there are: {', '.join(PRUNERS)}){nearest(name, PRUNERS)}"
        )
    options = dict(options or {})
    with quiet_optuna("pruning") as module:
        kind = getattr(module.pruners, PRUNERS[name])
        known = list(inspect.signature(kind).parameters)
        for option in options:
            if option not in known:
                raise PrunerError(unknown_option(f"pruner {name!r}", option, known))
        if name == "patient":
            wrapped = options.get("wrapped_pruner")
            options["wrapped_pruner"] = make_pruner(wrapped) if wrapped is not None else None
        with catch_warnings(action="ignore"):  # that some of them are experimental
            made = attempt(partial(kind, **options))
    if isinstance(made, Failed):
        raise PrunerError(
            f"pruner {name!r} does not take {options}: {failure_text(made.error)}"
        ) from made.error
    pruner: optuna.pruners.BasePruner = made
    return pruner


def described(pruner: object) -> str:
    """Say in words what a pruner is, equally for equal ones.

    Optuna's keep their options in attributes of the same names with an underscore before them.
    """
    kind = type(pruner)
    options = [
        f"{name}={described(value) if hasattr(value, 'prune') else repr(value)}"
        for name in inspect.signature(kind).parameters
        if (value := getattr(pruner, f"_{name}", getattr(pruner, name, _UNKNOWN))) is not _UNKNOWN
    ]
    return f"{kind.__name__}({', '.join(options)})"


_UNKNOWN = object()
