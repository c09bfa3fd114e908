"""Law 5: a candidate that is trained with others gets what it gets alone."""

from __future__ import annotations

from typing import Any

import nas_core as nas
import nas_core.nn as nn
import nas_engine_cgo.train.loop
import pytest
import spaces
import torch
from alone import DEVICES
from nas_core import Candidate
from nas_core.testing import Recording
from nas_engine_cgo.engine import CgoEngine
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import code
from nas_engine_graph.engine import GraphEngine
from nas_search.evaluators import SupervisedEvaluator

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    "Adam": {"weight_decay": 1e-3},
    "AdamW": {"amsgrad": True},
    "RMSprop": {"momentum": 0.5, "centered": True},
}


@pytest.fixture(autouse=True, params=[0, 8], ids=["measured as one", "measured one by one"])
def few_passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged code measures, or the modules do."""
    monkeypatch.setattr(nas_engine_cgo.train.loop, "_FEW_PASSES", request.param)


def data(dtype: torch.dtype, size: int = 44) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(size, 1, 8, 8, generator=generator, dtype=torch.float64).to(dtype)
    return x, torch.randint(0, 3, (size,), generator=generator)


def recipe(dtype: torch.dtype, optimizer: str, **changes: Any) -> SupervisedEvaluator:
    settings: dict[str, Any] = {
        "train": data(dtype),
        "validation": data(dtype, 20),
        "optimizer": optimizer,
        "optimizer_options": {
            "lr": nn.ValueChoice([1e-3, 5e-3], label="lr"), **OPTIMIZERS[optimizer]
        },
        "batch_size": 8,
        "epochs": 2,
        "device": "cpu",
    }  # fmt: skip
    return SupervisedEvaluator(**settings | changes)


def candidates(space: nas.Space, count: int) -> list[Candidate]:
    return [Candidate(i, space.sample(seed=i), seed=50 + i) for i in range(count)]


def run(engine: Any, model: Any, chosen: list[Candidate], evaluator: Any) -> Recording:
    recorder = Recording()
    recorder.results = {  # type: ignore[attr-defined]
        result.number: result
        for job in engine.plan(model, chosen, evaluator)
        for result in job.run(recorder)
    }
    for result in recorder.results.values():  # type: ignore[attr-defined]
        assert result.error is None, result.details
    return recorder


def compare(model: Any, evaluator: Any, count: int, options: Options, tolerance: float) -> None:
    chosen = candidates(nas.Space.of(model, evaluator), count)
    alone = run(GraphEngine(), model, chosen, evaluator)
    together = run(CgoEngine(options), model, chosen, evaluator)
    for candidate in chosen:
        number = candidate.number
        reports = [
            [(step, metrics) for n, step, metrics in recorder.reports if n == number]
            for recorder in (alone, together)
        ]
        assert [step for step, _ in reports[0]] == [step for step, _ in reports[1]]
        for (_, expected), (_, found) in zip(*reports, strict=True):
            assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)
        metrics = [r.results[number].metrics for r in (alone, together)]  # type: ignore[attr-defined]
        assert metrics[1] == pytest.approx(metrics[0], rel=tolerance, abs=tolerance)
        states = [recorder.models[number].state_dict() for recorder in (alone, together)]
        assert list(states[0]) == list(states[1])
        for name, expected_tensor in states[0].items():
            torch.testing.assert_close(
                states[1][name], expected_tensor, rtol=tolerance, atol=tolerance, msg=name
            )


each_case = pytest.mark.parametrize(
    ("space", "optimizer"),
    [("cells", "SGD"), ("cells", "Adam"), ("blocks", "RMSprop"), ("mlp", "AdamW"), ("mlp", "SGD"),
     ("transformer", "Adam"), ("forgetful", "SGD"), ("counting", "SGD")],
)  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@each_case
def test_in_double_precision_weights_and_metrics_agree(
    space: str, optimizer: str, device: str
) -> None:
    torch.set_default_dtype(torch.float64)
    changes = {"schedule": "OneCycleLR", "schedule_every": "step", "clip_norm": 1.0,
               "schedule_options": {"max_lr": 1e-2}} if optimizer == "SGD" else {}  # fmt: skip
    evaluator = recipe(torch.float64, optimizer, device=device, **changes)
    compare(spaces.SPACES[space](), evaluator, 5, Options(cluster_size=5), 1e-9)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_layers_of_other_widths_may_be_widened(optimizer: str, device: str) -> None:
    torch.set_default_dtype(torch.float64)
    evaluator = recipe(torch.float64, optimizer, clip_norm=1.0, device=device)
    compare(spaces.Widths(), evaluator, 6, Options(cluster_size=6, widen=True), 1e-9)


@pytest.mark.parametrize("size", [1, 2])
def test_clusters_change_nothing(size: int) -> None:
    torch.set_default_dtype(torch.float64)
    compare(spaces.Cells(), recipe(torch.float64, "SGD"), 4, Options(cluster_size=size), 1e-9)


@pytest.mark.parametrize("room", [1, 10_000], ids=["of one call", "of some calls"])
@pytest.mark.parametrize("exact", [False, True], ids=["rounded", "exact"])
def test_blocks_change_nothing(exact: bool, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "room_for_steps", lambda *_, **__: room)
    dtype, tolerance = (torch.float32, 0.0) if exact else (torch.float64, 1e-9)
    torch.set_default_dtype(dtype)
    options = Options(cluster_size=6, exact=exact)
    compare(spaces.Cells(), recipe(dtype, "SGD"), 6, options, tolerance)


@each_case
def test_exact_is_equal_to_the_bit(space: str, optimizer: str) -> None:
    evaluator = recipe(torch.float32, optimizer)
    compare(spaces.SPACES[space](), evaluator, 5, Options(cluster_size=5, exact=True), 0.0)


@nas.model_wrapper
class Watching(nn.Module):
    """What it sees in evaluation decides what it does in training."""

    def __init__(self, replaces: bool, each: bool) -> None:
        super().__init__()
        self.replaces, self.each = replaces, each
        self.act = nn.LayerChoice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act")
        self.head = nn.Linear(64, 3)
        self.register_buffer("seen", torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            new = (self.head.weight if self.each else x).mean()
            if self.replaces:
                self.seen = self.seen + new
            else:
                self.seen += new
        return self.head(self.act(x.flatten(1)) * self.seen)


@pytest.mark.parametrize("each", [False, True], ids=["all alike", "each its own"])
@pytest.mark.parametrize("replaces", [False, True], ids=["in place", "replaced"])
def test_what_evaluation_does_to_buffers_is_kept(replaces: bool, each: bool) -> None:
    torch.set_default_dtype(torch.float64)
    evaluator = recipe(torch.float64, "SGD")
    compare(Watching(replaces, each), evaluator, 3, Options(cluster_size=3), 1e-9)
