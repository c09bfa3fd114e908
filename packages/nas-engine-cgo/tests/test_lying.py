"""What a call that is made by itself is given lies in memory as it does alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from alone import Heard, assert_as_alone, jobs_of
from models.case import Do
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn

BUILDS = Sequence[Callable[[], nn.Module]]


def recipe(*shape: int, **more: Any) -> SupervisedEvaluator:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, *shape, generator=generator, dtype=torch.float64)
    return SupervisedEvaluator(
        **{
            "train": (x, x.flatten(1).argmax(1) % 3), "batch_size": 5, "epochs": 2,
            "optimizer_options": {"lr": 0.05, "momentum": 0.9}, "device": "cpu", **more,
        }
    )  # fmt: skip


def assert_never_raises(builds: BUILDS, given: SupervisedEvaluator, options: Options) -> None:
    """Each member is trained as alone, and none was trained twice."""
    assert_as_alone(builds, given, options=options)
    heard = Heard()
    list(MergedJob(tuple(jobs_of(builds, given)), options).run(heard))  # type: ignore[arg-type]
    assert not any("raised" in note for note in heard.notes), heard.notes


def rows(sizes: Any, width: int = 6) -> nn.Module:
    """Fused layers whose result each member views in its own way."""

    def forward(m: Any, x: Tensor) -> Tensor:
        return m.last(m.first(x).tanh().view(sizes))

    return Do(forward, first=nn.Linear(4, width), last=nn.Linear(5 * width, 3))


def pictures(sizes: Callable[[Tensor], tuple[int, ...]]) -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x).relu()
        return m.last(h.view(sizes(h)))

    return Do(forward, first=nn.Conv2d(2, 4, 3), last=nn.Linear(36, 3))


@pytest.mark.parametrize("options", [{}, {"exact": True}, {"fuse": False}])
def test_views(options: dict[str, Any]) -> None:
    builds = [lambda: rows((-1, 30)), lambda: rows((-1, 5 * 6)), lambda: rows([-1, 30])]
    assert_never_raises(builds, recipe(5, 4), Options(cluster_size=3, **options))


def test_views_of_what_was_widened() -> None:
    builds = [lambda: rows((-1, 30)), lambda: rows((-1, 20), 4), lambda: rows((-1, 30))]
    assert_never_raises(builds, recipe(5, 4), Options(cluster_size=3, widen=True))


@pytest.mark.parametrize("more", [{}, {"validate_every": 2}, {"epochs": 12}])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_views_of_images(layout: Any, more: dict[str, Any]) -> None:
    builds = [lambda: pictures(lambda h: (len(h), -1)), lambda: pictures(lambda h: (-1, 36))] * 2
    assert_never_raises(builds, recipe(2, 5, 5, **more), Options(layout, cluster_size=4))


def test_numbers_drawn_in_evaluation_are_drawn_in_their_order() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.last(F.dropout(m.first(x), 0.5, True).flatten(1))

    def sure() -> nn.Module:
        return Do(forward, first=nn.Conv2d(2, 4, 3), last=nn.Linear(36, 3))

    given = recipe(2, 5, 5, validate_every=2)
    assert_never_raises([sure] * 3, given, Options("channels_last", cluster_size=3))
