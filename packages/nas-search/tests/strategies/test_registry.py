"""Strategies by name."""

from typing import Any

import pytest
from nas_core import NasError
from nas_search.strategies import (
    GridSearch,
    OptunaStrategy,
    RandomSearch,
    RegularizedEvolution,
    StrategyError,
    make_strategy,
    strategy_names,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("random", RandomSearch),
        ("grid", GridSearch),
        ("regularized_evolution", RegularizedEvolution),
        ("tpe", OptunaStrategy),
        ("nsga2", OptunaStrategy),
    ],
)
def test_each_name_makes_its_strategy(name: str, kind: type) -> None:
    strategy = make_strategy(name, seed=5)
    assert isinstance(strategy, kind)
    assert getattr(strategy, "seed", 5) == 5


def test_these_are_all_names() -> None:
    assert strategy_names() == ("random", "grid", "regularized_evolution", "tpe", "nsga2")


def test_options_reach_the_constructor_and_may_name_the_seed() -> None:
    strategy = make_strategy("regularized_evolution", {"population_size": 7, "seed": 9}, seed=5)
    assert isinstance(strategy, RegularizedEvolution)
    assert (strategy.population_size, strategy.seed) == (7, 9)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "evolution",
            {},
            "no strategy 'evolution' (there are: random, grid, regularized_evolution, tpe, nsga2)",
        ),
        ("gird", {}, "; did you mean 'grid'?"),
        (
            "random",
            {"sead": 1},
            "strategy 'random' has no option 'sead' (it has: seed); did you mean 'seed'?",
        ),
        ("grid", {"seed": 1}, "strategy 'grid' has no option 'seed' (it has: none)"),
        (
            "regularized_evolution",
            {"populaton_size": 3},
            "crossover_probability, seed); did you mean 'population_size'?",
        ),
        ("tpe", {"n_ei": 3}, "strategy 'tpe' has no option 'n_ei'"),
        ("tpe", {"seed": "x"}, "tpe: seed must be a whole number, not 'x'"),
        ("random", {"seed": 1.0}, "random: seed must be a whole number, not 1.0"),
        (
            "nsga2",
            {"population_size": -1},
            "strategy 'nsga2' does not take {'population_size': -1}: ValueError: ",
        ),
        (
            "regularized_evolution",
            {"sample_size": "5"},
            "sample_size must be a whole number >= 1, not '5'",
        ),
    ],
)
def test_what_is_not_accepted_is_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(StrategyError) as caught:
        make_strategy(name, options)
    assert message in str(caught.value)
    assert isinstance(caught.value, NasError)
