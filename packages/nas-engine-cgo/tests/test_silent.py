"""What members change besides tensors is found by whoever would find it alone, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from alone import TOLERANCE, Heard, jobs_of
from apart import distance, run
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Make = Callable[[], Any]


def recipe(**more: Any) -> SupervisedEvaluator:
    given = {
        "train": (X, X[:, :3].argmax(1)), "validation": 0.25, "batch_size": 8, "epochs": 3,
        "optimizer_options": {"lr": 0.1, "momentum": 0.9}, "threads": 1, "device": "cpu",
    }  # fmt: skip
    return SupervisedEvaluator(**{**given, **more})


def mlp(width: int = 5) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 3))


def assert_in_order(build: Make = mlp, begin: Callable[[], dict[str, Any]] = dict) -> list[str]:
    """Members end as one after the other; what they share begins anew for both."""
    builds = [build] * 3 + [lambda: mlp(4)]
    alone = [run(job)[number] for number, job in enumerate(jobs_of(builds, recipe(**begin())))]
    jobs = tuple(jobs_of(builds, recipe(**begin())))
    merged = run(MergedJob(jobs, Options(cluster_size=4)))  # type: ignore[arg-type]
    for number, outcome in enumerate(alone):
        apart, name = distance(merged[number], outcome)
        assert apart < TOLERANCE, f"{name} of member {number} is {apart} from where it is alone"
    heard = Heard()
    jobs = tuple(jobs_of(builds, recipe(**begin())))
    list(MergedJob(jobs, Options(cluster_size=4)).run(heard))  # type: ignore[arg-type]
    return heard.notes


class Body(nn.Module):
    """With much that may change."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.drop = nn.Linear(6, 5), nn.Linear(5, 3), nn.Dropout(0.1)
        self.count, self.scale, self.cache = 0, 1.0, None
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(torch.tanh(self.first(x)))) * self.scale


class Counting(Body):
    def forward(self, x: Tensor) -> Tensor:
        self.count += not self.training
        return super().forward(x) * (1 + 0.1 * self.count)


class Caching(Body):
    cache: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        found = super().forward(x)
        if not self.training:
            self.cache = found.detach().mean(0)
        return found if self.cache is None else found + self.cache


class Best(Body):
    def forward(self, x: Tensor) -> Tensor:
        found = super().forward(x)
        if not self.training:
            self.scale = max(self.scale, float(found.detach().max()))
        return found


class Listing(Body):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self.seen.append(len(x))
        return super().forward(x) * (1 + 0.1 * len(self.seen))


class Softening(Body):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self.drop.p = 0.5
        return super().forward(x)


class Reading(nn.Module):
    """Reads what a submodule counts in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Counting()
        self.body.forward = lambda x: Counting.forward(self.body, x) * 1.0  # type: ignore[method-assign]

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * (1 + 0.1 * self.body.count)


def hooked() -> nn.Module:
    made = Body()

    def count(module: Any, inputs: Any) -> None:
        module.scale += 0.1 * (not module.training)

    made.register_forward_pre_hook(count)
    return made


class Cooling(Body):
    def train(self, mode: bool = True) -> Cooling:
        self.scale *= 0.9 if mode else 1.0
        super().train(mode)
        return self


class Heating(Body):
    def eval(self) -> Heating:
        self.scale *= 1.1
        super().eval()
        return self


@pytest.mark.parametrize(
    "make", [Counting, Caching, Best, Listing, Softening, Reading, hooked, Cooling, Heating]
)
@pytest.mark.parametrize("inside", [False, True])
def test_what_evaluation_changes_is_seen_by_training(make: Make, inside: bool) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), make()) if inside else make()

    assert_in_order(build)


def test_the_others_go_on_together_and_each_of_these_is_trained_once_more() -> None:
    builds = [Counting, mlp, Counting, mlp, Counting]
    heard = Heard()
    job = MergedJob(tuple(jobs_of(builds, recipe())), Options(cluster_size=5))  # type: ignore[arg-type]
    assert not any(result.failed for result in job.run(heard))
    assert "5 trained as one" in heard.notes[0]
    assert "evaluation changes count of Counting" in heard.notes[1]
    assert "2 trained as one" in heard.notes[2]
    assert len(heard.notes) == 3


COUNTS = {"calls": 0}
TABLES: dict[int, Tensor] = {}


class OfClass(Body):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        type(self).calls += 1
        return super().forward(x) * (1 + 0.01 * self.calls)


class OfModule(Body):
    def forward(self, x: Tensor) -> Tensor:
        COUNTS["calls"] += self.training
        return super().forward(x) * (1 + 0.01 * COUNTS["calls"])


class OfDefault(Body):
    def forward(self, x: Tensor, seen: list[int] = []) -> Tensor:  # noqa: B006  As some do.
        seen.append(1)
        return super().forward(x) * (1 + 0.01 * len(seen))


def table(size: int) -> Tensor:
    if size not in TABLES:
        TABLES[size] = torch.arange(size, dtype=torch.float64)
    return TABLES[size]


class Looking(Body):
    """A cache for all: it must not keep what has no storage."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + table(3)


class OfEvaluation(Body):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        type(self).calls += not self.training
        return super().forward(x) * (1 + 0.01 * self.calls)


def anew() -> dict[str, Any]:
    OfClass.calls = OfEvaluation.calls = COUNTS["calls"] = 0
    TABLES.clear()
    OfDefault.forward.__defaults__[0].clear()  # type: ignore[index]
    Totalling.total = 0.0
    return {}


@pytest.mark.parametrize("make", [OfClass, OfModule, OfDefault, Looking, OfEvaluation])
def test_what_models_share_is_found_in_order(make: Make) -> None:
    notes = assert_in_order(make, anew)
    assert any("they share" in note for note in notes)


class Warming:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return F.cross_entropy(outputs, target) * (1 + 0.01 * self.calls)


class Following:
    """Keeps a tensor, which must not be one without storage."""

    mean: Tensor | None = None

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        loss = F.cross_entropy(outputs, target)
        new = loss.detach()
        self.mean = new if self.mean is None else 0.9 * self.mean + 0.1 * new
        return loss + (loss - self.mean) ** 2


class Centring(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, dtype=torch.float64))

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(outputs.detach().mean(0), alpha=0.1)
        return F.cross_entropy(outputs - self.mean, target)


def around() -> Callable[..., Tensor]:
    count = 0

    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return F.cross_entropy(outputs, target) * (1 + 0.01 * count)

    return loss


def attribute() -> Callable[..., Tensor]:
    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        loss.count += 1  # type: ignore[attr-defined]
        return F.cross_entropy(outputs, target) * (1 + 0.01 * loss.count)  # type: ignore[attr-defined]

    loss.count = 0  # type: ignore[attr-defined]
    return loss


class Asking(Body):
    """Can't be traced."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum().item() > 0 else -x)


@pytest.mark.parametrize("make", [Warming, Following, Centring, around, attribute])
@pytest.mark.parametrize("build", [mlp, Asking])
def test_a_loss_that_trials_share_is_called_in_order(make: Make, build: Make) -> None:
    notes = assert_in_order(build, lambda: {"loss": make()})
    assert any("they share" in note for note in notes)


class Highest:
    def __init__(self) -> None:
        self.best = -1e9

    def __call__(self, outputs: Tensor, target: Tensor) -> float:
        self.best = max(self.best, float(outputs.std()))
        return self.best


class Totalling:
    total = 0.0

    def __call__(self, outputs: Tensor, target: Tensor) -> float:
        type(self).total += float(outputs.std())
        return type(self).total


@pytest.mark.parametrize("make", [Highest, Totalling])
def test_a_metric_that_trials_share_is_called_in_order(make: Make) -> None:
    def begin() -> dict[str, Any]:
        return {**anew(), "metrics": {"m": make()}, "objectives": {"m": "maximize"}}

    notes = assert_in_order(mlp, begin)
    assert any("they share" in note for note in notes)


class Slowing:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, epoch: int) -> float:
        self.calls += epoch > 0
        return 1 / (1 + 0.1 * self.calls)


def made_in_order() -> Callable[..., Any]:
    made: list[int] = []

    def factory(optimizer: torch.optim.Optimizer) -> Any:
        made.append(1)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: 1 / (1 + e + len(made)))

    return factory


def optimizers_in_order() -> Callable[..., Any]:
    made: list[int] = []

    def factory(parameters: Any, lr: float) -> torch.optim.Optimizer:
        made.append(1)
        return torch.optim.SGD(parameters, lr=lr / len(made))

    return factory


@pytest.mark.parametrize(
    "begin",
    [
        lambda: {"schedule": "LambdaLR", "schedule_options": {"lr_lambda": Slowing()}},
        lambda: {"schedule": made_in_order()},
        lambda: {"optimizer": optimizers_in_order(), "optimizer_options": {"lr": 0.2}},
    ],
    ids=["lambda", "schedule", "optimizer"],
)
def test_what_makes_steps_is_told_in_order(begin: Callable[[], dict[str, Any]]) -> None:
    notes = assert_in_order(mlp, begin)
    assert any("they share" in note for note in notes)
