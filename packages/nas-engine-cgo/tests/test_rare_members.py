"""Members that can't be merged for what they are made of are trained as alone, without blame."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from alone import Alone, Build, Heard, assert_as_alone, jobs_of
from apart import distance, run
from nas_core.testing import Recording
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn
from torch.utils.data import Dataset

MEMBERS, SAMPLES = 3, 30


def rows(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 8, generator=generator, dtype=torch.float64)


def recipe(**changes: Any) -> SupervisedEvaluator:
    settings: dict[str, Any] = {
        "train": (rows(SAMPLES, 1), torch.arange(SAMPLES) % 3),
        "validation": (rows(12, 2), torch.arange(12) % 3),
        "optimizer_options": {"lr": 0.05, "momentum": 0.9},
        "batch_size": 8, "epochs": 3, "device": "cpu", "threads": 1,
    }  # fmt: skip
    return SupervisedEvaluator(**settings | changes)


def notes_of(builds: list[Build], given: SupervisedEvaluator, **options: Any) -> str:
    heard = Heard()
    job = MergedJob(tuple(jobs_of(builds, given)), Options(**options))  # type: ignore[arg-type]
    assert all(result.error is None for result in job.run(heard))
    return "\n".join(heard.notes)


class Pairs(Dataset[Any]):
    """Inputs in dictionaries, or in tuples of tuples."""

    def __init__(self, nested: bool) -> None:
        self._x, self._nested = rows(SAMPLES, 1), nested

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> Any:
        x = self._x[index]
        return (x, (x * 2, x)) if self._nested else {"a": x, "b": 2 * x}, index % 3


class OfPairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, given: Any) -> Tensor:
        if isinstance(given, dict):
            return self.layer(given["a"] + given["b"])
        return self.layer(given[0] + given[1][0])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_batches_of_more_than_tensors(nested: bool, exact: bool) -> None:
    given = recipe(train=Pairs(nested), validation=Pairs(nested))
    builds: list[Build] = [OfPairs] * MEMBERS
    assert_as_alone(builds, given, options=Options(exact=exact))
    notes = notes_of(builds, given, exact=exact)
    assert "more than tensors" in notes
    assert "fault" not in notes


def test_layers_that_their_first_batch_shapes() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(3))

    assert_as_alone([build] * MEMBERS, recipe())
    notes = notes_of([build] * MEMBERS, recipe())
    assert "first batch" in notes
    assert "fault" not in notes


class Halved(nn.Module):
    """A network whose parameters are of few bits."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        self.net, self.dtype = net.to(dtype), dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(self.dtype)).to(x.dtype)


class Single(Alone):
    """With the types that the model has."""

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return self.make()


def singles(
    builds: list[Build], given: SupervisedEvaluator | list[SupervisedEvaluator]
) -> list[Single]:
    return [Single(*vars(job).values()) for job in jobs_of(builds, given)]


def distances(jobs: list[Single], options: Options) -> list[float]:
    merged = run(MergedJob(tuple(jobs), options))  # type: ignore[arg-type]
    return [distance(merged[i], run(job)[i])[0] for i, job in enumerate(jobs)]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_parameters_of_few_bits(optimizer: str) -> None:
    options = {"lr": 0.05, "momentum": 0.9} if optimizer == "SGD" else {"lr": 0.01}
    given = recipe(optimizer=optimizer, optimizer_options=options)
    jobs = singles([lambda: Halved(torch.bfloat16)] * MEMBERS, given)
    assert max(distances(jobs, Options(cluster_size=MEMBERS))) < 0.02  # Some roundings.
    assert distances(jobs, Options(cluster_size=MEMBERS, exact=True)) == [0.0] * MEMBERS


def test_numbers_are_not_rounded_to_the_type_of_parameters() -> None:
    data = recipe()
    recipes = [
        SupervisedEvaluator(**vars(data) | {"optimizer_options": {"lr": lr}})
        for lr in (0.05, 0.1, 0.05)
    ]
    jobs = singles([lambda: Halved(torch.bfloat16)] * MEMBERS, recipes)
    recorder = Recording()
    list(MergedJob(tuple(jobs), Options(cluster_size=2)).run(recorder))  # type: ignore[arg-type]
    assert any("trial 1 alone: no other" in note for note in recorder.notes)
    assert any("2 trained as one" in note for note in recorder.notes)


class Rounding(nn.Module):
    """A product that is computed in few bits, by parameters of many."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = (p.bfloat16() for p in self.middle.parameters())
        made = self.first(x).relu().bfloat16() @ weight + bias
        return self.last(made.relu().to(x.dtype))


def test_bits_of_what_is_rounded_inside() -> None:
    x, y = rows(SAMPLES, 1).float(), torch.arange(SAMPLES) % 3
    given = recipe(train=(x, y), validation=(x, y), epochs=40)
    jobs = singles([Rounding] * MEMBERS, given)
    assert distances(jobs, Options(cluster_size=MEMBERS, exact=True)) == [0.0] * MEMBERS
