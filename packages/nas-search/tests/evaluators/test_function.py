"""A user's function as an evaluator."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from nas_core import Space, resolve
from nas_core.nn import ValueChoice
from nas_search.evaluators import FunctionEvaluator

Reports = list[tuple[int, Mapping[str, float]]]


def evaluate(evaluator: FunctionEvaluator, model: torch.nn.Module) -> tuple[Any, Reports]:
    reports: Reports = []
    return evaluator.evaluate(
        model, seed=7, report=lambda step, metrics: reports.append((step, metrics))
    ), reports


def test_a_function_of_the_model_alone() -> None:
    model = torch.nn.Linear(2, 1)
    evaluator = FunctionEvaluator(lambda m: float(m is model))
    assert evaluate(evaluator, model) == (1.0, [])
    assert evaluator.objectives == {"value": "maximize"}


def test_seed_and_report_are_given_where_they_are_asked_for() -> None:
    def measure(
        model: torch.nn.Module, seed: int, *, report: Callable[..., None], scale: float
    ) -> dict[str, float]:
        report(1, {"loss": 0.5})
        return {"loss": seed * scale}

    evaluator = FunctionEvaluator(measure, objectives={"loss": "minimize"}, scale=2.0)
    assert evaluate(evaluator, torch.nn.Identity()) == ({"loss": 14.0}, [(1, {"loss": 0.5})])


def test_options_win_over_what_is_offered() -> None:
    evaluator = FunctionEvaluator(lambda model, seed: seed, seed=1)
    assert evaluate(evaluator, torch.nn.Identity())[0] == 1


def test_a_first_parameter_called_seed_is_the_model() -> None:
    model = torch.nn.Identity()
    assert evaluate(FunctionEvaluator(lambda seed: float(seed is model)), model)[0] == 1.0


def test_partials_and_builtins() -> None:
    assert (
        evaluate(
            FunctionEvaluator(functools.partial(lambda model, a, b: a + b, a=1), b=2),
            torch.nn.Identity(),
        )[0]
        == 3
    )
    assert evaluate(FunctionEvaluator(len), torch.nn.Sequential(torch.nn.Identity()))[0] == 1


def test_options_may_be_choices() -> None:
    lr = ValueChoice([0.1, 0.2], label="lr")
    evaluator = FunctionEvaluator(lambda model, lr, nested: lr + nested[0], lr=lr, nested=[lr * 10])
    assert Space.of(evaluator).options == {"lr": (0.1, 0.2)}
    resolved = resolve(evaluator, {"lr": 0.2})
    assert evaluate(resolved, torch.nn.Identity())[0] == 2.2
    assert evaluator.options["lr"] is lr


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="needs a function of a model, not 3"):
        FunctionEvaluator(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (
            lambda model, lr: 1,
            {},
            "(model, lr) is called with (model): missing a required argument: 'lr'",
        ),
        (lambda: 1, {}, "() is called with (model): too many positional arguments"),
        (
            lambda model, report: 1,
            {"lrr": 1},
            "called with (model, lrr, report): got an unexpected",
        ),
        (lambda model, report, seed, lr=1: 1, {}, None),
        (lambda model, **options: 1, {"lr": 1}, None),
        (functools.partial(lambda model, a: 1, a=1), {}, None),
        (len, {}, None),
        (max, {}, None),  # it has no signature
    ],
)
def test_what_the_function_can_not_be_called_with_is_known_before(
    function: Callable[..., Any], options: dict[str, Any], message: str | None
) -> None:
    evaluator = FunctionEvaluator(function, **options)
    found = [str(problem) for problem in evaluator.problems(Space.of(evaluator), ("value",))]
    assert len(found) == (message is not None)
    assert (message or "") in "".join(found)


def test_a_subclass_calls_its_function_as_it_likes() -> None:
    class Twice(FunctionEvaluator):
        def evaluate(self, model: torch.nn.Module, *, seed: int, report: Any) -> Any:
            return self.fn(model, model)

    evaluator = Twice(lambda a, b: 1)
    assert not list(evaluator.problems(Space.of(evaluator), ("value",)))


def test_repr_names_function_objectives_and_options() -> None:
    assert repr(FunctionEvaluator(len, {"n": "minimize"}, k=1)) == (
        "FunctionEvaluator(len, {'n': 'minimize'}, k=1)"
    )
