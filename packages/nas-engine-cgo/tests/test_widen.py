"""Layers of different widths as one, with zeros at their ends: what is widened, and what stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import alone
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_engine_cgo.cohorts import assembled
from nas_engine_cgo.members import Program, trace
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Loop
from nas_engine_cgo.widen import widened
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import pad

WIDTHS = (8, 6, 5)


class Through(nn.Module):
    """A layer, something, and a layer that reads it."""

    def __init__(
        self, first: nn.Module, between: Callable[[Tensor], Tensor], last: nn.Module
    ) -> None:
        super().__init__()
        self.first, self.between, self.last = first, between, last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))


def linear(width: int, between: Callable[[Tensor], Tensor]) -> nn.Module:
    return Through(nn.Linear(4, width), between, nn.Linear(width, 3))


def images(width: int, between: Callable[[Tensor], Tensor], last: int | None = None) -> nn.Module:
    head = nn.Sequential(nn.Flatten(), nn.Linear(last or width, 3))
    return Through(nn.Conv2d(2, width, 3, padding=1), between, head)


def pooled(between: Callable[[Tensor], Tensor]) -> Callable[[int], nn.Module]:
    return lambda width: images(width, lambda x: between(x).mean((2, 3)))


CASES: dict[str, tuple[Callable[[int], nn.Module], tuple[int, ...], bool]] = {
    # name → a model of a width, the shape of a sample, whether the second layer reads zeros
    "relu": (lambda w: linear(w, torch.relu), (4,), True),
    "softplus": (lambda w: linear(w, functional.softplus), (4,), False),
    "cosine": (lambda w: linear(w, torch.cos), (4,), False),
    "scaled": (lambda w: linear(w, lambda x: 2 * x / 3 - x * 0.5), (4,), True),
    "moved": (lambda w: linear(w, lambda x: x + 1), (4,), False),
    "square": (lambda w: linear(w, lambda x: x * x), (4,), True),
    "root": (lambda w: linear(w, lambda x: (x * x + 1).sqrt()), (4,), False),
    "softmax": (lambda w: linear(w, lambda x: x.softmax(-1)), (4,), False),
    "rows": (lambda w: linear(w, lambda x: x * x[:, :1]), (4,), True),
    "of all": (lambda w: linear(w, lambda x: x - x.mean(1, keepdim=True)), (4,), False),
    "sequence": (lambda w: linear(w, lambda x: x.tanh().sum(1)), (5, 4), True),
    "exchanged": (lambda w: linear(w, lambda x: x.flip(-1)), (4,), False),
    "pool": (pooled(lambda x: functional.avg_pool2d(x, 2)), (2, 6, 6), True),
    "max": (pooled(lambda x: functional.max_pool2d(x, 3, 1, 1)), (2, 6, 6), True),
    "interpolated": (pooled(lambda x: functional.interpolate(x, scale_factor=2)), (2, 6, 6), True),
    "border": (pooled(lambda x: pad(x, (1, 0, 2, 1))), (2, 6, 6), True),
    "border of ones": (pooled(lambda x: pad(x, (1, 1), value=1.0)), (2, 6, 6), False),
    "mirrored": (pooled(lambda x: pad(x, (1, 1, 1, 1), mode="reflect")), (2, 6, 6), True),
    "flat": (lambda w: images(w, torch.relu, 36 * w), (2, 6, 6), True),
    "view": (lambda w: images(w, lambda x: x.view(len(x), -1), 36 * w), (2, 6, 6), True),
    "reshaped": (lambda w: images(w, lambda x: x.reshape(-1, 36 * w), 36 * w), (2, 6, 6), True),
    "turned": (
        lambda w: images(w, lambda x: x.permute(0, 2, 3, 1).contiguous(), 36 * w), (2, 6, 6), False
    ),
    "joined": (lambda w: linear(2 * w, lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)), (4,), False),
}  # fmt: skip


def programs(make: Callable[[int], nn.Module], shape: tuple[int, ...]) -> list[Program]:
    return [
        trace(make(width), lambda model, x: model(x).sum(), [torch.zeros(3, *shape)])
        for width in WIDTHS
    ]


@pytest.mark.parametrize("case", CASES)
def test_what_gives_zeros_for_zeros_is_widened(case: str) -> None:
    make, shape, reads_zeros = CASES[case]
    wide, *narrow = widened(programs(make, shape))
    assert all(source.padded is None for source in wide.sources.values())
    for program in narrow:
        assert [c.name for c in program.calls if c.name != "narrow"] == (
            [c.name if c.name not in ("view", "reshape") else "flatten" for c in wide.calls]
            if reads_zeros
            else [c.name for c in wide.calls]
        )
        padded = {str(s.path) for s in program.sources.values() if s.padded is not None}
        weights = {path for path in padded if path.endswith("weight")}
        assert len(weights) == (2 if reads_zeros else 1), weights


def recipe(shape: tuple[int, ...], **changes: Any) -> SupervisedEvaluator:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(23, *shape, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (23,), generator=generator)
    settings: dict[str, Any] = {
        "train": (x, y), "validation": (x[:7], y[:7]), "batch_size": 5, "epochs": 3,
        "device": "cpu", "optimizer": "SGD", "optimizer_options": {"lr": 0.05, "momentum": 0.9},
    }  # fmt: skip
    return SupervisedEvaluator(**settings | changes)


@pytest.mark.parametrize(
    ("case", "layout"),
    [
        *((case, "contiguous") for case in CASES),
        *((case, "channels_last") for case, (_, shape, _) in CASES.items() if len(shape) == 3),
    ],
)
def test_widened_members_get_what_they_get_alone(case: str, layout: Any) -> None:
    make, shape, _ = CASES[case]
    builds = [lambda w=width: make(w) for width in (*WIDTHS, 8)]
    options = Options(layout, cluster_size=4, widen=True)
    alone.assert_as_alone(builds, recipe(shape), options=options)


def loop_of(make: Sequence[Callable[[], nn.Module]], evaluator: SupervisedEvaluator) -> Loop:
    jobs: Any = alone.jobs_of(make, evaluator)
    ((members, *_), _) = assembled(jobs, Options(), {})
    return Loop(members, [range(len(members))], Options(widen=True))


def normalised(width: int) -> nn.Module:
    between = nn.Sequential(nn.BatchNorm2d(width), nn.GELU(), nn.AdaptiveAvgPool2d(1))
    return images(width, between)


@settings(max_examples=10, deadline=None)
@given(
    widths=st.lists(st.integers(4, 8), min_size=2, max_size=5),
    optimizer=st.sampled_from(["SGD", "Adam", "AdamW", "RMSprop"]),
)
def test_zeros_stay_zeros(widths: list[int], optimizer: str) -> None:
    options = {"lr": 0.05, "weight_decay": 0.1}
    evaluator = recipe((2, 6, 6), optimizer=optimizer, optimizer_options=options)
    loop = loop_of([lambda w=width: normalised(w) for width in widths], evaluator)
    for batches in loop.batches():
        loop.step(batches)
    assert not loop.merged.code.alone
    for entry in loop.merged.store.entries():
        for position in range(len(entry.slots) if entry.padded is not None else 0):
            whole = entry.tensor.detach().clone()
            entry.part(whole, position).zero_()
            assert entry.part(entry.tensor, position).any()
            for other in range(len(entry.slots)):
                entry.part(whole, other).zero_()
            assert not whole.any()


def test_random_numbers_are_those_of_the_own_width() -> None:
    builds = [
        lambda w=width: Through(
            nn.Linear(4, w), nn.Sequential(nn.Dropout(0.4), nn.ReLU()), nn.Linear(w, 3)
        )
        for width in WIDTHS
    ]
    alone.assert_as_alone(builds, recipe((4,)), options=Options(cluster_size=3, widen=True))
    # The only one of its kind: its dropout is fused with no other.
    builds[1] = lambda: Through(nn.Linear(4, 6), nn.Dropout(0.3), nn.Linear(6, 3))
    alone.assert_as_alone(builds, recipe((4,)), options=Options(cluster_size=3, widen=True))


def test_where_dropout_is_not_fused_zeros_are_cut_off_before() -> None:
    """As on a GPU: it would draw for the zeros, too."""
    found = widened(
        programs(lambda w: linear(w, lambda x: functional.dropout(x, 0.5)), (4,)),
        lambda call, _program: call.name != "dropout",
    )
    for program in found:
        (call,) = (call for call in program.calls if call.name == "dropout")
        assert all(program.facts[number].own is None for number in call.inputs)


@pytest.mark.parametrize(("eps", "padded"), [(1e-5, 8), (0.0, None)])
def test_zeros_are_cut_off_before_a_normalisation_that_would_divide_by_zero(
    eps: float, padded: int | None
) -> None:
    def net(width: int) -> nn.Module:
        return Through(nn.Linear(4, width), nn.BatchNorm1d(width, eps=eps), nn.Linear(width, 3))

    for program in widened(programs(net, (4,))[:2])[1:]:
        (found,) = (s.padded for s in program.sources.values() if s.path == "between.bias")
        assert found == (padded and (padded,))
    builds = [lambda w=width: net(w) for width in WIDTHS]
    alone.assert_as_alone(builds, recipe((4,)), options=Options(cluster_size=3, widen=True))


def test_nothing_is_widened_where_an_optimiser_would_divide_by_zero() -> None:
    evaluator = recipe((4,), optimizer="Adam", optimizer_options={"lr": 1e-3, "eps": 0.0})
    builds = [lambda w=width: linear(w, torch.tanh) for width in WIDTHS]
    loop = loop_of(builds, evaluator)
    loop.step(next(loop.batches()))
    assert all(entry.padded is None for entry in loop.merged.store.entries())
    alone.assert_as_alone(builds, evaluator, options=Options(cluster_size=3, widen=True))


def padded(models: Sequence[nn.Module]) -> list[dict[str, tuple[int, ...]]]:
    """The weights of each that zeros are added to, and their shapes then."""
    traced = [trace(m, lambda model, x: model(x).sum(), [torch.zeros(3, 4)]) for m in models]
    return [
        {str(s.path): s.padded for s in program.sources.values() if s.padded is not None}
        for program in widened(traced)
    ]


def test_a_layer_less_than_half_as_wide_stays_as_it_is() -> None:
    found = padded([linear(width, torch.relu) for width in (8, 4, 3)])
    assert found == [
        {},
        {"first.weight": (8, 4), "first.bias": (8,), "last.weight": (3, 8)},
        {},
    ]


def test_tied_weights_stay_as_they_are() -> None:
    def tied(width: int) -> nn.Module:
        again = nn.Linear(4, width)
        model = Through(nn.Linear(4, width), nn.Linear(width, 4), again)
        again.weight = model.first.weight
        return model

    assert padded([tied(8), tied(6)]) == [{}, {}]


def test_members_that_leave_take_their_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optimiser states go on in other clusters, which may be of other widths."""
    builds = [lambda w=width: linear(w, torch.relu) for width in (8, 6, 5, 6)]
    recipes = [
        recipe((4,), optimizer="Adam", optimizer_options={"lr": lr}, epochs=4)
        for lr in (1e-2, 1e-2, float("nan"), 1e-2)
    ]
    found = alone.assert_as_alone(builds, recipes, options=Options(cluster_size=4, widen=True))
    assert [result.failed for result in found] == [False, False, True, False]
