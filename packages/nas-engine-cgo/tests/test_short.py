"""Trainings that gain nothing by one loop are left to the loop of the graph engine at once."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

import nas_core as nas
import nas_core.nn as nas_nn
import pytest
import torch
from alone import Alone, Heard, assert_as_alone, jobs_of
from nas_core import Architecture, Candidate, Pruned
from nas_engine_cgo.cost import apart, length
from nas_engine_cgo.cost.timing import Timing
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import tracing
from nas_engine_cgo.train.code import Code
from nas_engine_cgo.train.taped import Tapes
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = X[:, :3].argmax(1)
CHOOSING = sys.modules["nas_engine_cgo.cost.choose"]
GAINS_ANYWAY = length.gains_anyway
WORTH = {name: getattr(Tapes, name) for name in ("worth", "worth_recurrent")}


@pytest.fixture(autouse=True)
def only_what_pays(monkeypatch: pytest.MonkeyPatch, short_trainings_are_planned: None) -> None:
    for module in (apart, CHOOSING):
        monkeypatch.setattr(module, "gains_anyway", GAINS_ANYWAY)


def recipe(steps: int, **more: Any) -> SupervisedEvaluator:
    given = {"train": (X, Y), "batch_size": 8, "epochs": 1000, "steps": steps, "threads": 1}
    return SupervisedEvaluator(**{**given, **more})


def net(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.Dropout(0.2), nn.ReLU(), nn.Linear(width, 3))


def deep() -> nn.Module:
    """Steps of many calls take long enough to repay planning soon."""
    return nn.Sequential(net(), *(nn.Sequential(nn.Tanh(), nn.Linear(3, 3)) for _ in range(10)))


class Asks(nn.Module):
    """Decides by what is in a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = net()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) if x.sum().item() > 0 else self.inner(2 * x)


class Counts(nn.Module):
    """Most of its work is done by a module that can only be called as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.wide, self.last = 0, nn.Linear(6, 64), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.last(self.wide(x))


def opaque() -> nn.Module:
    return nn.Sequential(Counts(), nn.Linear(3, 3))


class Own(torch.autograd.Function):
    """What is positive, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (x > 0)


class OwnReLU(nn.Module):
    """One that autograd does not know."""

    def forward(self, x: Tensor) -> Tensor:
        return Own.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def scattered() -> nn.Module:
    """Modules that are called as they are between layers that can be merged."""
    return nn.Sequential(
        nn.Linear(6, 3), *(nn.Sequential(OwnReLU(), nn.Linear(3, 3)) for _ in range(8))
    )


class Draws(nn.Module):
    """Python's random numbers, as it is made and as it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.factor = net(), random.random()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * (self.factor + random.random())


def notes_of(jobs: list[Alone], options: Options | None = None) -> list[str]:
    heard = Heard()
    for result in MergedJob(tuple(jobs), options or Options()).run(heard):  # type: ignore[arg-type]
        assert not result.failed
    return heard.notes


def test_few_steps_are_not_planned_and_models_are_made_once() -> None:
    made = []

    def make(width: int) -> Callable[[], nn.Module]:
        return lambda: made.append(width) or net(width)  # type: ignore[func-returns-value]

    assert_as_alone([make(width) for width in (2, 3, 4)], recipe(8))
    assert sorted(made) == [2, 2, 3, 3, 4, 4]  # Each by its job alone as well.
    notes = notes_of(jobs_of([make(width) for width in (2, 3, 4)], recipe(8)))
    assert notes == ["3 trained one by one, 8 steps are too few to gain by merging"]


def test_alike_members_and_long_trainings_are_planned() -> None:
    for builds, steps in (([net] * 8, 8), ([net, lambda: net(5)], 48)):
        (note, *_) = notes_of(jobs_of(builds, recipe(steps)))
        assert "trained as one" in note


def test_what_shares_a_loader_is_planned_however_short() -> None:
    def loader() -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(X, Y), batch_size=8)

    jobs = jobs_of([net, lambda: net(5)], recipe(8, train=loader, validation=(X, Y)))
    assert "2 trained as one" in notes_of(jobs)[0]


@nas.model_wrapper
class Three(nas_nn.Module):
    """Three layers, each of one of three kinds that have nothing in common."""

    def __init__(self) -> None:
        super().__init__()

        def kinds() -> list[nn.Module]:
            return [
                nas_nn.Sequential(nas_nn.Linear(6, 5), nas_nn.Tanh(), nas_nn.Linear(5, 6)),
                nas_nn.Sequential(nas_nn.GELU(), nas_nn.Linear(6, 6, bias=False), nas_nn.ELU()),
                nas_nn.Sequential(nas_nn.LayerNorm(6), nas_nn.Linear(6, 4), nas_nn.Linear(4, 6)),
            ]

        layers = (nas_nn.LayerChoice(kinds(), label=f"layer{i}") for i in range(3))
        self.layers = nas_nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Any:
        return self.layers(x)


@pytest.mark.parametrize(
    ("chosen", "note"),
    [
        ([(0, 0, 1), (0, 1, 0), (1, 0, 0)], "3 trained as one"),
        ([(0, 0, 0), (1, 1, 1), (2, 2, 2)], "60 steps are too few to gain by merging"),
    ],
)
def test_models_of_hardly_anything_in_common_need_more_steps(
    chosen: list[tuple[int, ...]], note: str
) -> None:
    base, short = Three(), recipe(60, train=(X.float(), Y))
    candidates = [
        Candidate(i, Architecture({f"layer{n}": kind for n, kind in enumerate(kinds)}), i)
        for i, kinds in enumerate(chosen)
    ]
    jobs: Any = nas.engine("graph").plan(base, candidates, short)
    assert note in notes_of(jobs)[0]


def test_frozen_layers_are_planned_however_short() -> None:
    def tuned(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 6).requires_grad_(False), net(width))

    jobs = jobs_of([lambda: tuned(4), lambda: tuned(5)], recipe(8))
    assert "2 trained as one" in notes_of(jobs)[0]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is traced, as it is given."""
    found: list[Any] = []
    trace = tracing.trace

    def noting(*given: Any, **named: Any) -> Any:
        found.append(given)
        return trace(*given, **named)

    monkeypatch.setattr(tracing, "trace", noting)
    return found


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that take turns with their weights in the cache."""
    monkeypatch.setattr(length, "cache_bytes", lambda: 1000)


def test_the_first_large_member_tells_that_little_can_be_merged(
    traced: list[Any], large: None
) -> None:
    made = []
    builds = [lambda: made.append(1) or opaque()] * 4  # type: ignore[func-returns-value]
    assert_as_alone(builds, recipe(60))
    assert len(traced) == 1
    assert len(made) == 8  # Each by its job alone as well.
    (note,) = notes_of(jobs_of(builds, recipe(60)))
    assert note == "4 trained one by one, most of the work can't be merged"


def test_what_can_not_be_traced_is_left_to_itself_if_it_is_large(large: None) -> None:
    (note,) = notes_of(jobs_of([Asks] * 4, recipe(60)))
    assert note == "4 trained one by one, most of the work can't be merged"


def test_where_it_is_small_or_long_or_asked_for_they_share_a_loop() -> None:
    for make, steps, options in (
        (opaque, 60, Options()), (opaque, 60, Options(cluster_size=4)), (Asks, 60, Options()),
        (Asks, 800, Options()),
    ):  # fmt: skip
        (note, *_) = notes_of(jobs_of([make] * 4, recipe(steps)), options)
        assert "4 trained as one" in note


@pytest.mark.parametrize(
    ("make", "count", "steps", "together"),
    [
        (net, 2, 22, False), (net, 2, 23, True), (net, 4, 5, True),
        (deep, 2, 14, False), (deep, 2, 15, True), (deep, 4, 5, True),
        (opaque, 2, 200, False), (opaque, 3, 31, False), (opaque, 3, 32, True),
        (opaque, 4, 11, True),
        (scattered, 4, 500, False), (scattered, 8, 16, False), (scattered, 8, 17, True),
    ],
)  # fmt: skip
def test_how_many_steps_repay_a_look(
    make: Callable[[], nn.Module], count: int, steps: int, together: bool
) -> None:
    (note, *_) = notes_of(jobs_of([make] * count, recipe(steps)))
    assert ("trained as one" in note) == together
    assert ("too few" in note) != together


@pytest.mark.parametrize(
    ("is_large", "tape", "apart"), [(False, False, False), (True, False, True), (True, True, False)]
)
def test_large_members_that_are_fastest_one_by_one_take_turns_if_steps_are_repeated(
    monkeypatch: pytest.MonkeyPatch, is_large: bool, tape: bool, apart: bool
) -> None:
    monkeypatch.setattr(Timing, "seconds", lambda _timing, setting: setting.size)
    monkeypatch.setattr(length, "cache_bytes", lambda: 100 if is_large else 1 << 20)
    (note, *_) = notes_of(jobs_of([net] * 4, recipe(400)), Options(tape=tape))
    assert ("4 trained one by one, clusters of 1" in note) == apart


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each tape that is made, of steps that repay it."""
    found: list[int] = []
    for name, least in WORTH.items():
        monkeypatch.setattr(Tapes, name, least)
    record = Tapes.record
    monkeypatch.setattr(
        Tapes,
        "record",
        lambda *given: found.append(1) or record(*given),  # type: ignore[func-returns-value]
    )
    return found


class Recurrent(nn.Module):
    """Many operators in one call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x.unflatten(1, (2, 3)))[0][:, -1])


@pytest.mark.parametrize(
    ("make", "steps", "records"),
    [(net, 23, 0), (net, 24, 1), (Recurrent, 47, 0), (Recurrent, 48, 1)],
)
def test_how_many_steps_repay_a_tape(
    make: Callable[[], nn.Module], steps: int, records: int, recorded: list[int]
) -> None:
    notes_of(jobs_of([make] * 4, recipe(steps)), Options(cluster_size=4))
    assert len(recorded) == records


@pytest.mark.parametrize(
    ("leaving", "tapes", "measuring"),
    [({}, 1, 1), ({1: 0, 2: 1, 3: 2, 4: 3}, 1, 2), ({1: 0}, 2, 2), ({9: 0}, 1, 1)],
)
def test_where_members_leave_after_each_epoch_nothing_is_made_for_the_next_one(
    leaving: Mapping[int, int],
    tapes: int,
    measuring: int,
    recorded: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither a tape nor merged code to measure by: it would be of use for one epoch.

    An epoch has 4 steps: it takes one in which nobody leaves to believe that they stay.
    """
    written: list[bool] = []
    write = Code._written

    def noting(code: Code, *given: Any) -> Any:
        written.append(given[-1])
        return write(code, *given)

    monkeypatch.setattr(Code, "_written", noting)

    class Prunes(Heard):
        def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
            if leaving.get(step) == number:
                raise Pruned(number, "it is no good")

    jobs = jobs_of([net] * 6, recipe(40))
    list(MergedJob(tuple(jobs), Options(cluster_size=6)).run(Prunes()))  # type: ignore[arg-type]
    assert len(recorded) == tapes
    assert written.count(False) == measuring


def test_what_python_draws_is_what_it_draws_alone() -> None:
    assert_as_alone([Draws] * 3, recipe(8))
    assert_as_alone([Draws, lambda: nn.Sequential(Draws(), nn.Linear(3, 3))] * 2, recipe(60))


def test_what_can_not_be_traced_is_tried_once_for_all_that_are_alike(
    traced: list[Any],
) -> None:
    assert_as_alone([Asks] * 4 + [net] * 2, recipe(300))
    assert len([given for given in traced if isinstance(given[0], Asks)]) <= 2  # Two modes.
