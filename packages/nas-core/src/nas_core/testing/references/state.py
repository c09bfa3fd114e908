"""Models with more than layers in them: own parameters and buffers, shared weights, inputs."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import Any

import torch

import nas_core as nas
import nas_core.nn as nn
from nas_core.architecture import Architecture
from nas_core.testing.references.reference import Reference, rows

__all__ = ["STATE"]


@nas.model_wrapper
class StateSpace(nn.Module):
    """A parameter and buffers of its own, in-place operations, and one weight in two layers."""

    seen: torch.Tensor
    mask: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([3, 5], label="width")
        self.scale = nn.Parameter(torch.rand(4))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0, 1.0]), persistent=False)
        self.encode = nn.Linear(4, width)
        self.hidden = nn.Linear(width, width)
        self.again = nn.Linear(width, width, bias=False)
        self.again.weight = self.hidden.weight
        self.act = nn.LayerChoice([nn.ReLU(inplace=True), nn.Hardtanh()], label="act")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += x.shape[0]
        x = self.hidden(self.encode(x * self.scale * self.mask))
        y = x.clone()
        y[:, 0].mul_(2.0)
        return self.again(self.act(y)) + x


class State(torch.nn.Module):
    seen: torch.Tensor
    mask: torch.Tensor

    def __init__(self, width: int, act: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand(4))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0, 1.0]), persistent=False)
        self.encode = torch.nn.Linear(4, width)
        self.hidden = torch.nn.Linear(width, width)
        self.again = torch.nn.Linear(width, width, bias=False)
        self.again.weight = self.hidden.weight
        self.act = torch.nn.Hardtanh() if act else torch.nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += x.shape[0]
        x = self.hidden(self.encode(x * self.scale * self.mask))
        y = x.clone()
        y[:, 0].mul_(2.0)
        return self.again(self.act(y)) + x


class Join(nn.Module):
    """A layer of two tensors and a number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(8, width)

    def forward(self, x: torch.Tensor, y: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        return self.layer(torch.cat([x, y * weight], dim=1))


class Mix(nn.Module):
    """The same inputs, used otherwise."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Bilinear(4, 4, width)

    def forward(self, x: torch.Tensor, y: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        return self.layer(x, y) * weight


@nas.model_wrapper
class UnlabelledSpace(nn.Module):
    """A choice of layers with several inputs; no choice has a label."""

    def __init__(self, width: int, first: Any = torch.nn.Tanh) -> None:
        super().__init__()
        self.first = first()
        self.join = nn.LayerChoice([Mix(width), Join(width)])
        self.head = nn.Linear(width, nn.ValueChoice([1, 2]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.join(x, self.first(x), weight=0.5))


class Unlabelled(torch.nn.Module):
    def __init__(self, join: int, outputs: int) -> None:
        super().__init__()
        self.first = torch.nn.Sigmoid()
        self.join = Join(3) if join else Mix(3)
        self.head = torch.nn.Linear(3, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.join(x, self.first(x), weight=0.5))


def _unlabelled(a: Architecture) -> torch.nn.Module:
    join, outputs = a.values()
    return Unlabelled(join, outputs)


STATE = (
    Reference("parameters, buffers, shared weights", StateSpace, lambda a: State(**a), rows),
    Reference(
        "several inputs and no labels",
        lambda: UnlabelledSpace(3, first=torch.nn.Sigmoid),
        _unlabelled,
        rows,
    ),
)
