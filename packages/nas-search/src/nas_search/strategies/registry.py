"""Strategies by name, for configuration files."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nas_core.errors import nearest

from nas_search.errors import unknown_option
from nas_search.strategies.evolution import RegularizedEvolution
from nas_search.strategies.grid import GridSearch
from nas_search.strategies.optuna import nsga2, tpe
from nas_search.strategies.protocol import (
    Strategy,
    StrategyError,
    require_seed,
)
from nas_search.strategies.random import RandomSearch

STRATEGIES: Mapping[str, Callable[..., Strategy]] = {
    "random": RandomSearch,
    "grid": GridSearch,
    "regularized_evolution": RegularizedEvolution,
    "tpe": tpe,
    "nsga2": nsga2,
}


def strategy_names() -> tuple[str, ...]:
    """Give the names that ``make_strategy`` knows.

    >>> strategy_names()
    ('random', 'grid', 'regularized_evolution', 'tpe', 'nsga2')
    """
    return tuple(STRATEGIES)


def make_strategy(
    name: str, options: Mapping[str, Any] | None = None, *, seed: int = 0
) -> Strategy:
    """Make a strategy by its name, with the options of its constructor.

    ``seed`` is used when the strategy draws random numbers and the options do not name a seed of
    their own.

    >>> make_strategy("regularized_evolution", {"population_size": 10}, seed=7)
    RegularizedEvolution(population_size=10, sample_size=5, crossover_probability=0.0, seed=7)
    >>> make_strategy("randon")
    Traceback (most recent call last):
    nas_search.strategies.protocol.StrategyError: no strategy 'randon' (there are: random, grid, \
regularized_evolution, tpe, nsga2); did you mean 'random'?

    Raises:
        StrategyError: the name, an option or its value is not accepted.
        MissingExtraError: the strategy needs Optuna, which is not installed.
    """
    if name not in STRATEGIES:
        raise StrategyError(
            f"no strategy {name!r} (there are: {', '.join(STRATEGIES)}){nearest(name, STRATEGIES)}"
        )
    factory = STRATEGIES[name]
    parameters = inspect.signature(factory).parameters
    options = dict(options or {})
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for option in options:
        if option not in parameters and not open_ended:
            raise StrategyError(unknown_option(f"strategy {name!r}", option, parameters))
    if "seed" in parameters:
        options.setdefault("seed", seed)
        require_seed(name, options["seed"])
    return factory(**options)
