"""Frozen layers run once for all members, and once for all epochs, and nobody can tell."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from alone import assert_as_alone
from nas_core import Architecture, Candidate
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Loop, Member, Stream
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn


class Backbone(nn.Module):
    """Layers that stay as they are, whatever mode their owner is put into."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2)
        )
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        self.layers.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


class Net(nn.Module):
    def __init__(self, backbone: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        self.head = nn.Sequential(
            nn.Linear(36, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


def recipe(**changes: Any) -> SupervisedEvaluator:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 2, 6, 6, generator=generator)
    y = torch.randint(0, 3, (40,), generator=generator)
    settings: dict[str, Any] = {
        "train": (x, y), "optimizer": "SGD", "optimizer_options": {"lr": 0.1, "momentum": 0.9},
        "epochs": 3, "batch_size": 8, "device": "cpu",
    }  # fmt: skip
    return SupervisedEvaluator(**settings | changes)


def loops(
    changes: dict[str, Any], alike: bool = True, **options: Any
) -> tuple[Loop, list[nn.Module]]:
    """Members with one backbone, or each with its own, and the same modules to train by hand."""
    torch.manual_seed(0)
    backbone = Backbone()
    nets = [
        Net(backbone if alike else Backbone(), width, p)
        for width, p in [(8, 0.0), (8, 0.0), (12, 0.3), (8, 0.3)]
    ]
    members = [
        Member(
            Candidate(i, Architecture({}), seed=i),
            copy.deepcopy(net),
            recipe(**changes),
            Stream(torch.Generator().manual_seed(i)),
        )
        for i, net in enumerate(nets)
    ]
    return Loop(members, [range(len(members))], Options(**options)), list(nets)


def train_by_hand(net: nn.Module, seed: int, epochs: int) -> list[float]:
    evaluator, losses = recipe(), []
    optimizer = evaluator.make_optimizer(net)
    training, _ = evaluator.feeds(seed, torch.device("cpu"))
    torch.manual_seed(seed)
    net.train()
    for _ in range(epochs):
        for x, y in training.epoch():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize("alike", [True, False], ids=["one backbone", "own backbones"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_members_are_trained_as_by_hand(epochs: int, alike: bool) -> None:
    torch.set_default_dtype(torch.float64)
    loop, nets = loops({"epochs": epochs}, alike)
    assert (loop.prepared.features is not None) == (epochs > 1)
    losses = [loop.step(batches) for _ in range(epochs) for batches in loop.batches()]
    outputs, targets = loop.outputs("")
    for number, net in enumerate(nets):
        by_hand = train_by_hand(net, number, epochs)
        assert [row[number].item() for row in losses] == pytest.approx(by_hand, rel=1e-9)
        state = loop.finished(number).state_dict()
        for name, tensor in net.state_dict().items():
            torch.testing.assert_close(state[name], tensor, rtol=1e-9, atol=1e-9)
        (x, y), *_ = recipe().feeds(number, torch.device("cpu"))[1][""].epoch()
        assert torch.equal(targets[number], y)
        torch.testing.assert_close(
            torch.cat(outputs[number]), net.eval()(x).detach(), rtol=1e-9, atol=1e-9
        )


def test_one_backbone_is_computed_once() -> None:
    loop, _ = loops({"epochs": 1})
    loop.step(next(loop.batches()))
    (code,) = loop.merged.code.sources()
    assert code.count("conv2d(") == 1
    assert code.count("batch_norm(") == 1


def test_features_take_its_place() -> None:
    loop, _ = loops({})
    loop.step(next(loop.batches()))
    (code,) = loop.merged.code.sources()
    assert "conv2d(" not in code


def test_a_feature_is_computed_once_to_train_on_and_to_measure_on() -> None:
    loop, _ = loops({})
    assert loop.prepared.features is not None
    assert len(loop.prepared.features.makers) == 1


@pytest.mark.parametrize(
    ("changes", "options"),
    [({}, {"memory": 1000}), ({}, {"exact": True}), ({"data_seed": None}, {}),
     ({"train": lambda: iter(())}, {})],
    ids=["too large", "bits count", "own order", "no tensors"],
)  # fmt: skip
def test_features_are_left_where_they_can_not_be(
    changes: dict[str, Any], options: dict[str, Any]
) -> None:
    if "train" in changes:
        x, y = recipe().train  # type: ignore[misc]
        changes = {"train": lambda: [(x[:8], y[:8])], "validation": (x, y)}
    loop, _ = loops(changes, **options)
    assert loop.prepared.features is None
    assert torch.isfinite(loop.step(next(loop.batches()))).all()


class Steps(Net):
    """Writes what it has read, long after its backbone, and reads it again."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone, 8, 0.0)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        value = self.backbone(x) + self.seen
        self.seen.add_(1)
        return self.head(value * self.seen)


def test_what_reads_features_keeps_its_order() -> None:
    torch.set_default_dtype(torch.float64)
    backbone, given = Backbone(), recipe()
    assert_as_alone([lambda: Steps(backbone)] * 3, given)
