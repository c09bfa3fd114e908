"""Steps that are recorded and repeated are the steps that would have been taken.

The recorder of the CPU stands in for CUDA's wherever there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphs
import nas_core.nn as nn
import pytest
import spaces
import torch
from nas_core import Candidate, Space, model_wrapper
from nas_core.testing import Recording
from nas_engine_cgo.engine import CgoEngine
from nas_engine_cgo.options import Options
from nas_engine_cgo.state import Stream, drawing
from nas_engine_cgo.train import Loop
from nas_engine_cgo.train.graphed import Graphs, drawing_on_the_cpu_refused
from nas_engine_graph.engine import GraphEngine
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor

RECORDED = "steps were launched as CUDA graphs"
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def images(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(size, 1, 8, 8, generator=generator)
    return x, torch.randint(0, 3, (size,), generator=generator)


def recipe(**changes: Any) -> SupervisedEvaluator:
    # Six steps for an epoch; the last has a batch of another size, and is recorded by itself.
    settings: dict[str, Any] = {
        "train": images(44), "validation": images(20), "batch_size": 8, "epochs": 4,
        "optimizer": "SGD", "device": "cpu", "threads": 1, "clip_norm": 1.0,
        "optimizer_options": {
            "lr": nn.ValueChoice([1e-3, 5e-3], label="lr"), "momentum": 0.9, "nesterov": True
        },
        "schedule": "CosineAnnealingLR", "schedule_options": {"T_max": 24},
        "schedule_every": "step",
    }  # fmt: skip
    return SupervisedEvaluator(**settings | changes)


def trained(
    engine: Any, model: Any, evaluator: SupervisedEvaluator, count: int = 6, **told: Any
) -> tuple[Recording, dict[int, Any]]:
    space = Space.of(model, evaluator)
    chosen = [Candidate(i, space.sample(seed=i), seed=50 + i) for i in range(count)]
    recorder = Recording(**told)
    results = [
        result
        for job in engine.plan(model, chosen, evaluator)
        for result in job.run(recorder)
    ]  # fmt: skip
    return recorder, {result.number: (result.metrics, result.error) for result in results}


def launch_graphs(patch: pytest.MonkeyPatch, capturing: Any = graphs.capturing) -> None:
    """Have steps on the CPU launched as graphs that stand in for CUDA's."""

    def recorder(loop: Loop) -> Graphs:
        return Graphs(capturing(loop.device, [member.stream for member in loop.members]))

    patch.setattr(Loop, "_recorder", recorder)


def compare(
    model: Any, evaluator: SupervisedEvaluator, capturing: Any = graphs.capturing, **told: Any
) -> list[str]:
    """Train with and without recording; the notes of the first."""
    options = Options(cluster_size=3, tape=False)
    with pytest.MonkeyPatch.context() as patch:
        launch_graphs(patch, capturing)
        found, results = trained(CgoEngine(options), model, evaluator, **told)
    wanted, expected = trained(CgoEngine(options), model, evaluator, **told)
    assert results == expected
    assert found.reports == wanted.reports
    assert found.models.keys() == wanted.models.keys()
    for number, module in wanted.models.items():
        for name, tensor in module.state_dict().items():
            assert torch.equal(found.models[number].state_dict()[name], tensor), (number, name)
    assert not any("CUDA graph" in note for note in wanted.notes)
    assert not any("raised" in note for note in (*found.notes, *wanted.notes))
    return found.notes


@pytest.mark.parametrize(
    ("space", "changes"),
    [
        (spaces.Cells, {}),
        (spaces.Blocks, {"precision": "float16"}),
        (spaces.Mlp, {"optimizer": "AdamW", "optimizer_options": {"lr": 0.01}}),
        (spaces.Transformer, {"optimizer": "RMSprop", "optimizer_options": {"centered": True}}),
    ],
)
def test_steps_repeated_are_steps_taken(space: Any, changes: Any) -> None:
    notes = compare(space(), recipe(**changes))
    assert RECORDED in notes


def test_after_members_have_left_steps_are_recorded_anew() -> None:
    made: list[int] = []

    def counted(device: torch.device, streams: Sequence[Stream]) -> Any:
        inner = graphs.capturing(device, streams)

        def outer(run: Any) -> Any:
            made.append(len(streams))
            return inner(run)

        return outer

    notes = compare(spaces.Blocks(), recipe(epochs=6), counted, prunes={1: 2, 4: 2})
    # Batches of five and four clusters, or of the last size, which comes once in an epoch.
    assert set(made) == {6, 4}
    assert RECORDED in notes


@model_wrapper
class Drawing(nn.Module):
    """Draws a number on the CPU, wherever it is."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([4, 5], label="width")
        self.body = nn.Sequential(nn.Linear(64, width), nn.Linear(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.flatten(1)) * torch.rand(())


@model_wrapper
class Looking(nn.Module):
    """Does what its values say."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([4, 5], label="width")
        self.body = nn.Sequential(nn.Linear(64, width), nn.Linear(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x.flatten(1))
        return y if bool(y.sum() > 0) else -y


def test_what_can_not_be_recorded_runs_as_it_is() -> None:
    def refusing(device: torch.device, streams: Sequence[Stream]) -> Any:
        capture = graphs.capturing(device, streams)

        def refused(run: Any) -> Any:
            capture(run)
            raise RuntimeError("operation not permitted\nwhen a stream is capturing")

        return refused

    notes = compare(spaces.Blocks(), recipe(), refusing)
    assert "no CUDA graph can be made of steps: operation not permitted" in notes


@pytest.mark.parametrize("broken", [False, True], ids=["to its end", "raising"])
def test_numbers_drawn_on_the_cpu_are_taken_back(broken: bool) -> None:
    streams = [Stream(torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    torch.manual_seed(3)

    def draw() -> None:
        with drawing_on_the_cpu_refused(streams):
            torch.rand(2)
            with drawing(streams[1]):
                torch.rand(5)
            if broken:
                raise RuntimeError("this can't be recorded")

    reason = "this can't be recorded" if broken else "random numbers are drawn on the CPU"
    with pytest.raises(RuntimeError, match=reason):
        draw()
    drawn = torch.rand(4)
    with drawing(streams[1]):
        own = torch.rand(4)
    for numbers, seed in ((drawn, 3), (own, 2)):
        assert torch.equal(numbers, torch.rand(4, generator=torch.Generator().manual_seed(seed)))


def test_where_python_decides_nothing_is_recorded() -> None:
    notes = compare(Looking(), recipe())
    assert not any("CUDA graph" in note for note in notes)


# ---------------------------------------------------------------------- on a GPU


def on_gpu(**changes: Any) -> SupervisedEvaluator:
    x, y = images(44)
    return recipe(train=(x.double(), y), validation=(x[:20].double(), y[:20]), device="cuda",
                  **changes)  # fmt: skip


@needs_cuda
@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("space", [spaces.Cells, spaces.Mlp, spaces.Transformer, Drawing, Looking])
def test_members_on_a_gpu_end_as_alone(space: Any, graph: bool) -> None:
    torch.set_default_dtype(torch.float64)
    model, evaluator = space(), on_gpu()
    engine = CgoEngine(Options(cluster_size=3, cuda_graph=graph))
    (found, results), (alone, expected) = (
        trained(each, model, evaluator) for each in (engine, GraphEngine())
    )
    assert (RECORDED in found.notes) == (graph and space not in (Drawing, Looking))
    for number, (metrics, error) in expected.items():
        assert (error, results[number][1]) == (None, None)
        assert results[number][0] == pytest.approx(metrics, rel=1e-9, abs=1e-9)
        for name, tensor in alone.models[number].state_dict().items():
            torch.testing.assert_close(
                found.models[number].state_dict()[name], tensor, rtol=1e-9, atol=1e-9, msg=name
            )


@needs_cuda
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_members_on_a_gpu_in_low_precision_learn_as_alone(precision: str) -> None:
    evaluator = recipe(device="cuda", precision=precision, epochs=1)
    (_, results), (_, expected) = (
        trained(each, spaces.Mlp(), evaluator) for each in (CgoEngine(), GraphEngine())
    )
    for number, (metrics, error) in expected.items():
        assert (error, results[number][1]) == (None, None)
        assert results[number][0]["train_loss"] == pytest.approx(metrics["train_loss"], rel=0.02)
