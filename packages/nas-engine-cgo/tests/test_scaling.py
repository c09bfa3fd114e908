"""Scaled gradients: members whose steps are left out, each by the rules of torch's scaler."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from alone import Alone, Heard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nas_core import Architecture, Candidate
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_engine_cgo.state import Entry
from nas_engine_cgo.train.optimizer import StackedOptimizer
from nas_engine_cgo.train.scaling import Scales
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn

MEMBERS, SHAPE = 3, (4, 5)
SCALER = partial(torch.amp.GradScaler, init_scale=8.0, growth_interval=2)
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.01}),
    "Nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "Adam": (torch.optim.Adam, {"amsgrad": True}),
    "AdamW": (torch.optim.AdamW, {"weight_decay": 0.1}),
    "RMSprop": (torch.optim.RMSprop, {"momentum": 0.5, "centered": True}),
}


def gradients(step: int, member: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 * step + member)
    return [torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("exact", [False, True])
@given(overflows=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_each_member_has_a_scaler(name: str, exact: bool, overflows: list[list[bool]]) -> None:
    kind, options = KINDS[name]
    rates, clips = [0.1, 0.1, 0.05], {0: 1.0, 2: 0.5}
    start = [[torch.full(SHAPE, 0.1 * m, dtype=torch.float64) for _ in "ab"] for m in range(3)]
    alone = [[tensor.clone().requires_grad_() for tensor in each] for each in start]
    optimizers = [kind(each, lr=lr, **options) for each, lr in zip(alone, rates, strict=True)]
    scalers = [SCALER("cpu") for _ in range(MEMBERS)]
    stacked = torch.stack([each[0] for each in start]).requires_grad_()
    own = [each[1].clone().requires_grad_() for each in start]
    places = [[(m, path) for m in range(MEMBERS)] for path in "ab"]
    entries = [Entry(stacked, "stack", tuple(places[0]))]
    entries += [Entry(own[m], "own", (places[1][m],)) for m in range(MEMBERS)]
    groups = [[optimizers[m].param_groups[0] for m, _ in entry.slots] for entry in entries]
    merged = StackedOptimizer(kind, entries, groups, exact)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.amp, "GradScaler", SCALER)
        scales = Scales(MEMBERS, torch.device("cpu"))
    for step, row in enumerate(overflows):
        stacked.grad = torch.zeros_like(stacked)
        for m, overflow in enumerate(row):
            scaler, given = scalers[m], gradients(step, m)
            given[step % 2][0, 1] = float("inf") if overflow else 0.5
            loss = sum((p * g).sum() for p, g in zip(alone[m], given, strict=True))
            scaler.scale(loss).backward()
            weight = scales.of([m], torch.float64)
            stacked.grad[m], own[m].grad = weight * given[0], weight * given[1]
            if m in clips:
                scaler.unscale_(optimizers[m])
                torch.nn.utils.clip_grad_norm_(alone[m], clips[m])
            scaler.step(optimizers[m])
            scaler.update()
            optimizers[m].zero_grad()
        overflowed = merged.unscale(scales.inverse())
        assert overflowed.tolist() == row
        merged.clip(clips, lambda _: "ab")
        merged.step(overflowed.nonzero().flatten().tolist())
        merged.zero_grad()
        scales.update(overflowed)
        assert scales.of(range(MEMBERS), torch.float32).tolist() == [
            scaler.get_scale() for scaler in scalers
        ]
        if step == 5:  # What is remembered survives being taken apart and joined.
            merged = StackedOptimizer(kind, entries, groups, exact, merged.states())
        for m in range(MEMBERS):
            for found, expected in zip((stacked[m], own[m]), alone[m], strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


class Single(Alone):
    """A job of one candidate in single precision, which autocast lowers."""

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return self.make()


def mlp(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))


def large(outputs: Tensor, target: Tensor) -> Tensor:
    """A loss whose gradients overflow at first."""
    return 20 * F.cross_entropy(outputs, target)


@pytest.mark.parametrize("name", ["Nesterov", "Adam"])
def test_candidates_end_as_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, also those that leave out a step that others take."""
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    kind, options = KINDS[name]
    recipe = SupervisedEvaluator(
        train=(x, x[:, :3].argmax(1)), batch_size=5, epochs=2, optimizer=kind.__name__,
        optimizer_options={"lr": 0.01, **options}, precision="float16", device="cpu", threads=1,
    )  # fmt: skip
    recipes = [recipe, replace(recipe, loss=large, clip_norm=0.5), replace(recipe, clip_norm=0.1)]
    jobs = tuple(
        Single((Candidate(number, Architecture({}), number),), partial(mlp, width), each)
        for number, (width, each) in enumerate(zip((5, 5, 4), recipes, strict=True))
    )
    rows: list[list[bool]] = []
    update = Scales.update

    def noted(scales: Scales, overflowed: Tensor) -> None:
        rows.append(overflowed.tolist())
        update(scales, overflowed)

    monkeypatch.setattr(Scales, "update", noted)
    # They are merged all the same: of products as small as these all bits are equal.
    monkeypatch.setattr("nas_engine_cgo.cohorts._inexact", lambda _: None)
    heard, alone = Heard(), Heard()
    found = {result.number: result for result in MergedJob(jobs, Options(exact=True)).run(heard)}
    assert any(len(set(row)) == 2 for row in rows)
    for number, job in enumerate(jobs):
        (expected,) = job.run(alone)
        assert (found[number].error, expected.error) == (None, None)
        assert found[number].metrics == expected.metrics
        for path, tensor in alone.weights[number].items():
            assert torch.equal(heard.weights[number][path], tensor), (number, path)
