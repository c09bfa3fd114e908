"""What is wrong with a recipe whatever the candidate is said once, before the first trial."""

from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core import Space
from nas_core.protocols import CheckedEvaluator
from nas_core.testing import CountParameters
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import SupervisedEvaluator
from nas_search.strategies import RandomSearch
from torch.utils.data import TensorDataset

X, Y = torch.randn(20, 4), torch.arange(20) % 2


class Endless(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Any:
        while True:
            yield X[0], Y[0]


def problems(**options: Any) -> list[str]:
    recipe = SupervisedEvaluator(**{"train": (X, Y), "device": "cpu", **options})
    return [str(problem) for problem in recipe.problems(Space.of(recipe), [*recipe.objectives])]


WRONG = [
    ({"optimizer": "SDG"}, "no optimizer 'SDG'; did you mean 'SGD'?"),
    (
        {"optimizer_options": {"momentun": 0.9}},
        (
            "optimizer SGD has no option 'momentun' (it has: lr, momentum, dampening, "
            "weight_decay, nesterov, maximize, foreach, differentiable, fused); "
            "did you mean 'momentum'?"
        ),
    ),
    (
        {"optimizer_options": {"lr": -1.0}},
        "optimizer SGD does not take lr=-1.0: Invalid learning rate: -1.0",
    ),
    (
        {"optimizer_options": {"lr": "fast"}},
        (
            "optimizer SGD does not take lr='fast': "
            "'<' not supported between instances of 'str' and 'float'"
        ),
    ),
    (
        {"metrics": ["f1"]},
        "no metric 'f1' (there are: accuracy, loss, parameters, flops, and any function)",
    ),
    (
        {"metrics": "accuracy"},
        "metrics are several names or functions, as in ('accuracy',), no text",
    ),
    ({"loss": "cross_entropi"}, "no loss 'cross_entropi'; did you mean 'cross_entropy'?"),
    ({"metrics": ["acuracy", "accuracy"]}, "no metric 'acuracy'; did you mean 'accuracy'?"),
    ({"schedule": "StepRL"}, "no schedule 'StepRL'; did you mean 'StepLR'?"),
    (
        {"optimizer": "LBFGS", "schedule": "StepLR", "schedule_options": {"step_size": 1}},
        "LBFGS computes the loss several times in a step, which is not done here",
    ),
    (
        {"schedule": "ReduceLROnPlateau", "schedule_every": "step"},
        (
            "ReduceLROnPlateau follows a metric, which there is after each epoch: "
            "schedule_every must be 'epoch'"
        ),
    ),
    ({"batch_size": 0}, "batch_size must be a whole number >= 1, not 0"),
    ({"epochs": -1}, "epochs must be a whole number >= 0, not -1"),
    ({"steps": 0}, "steps must be a whole number >= 1, or None, not 0"),
    ({"clip_norm": 0}, "clip_norm must be a number > 0, or None, not 0"),
    ({"threads": "2"}, "threads must be a whole number >= 1, or None, not '2'"),
    ({"schedule_every": "batch"}, "schedule_every must be 'epoch' or 'step', not 'batch'"),
    (
        {"precision": "float61"},
        "precision must be one of float32, bfloat16, float16, not 'float61'",
    ),
    (
        {"objectives": {"acuracy": "maximize"}},
        (
            "objective 'acuracy' is not among the metrics (accuracy, loss, train_loss); "
            "did you mean 'accuracy'?"
        ),
    ),
    (
        {"objectives": {"flops": "minimize"}},
        (
            "objective 'flops' is not among the metrics (accuracy, loss, train_loss); "
            "'flops' is one if named in them"
        ),
    ),
    (
        {"objectives": {"train_loss": "minimize"}, "epochs": 0},
        "objective 'train_loss' is not among the metrics (accuracy, loss)",
    ),
    ({"train": (X, Y[:3])}, "inputs and target must be equally long, not [20, 3]"),
    ({"train": (X[:0], Y[:0])}, "there is no data: the length is 0"),
    ({"train": TensorDataset(X[:0], Y[:0])}, "there is no data: the length is 0"),
    (
        {"train": X},
        (
            "data must be a tuple of tensors, a Dataset or a function that makes a DataLoader, "
            "not Tensor"
        ),
    ),
    (
        {"train": Endless(), "validation": (X, Y)},
        "Endless has no length: give a function that makes its DataLoader",
    ),
    (
        {"validation": 1.5},
        "validation must be data, or a share of the training data between 0 and 1, not 1.5",
    ),
    (
        {"train": lambda: [(X, Y)]},
        "only tensors and a Dataset with a length can be divided: give validation its own data",
    ),
    (
        {"optimizer": nn.ValueChoice(["SGD", "Adamm"], label="opt")},
        "no optimizer 'Adamm'; did you mean 'Adam'? (with opt = 'Adamm')",
    ),
    (
        {"optimizer_options": {"lr": nn.ValueChoice([0.1, -0.1], label="lr")}},
        "optimizer SGD does not take lr=-0.1: Invalid learning rate: -0.1 (with lr = -0.1)",
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[next(reversed(o)) for o, _ in WRONG])
def test_each_mistake_is_one_problem_and_fails_in_training_too(
    options: dict[str, Any], message: str
) -> None:
    assert message in problems(**options)
    assert len(problems(**options)) == 1
    recipe = SupervisedEvaluator(**{"train": (X, Y), "device": "cpu", **options})
    if wrong := list(Space.of(recipe).enumerate())[1:]:
        recipe = nas.resolve(recipe, wrong[0])
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        recipe.evaluate(torch.nn.Linear(4, 2), seed=0, report=lambda step, metrics: None)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"epochs": 0},
        {"optimizer": lambda parameters: None, "schedule": lambda optimizer: None},
        {"optimizer": "Muon"},
        {"schedule": "OneCycleLR", "schedule_options": {"max_lr": 0.1}},
        {"schedule": "ReduceLROnPlateau"},
        {"train": lambda: 1 / 0, "validation": (X, Y)},
        {"epochs": nn.ValueChoice([1, 2], label="epochs")},
        {
            "loss": torch.nn.MSELoss,
            "metrics": {"own": lambda a, b: 0.0},
            "objectives": {"own": "minimize"},
        },
    ],
)
def test_what_may_be_right_is_no_problem(options: dict[str, Any]) -> None:
    assert problems(**options) == []


def test_what_a_constraint_forbids_is_no_problem() -> None:
    optimizer = nn.ValueChoice(["SGD", "Adam"], label="optimizer")
    momentum = nn.ValueChoice.condition(optimizer == "SGD", {"momentum": 0.9}, {"momentum": 0.1})
    recipe = SupervisedEvaluator(train=(X, Y), optimizer=optimizer, optimizer_options=momentum)
    space = Space.of(recipe)
    assert len(list(recipe.problems(space, ["accuracy"]))) == 1
    only = space.constrain(lambda arch: arch["optimizer"] == "SGD", labels=["optimizer"])
    assert list(recipe.problems(only, ["accuracy"])) == []


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label="width"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_an_experiment_refuses_before_it_makes_a_trial(tmp_path: Any) -> None:
    told: list[str] = []

    class Observer:
        def nas_experiment_started(self, **_: Any) -> None:
            told.append("started")

    recipe = SupervisedEvaluator(train=(X, Y), optimizer="SDG", epochs=-1)
    config = ExperimentConfig(
        directory=str(tmp_path), executor="inline", objectives={"acuracy": "maximize"}
    )
    experiment = Experiment(Net(), recipe, RandomSearch(seed=0), config, observers=[Observer()])
    with pytest.raises(ValueError, match="the evaluator can't be used") as refused:
        experiment.run()
    assert [str(problem) for problem in refused.value.problems] == [  # type: ignore[attr-defined]
        "epochs must be a whole number >= 0, not -1",
        "no optimizer 'SDG'; did you mean 'SGD'?",
        (
            "objective 'acuracy' is not among the metrics (accuracy, loss, train_loss); "
            "did you mean 'accuracy'?"
        ),
    ]
    assert (experiment.trials, told) == ((), [])


def test_evaluators_need_not_have_the_method() -> None:
    assert not isinstance(CountParameters(), CheckedEvaluator)
    assert isinstance(SupervisedEvaluator(train=(X, Y)), CheckedEvaluator)
