"""Where bits count, steps are tried out on what they are given in training, and leave it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from alone import Alone
from apart import assert_each_as_alone
from models.case import Do
from nas_core import Architecture, Candidate
from nas_engine_cgo.options import Options
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn

COUNT = 3


def assert_same_bits(build: Callable[[], nn.Module], number: int = COUNT, **more: Any) -> None:
    """The recipe of a member may depend on its number."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    given: dict[str, Any] = {
        "train": (x, x[:, :3].argmax(1)), "batch_size": 5, "epochs": 3, "device": "cpu",
        "optimizer_options": {"lr": 0.05, "momentum": 0.9},
    }  # fmt: skip
    jobs = []
    for i in range(number):
        own = {name: value(i) if callable(value) else value for name, value in more.items()}
        recipe = SupervisedEvaluator(**given | own)
        jobs.append(Alone((Candidate(i, Architecture({}), 100 + i),), build, recipe))
    assert_each_as_alone(jobs, Options(exact=True, cluster_size=number), 0.0)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def test_weights_of_classes_that_differ() -> None:
    """Torch refuses them if they require a gradient."""
    weights = torch.tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 1.0], [1.0, 1.0, 2.0]]).double()
    assert_same_bits(mlp, loss_options=lambda i: {"weight": weights[i]})


def detached_weights(outputs: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(outputs, target, weight=outputs.detach().mean(0).exp())


def test_weights_that_are_detached() -> None:
    assert_same_bits(mlp, loss=lambda i: detached_weights)


def worn_target(outputs: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(outputs.amax(1), target.mul_(0.5))


def test_a_loss_that_writes_into_the_target() -> None:
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert_same_bits(
        mlp, train=lambda i: (x, x.sum(1)), loss=lambda i: worn_target,
        metrics=("loss",), objectives={"loss": "minimize"},
    )  # fmt: skip


class Following(nn.Module):
    """A buffer follows the mean, in evaluation as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        with torch.no_grad():
            self.mean.lerp_(h.mean(), 0.1)
        return self.last(h - self.mean)


@pytest.mark.parametrize("validate_every", [1, 3])
def test_buffers_that_are_written_without_gradients(validate_every: int) -> None:
    assert_same_bits(Following, validate_every=validate_every, epochs=9)


@pytest.mark.parametrize("way", ["product", "product of all", "filled"])
def test_gradients_that_torch_computes_otherwise_where_operators_are_noted(way: str) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x)
        match way:
            case "product":
                return m.last(h) * h.prod(1, keepdim=True)
            case "product of all":
                return m.last(h) * (h.sigmoid() + 0.5).prod()
            case _:
                return m.last(h.masked_fill(h > 0.1, m.value[0]))

    def build() -> nn.Module:
        parts = {"first": nn.Linear(6, 5), "last": nn.Linear(5, 3)}
        return Do(forward, **parts, value=nn.Parameter(torch.randn(1)))

    assert_same_bits(build, epochs=9)
