"""The Optuna adapter: encoding, duplicates, quietness, and what happens without Optuna."""

import builtins
import itertools
import json
import logging
import pickle
from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from nas_core import Architecture, Space
from nas_core.architecture import Value
from nas_core.choice import Choice, OneOf, Place, Subset
from nas_core.nn import ValueChoice
from nas_search.strategies import (
    MissingExtraError,
    OptunaStrategy,
    Outcome,
    RegularizedEvolution,
    StrategyError,
    nsga2,
    tpe,
)
from nas_search.strategies.encoding import parameters, suggest


class Fixed:
    """A trial that answers from a dictionary, and checks the answer."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:
        self.asked.append(name)
        assert self.answers[name] in choices
        return self.answers[name]


def choice_of(domain: OneOf | Subset) -> Choice:
    return Choice("InputChoice", domain, "label", Place("net.py", 1), None)


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (OneOf([1, 1.0, True, "1", None, (1, 2)]), [1, 1.0, True, "1", None, [1, 2]]),
        (Subset(4, 2), list(Subset(4, 2).options())),
        (Subset(3, None), list(Subset(3, None).options())),
        (Subset(12, 5), list(itertools.islice(Subset(12, 5).options(), 0, None, 37))),
        (Subset(12, None), list(itertools.islice(Subset(12, None).options(), 0, None, 211))),
    ],
    ids=["values", "pairs", "any of 3", "5 of 12", "any of 12"],
)
def test_every_value_survives_its_encoding(domain: OneOf | Subset, values: list[Value]) -> None:
    choice = choice_of(domain)
    for value in values:
        encoded = parameters(choice, value)
        trial = Fixed(encoded)
        decided = suggest(trial, choice)
        assert decided == value
        assert type(decided) is type(value)
        assert trial.asked == list(encoded)


def test_large_subsets_do_not_become_one_huge_parameter() -> None:
    assert len(parameters(choice_of(Subset(30, None)), [0, 29])) == 30
    assert list(parameters(choice_of(Subset(30, 3)), [0, 5, 29])) == [
        "label[0]",
        "label[1]",
        "label[2]",
    ]


@pytest.mark.parametrize("n_chosen", [5, None])
def test_a_sampler_decides_large_subsets(n_chosen: int | None) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    choice = choice_of(Subset(12, n_chosen))
    for _ in range(50):
        assert choice.domain.contains(suggest(study.ask(), choice))


def genes() -> Space:
    return Space.of([ValueChoice(list(range(5)), label=f"gene{i}") for i in range(6)])


def best_of(strategy: OptunaStrategy, trials: int) -> float:
    strategy.start(genes(), ["maximize"])
    values = []
    for _ in range(trials):
        (architecture,) = strategy.propose(1)
        values.append(float(sum(architecture.values())))
        strategy.tell(architecture, Outcome("completed", {}, (values[-1],)))
    return max(values)


def test_tpe_learns_from_what_it_is_told() -> None:
    assert best_of(tpe(seed=1), 60) >= 22
    assert (
        best_of(OptunaStrategy(lambda seed: optuna.samplers.RandomSampler(seed=seed), seed=1), 60)
        < 22
    )


def test_the_sampler_sees_inactive_choices_as_absent() -> None:
    deep = ValueChoice([1, 2], label="depth") > 1
    space = Space.of([ValueChoice.condition(deep, ValueChoice([3, 5], label="kernel"), 0)])
    strategy = OptunaStrategy(lambda seed: optuna.samplers.RandomSampler(seed=seed))
    strategy.start(space, ["maximize"])
    found = strategy.propose(3)
    asked = {
        frozenset(trial.params) for trial in strategy._study.trials if trial.state.name == "RUNNING"
    }
    assert asked == {frozenset({"depth"}), frozenset({"depth", "kernel"})}
    assert {tuple(a.items()) for a in found} == {tuple(a.items()) for a in space.enumerate()}


def test_two_objectives_reach_the_sampler() -> None:
    strategy = nsga2(seed=0, population_size=4)
    strategy.start(genes(), ["maximize", "minimize"])
    for _ in range(10):
        (architecture,) = strategy.propose(1)
        strategy.tell(architecture, Outcome("completed", {}, (1.0, 2.0)))
    told = [trial.values for trial in strategy._study.trials if trial.state.name == "COMPLETE"]
    assert told == [[1.0, 2.0]] * 10
    assert [d.name for d in strategy._study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_a_duplicate_is_told_with_the_values_that_are_known() -> None:
    strategy = tpe(seed=0)
    strategy.start(genes(), ["maximize"])
    (first,) = strategy.propose(1)
    strategy.tell(first, Outcome("duplicate", {"value": 4.0}, (4.0,)))
    (trial,) = strategy._study.trials
    assert trial.values == [4.0]
    strategy.tell(Architecture({"never": "asked"}), Outcome("completed", {}, (1.0,)))
    assert len(strategy._study.trials) == 1


def test_nothing_is_logged_and_the_verbosity_is_put_back(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.DEBUG):
            strategy = tpe(seed=0)
            strategy.start(genes(), ["maximize"])
            strategy.tell(strategy.propose(1)[0], Outcome("failed"))
    finally:
        optuna.logging.disable_propagation()
    assert caplog.records == []
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


def test_without_optuna_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_optuna(name: str, *args: Any, **options: Any) -> Any:
        if name == "optuna":
            raise ImportError("No module named 'optuna'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", no_optuna)
    with pytest.raises(MissingExtraError) as caught:
        tpe()
    assert str(caught.value) == (
        "the strategy needs the optional dependency 'optuna': pip install 'nas-search[optuna]'"
    )
    assert isinstance(caught.value, ImportError)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (str(copied), copied.command) == (str(caught.value), "pip install 'nas-search[optuna]'")


@pytest.mark.parametrize("make", [tpe, nsga2])
def test_a_misspelt_option_gets_the_nearest_match(make: Any) -> None:
    option = {"n_startup_trial": 3} if make is tpe else {"populationsize": 3}
    with pytest.raises(StrategyError, match=r"did you mean '(n_startup_trials|population_size)'"):
        make(**option)


@pytest.mark.parametrize(
    ("make", "option"), [(tpe, {"n_startup_trials": "ten"}), (nsga2, {"population_size": "ten"})]
)
def test_an_option_of_the_wrong_type_is_refused_before_the_search(make: Any, option: Any) -> None:
    (name,) = option
    with pytest.raises(StrategyError, match=f"'(tpe|nsga2)' does not take .*'{name}'"):
        make(**option)


def test_a_strategy_can_be_pickled_before_it_starts() -> None:
    strategy = pickle.loads(pickle.dumps(tpe(seed=2, n_startup_trials=3)))
    assert (
        repr(strategy)
        == "OptunaStrategy(TPESampler(constant_liar=True, n_startup_trials=3), seed=2)"
    )


@pytest.mark.parametrize("make", [tpe, nsga2])
@pytest.mark.parametrize("objectives", [1, 2])
def test_a_pruned_trial_is_told_as_pruned_with_its_reports(make: Any, objectives: int) -> None:
    strategy = make(seed=1)
    space = Space.of([ValueChoice(list(range(100)), label="x")])
    strategy.start(space, ["maximize", "minimize"][:objectives])
    for number in range(30):
        (architecture,) = strategy.propose(1)
        values = (float(architecture["x"]), 1.0)[:objectives]
        reports = {1: tuple(v / 2 for v in values), 3: values}
        pruned = Outcome("pruned", {}, reports=reports)
        strategy.tell(architecture, pruned if number % 2 else Outcome("completed", {}, values))
    repeated = optuna.trial.TrialState.FAIL
    told = [trial for trial in strategy._study.trials if trial.state != repeated]
    for number, trial in enumerate(told):
        kept = [values[0] for _, values in sorted(reports_of(trial, objectives))]
        assert trial.state.name == ("PRUNED" if number % 2 else "COMPLETE")
        assert list(trial.intermediate_values.values()) == (kept if number % 2 else [])


def reports_of(trial: Any, objectives: int) -> list[tuple[int, tuple[float, ...]]]:
    x = json.loads(trial.params["x"])
    return [(1, (x / 2,)), (3, (float(x),))] if objectives == 1 else []


def test_evolution_breeds_only_what_completed() -> None:
    strategy = RegularizedEvolution(population_size=4, sample_size=2, seed=1)
    strategy.start(Space.of([ValueChoice(list(range(100)), label="x")]), ["maximize"])
    completed = set()
    for number in range(40):
        (architecture,) = strategy.propose(1)
        if number % 3:
            strategy.tell(architecture, Outcome("pruned", {}, reports={1: (1e9,)}))
        else:
            completed.add(architecture)
            strategy.tell(architecture, Outcome("completed", {}, (1.0,)))
        assert {individual.architecture for individual in strategy._population} <= completed


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.TPESampler()])
def test_a_sampler_is_no_function_that_makes_one(sampler: Any) -> None:
    with pytest.raises(StrategyError, match=r"such as lambda seed: TPESampler\(seed=seed\), not"):
        OptunaStrategy(sampler)
