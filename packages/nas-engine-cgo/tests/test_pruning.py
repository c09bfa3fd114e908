"""A pruned member leaves at the step where it reported, and the others end as if it had stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from alone import DEVICES, Alone, Heard, assert_metrics_equal, assert_weights_equal, jobs_of
from nas_core import Pruned, Result
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_search.evaluators import SupervisedEvaluator
from torch import nn

pytestmark = pytest.mark.parametrize("device", DEVICES, indirect=True)
MEMBERS, EPOCHS = 16, 5
PRUNED = {0: 1, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2, 11: 3, 12: 3, 15: 5}
"""Member → the epoch at whose end it is pruned."""
X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = X[:, :3].argmax(1)


def mlp(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.Dropout(0.3), nn.ReLU(), nn.Linear(width, 3))


def convolved() -> nn.Module:
    return nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU())


class Cnn(nn.Module):
    """Two branches, which are alike."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = convolved(), convolved()
        self.head = nn.Linear(24, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images = x.unflatten(1, (1, 6))
        return self.head((self.one(images) - self.other(images)).flatten(1))


RECIPE = SupervisedEvaluator(
    train=(X, Y), batch_size=8, epochs=EPOCHS, threads=1, optimizer="Adam",
    optimizer_options={"lr": 0.01}, schedule="CosineAnnealingLR", clip_norm=1.0,
)  # fmt: skip


@dataclass
class Prunes(Heard):
    """A recorder that prunes some."""

    pruned: Mapping[int, int] | None = None

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        super().report(number, step, metrics)
        if (self.pruned or {}).get(number) == step:
            raise Pruned(number, f"at step {step}")


def run(
    jobs: Sequence[Alone], options: Options, pruned: Mapping[int, int]
) -> tuple[dict[int, Result], Prunes]:
    heard = Prunes(pruned=pruned)
    results = list(MergedJob(tuple(jobs), options).run(heard))  # type: ignore[arg-type]
    assert sorted(result.number for result in results) == list(range(len(jobs)))
    return {result.number: result for result in results}, heard


def recipes(**differing: Any) -> list[SupervisedEvaluator]:
    rates = [0.01, 0.02, 0.005, 0.04]
    return [
        replace(RECIPE, optimizer_options={"lr": rates[i % 4]}, **differing) for i in range(MEMBERS)
    ]


@pytest.mark.parametrize("cluster_size", [16, 4, 3])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("shared", [True, False])
def test_the_others_are_not_touched(
    exact: bool, cluster_size: int, shared: bool, device: str
) -> None:
    """To the bit with ``exact``, else up to rounding; with one stream of data or one for each."""
    if device != "cpu" and exact:
        pytest.skip("bits can be kept on CPU only")
    builds = [Cnn if i % 4 == 1 else partial(mlp, 4 + i % 2) for i in range(MEMBERS)]
    jobs = jobs_of(builds, recipes(data_seed=0 if shared else None))
    options = Options(exact=exact, cluster_size=cluster_size)
    whole, all_heard = run(jobs, options, {})
    found, heard = run(jobs, options, PRUNED)
    for number in range(MEMBERS):
        reports, expected = heard.reports[number], all_heard.reports[number]
        assert [step for step, _ in reports] == list(range(1, PRUNED.get(number, EPOCHS) + 1))
        for (_, metrics), (_, others) in zip(reports, expected, strict=False):
            if exact:
                assert metrics == others
            assert_metrics_equal(metrics, others, number)
        if number in PRUNED:
            assert found[number].pruned == f"at step {PRUNED[number]}"
            assert (found[number].metrics, found[number].error) == (None, None)
            assert number not in heard.weights
            continue
        if exact:
            assert found[number].metrics == whole[number].metrics
            for path, tensor in all_heard.weights[number].items():
                assert torch.equal(heard.weights[number][path], tensor)
        assert found[number].pruned is None
        assert_metrics_equal(found[number].metrics or {}, whole[number].metrics or {}, number)
        assert_weights_equal(heard.weights[number], all_heard.weights[number], number)


def test_all_may_be_pruned() -> None:
    found, heard = run(jobs_of([mlp] * 4, RECIPE), Options(), dict.fromkeys(range(4), 2))
    assert [found[number].pruned for number in range(4)] == ["at step 2"] * 4
    assert not heard.weights


def test_a_member_without_company_is_pruned_too() -> None:
    found, _ = run(jobs_of([mlp], RECIPE), Options(), {0: 3})
    assert found[0].pruned == "at step 3"
