"""Strategies propose architectures and are told what became of them.

A strategy never sees models, engines or processes: it is given a space and directions, proposes
points of that space and is told outcomes. That is why the same strategy serves every engine and
every executor.
"""

from nas_search.errors import MissingExtraError
from nas_search.strategies.evolution import RegularizedEvolution
from nas_search.strategies.grid import GridSearch
from nas_search.strategies.optuna import OptunaStrategy, nsga2, tpe
from nas_search.strategies.protocol import (
    Outcome,
    Strategy,
    StrategyError,
)
from nas_search.strategies.random import RandomSearch
from nas_search.strategies.registry import make_strategy, strategy_names

__all__ = [
    "GridSearch",
    "MissingExtraError",
    "OptunaStrategy",
    "Outcome",
    "RandomSearch",
    "RegularizedEvolution",
    "Strategy",
    "StrategyError",
    "make_strategy",
    "nsga2",
    "strategy_names",
    "tpe",
]
