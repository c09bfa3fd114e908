"""Choices among layers: named, listed, nested, and two that are one decision."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch

import nas_core as nas
import nas_core.nn as nn
from nas_core.architecture import Architecture
from nas_core.testing.references.reference import Reference, images, rows

__all__ = ["LAYERS"]


@nas.model_wrapper
class NamedSpace(nn.Module):
    """One of three named layers, with parameters, with buffers, and with neither."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.body = nn.LayerChoice(
            {
                "conv": nn.Conv2d(4, 4, 3, padding=1),
                "norm": nn.BatchNorm2d(4),
                "skip": nn.Identity(),
            },
            label="body",
        )
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.body(torch.relu(self.stem(x))))
        return self.head(x.mean((2, 3)))


class Named(torch.nn.Module):
    def __init__(self, body: str) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(1, 4, 3, padding=1)
        if body == "conv":
            self.body: torch.nn.Module = torch.nn.Conv2d(4, 4, 3, padding=1)
        else:
            self.body = torch.nn.BatchNorm2d(4) if body == "norm" else torch.nn.Identity()
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.body(torch.relu(self.stem(x))))
        return self.head(x.mean((2, 3)))


@nas.model_wrapper
class ListedSpace(nn.Module):
    """Two of each one of two listed layers: the same decision by one label."""

    def __init__(self, drop: float) -> None:
        super(ListedSpace, self).__init__()  # noqa: UP008 - as old code has it
        self.first = nn.LayerChoice([nn.ReLU(), nn.Linear(4, 4)], label="layer")
        self.drop = nn.Dropout(drop)
        self.second = nn.LayerChoice([nn.Tanh(), nn.Linear(4, 4, bias=False)], label="layer")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.drop(self.first(x)))


class Listed(torch.nn.Module):
    def __init__(self, layer: int) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4) if layer else torch.nn.ReLU()
        self.drop = torch.nn.Dropout(0.5)
        self.second = torch.nn.Linear(4, 4, bias=False) if layer else torch.nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.drop(self.first(x)))


@nas.model_wrapper
class NestedSpace(nn.Module):
    """A layer that is chosen among others holds choices itself."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LayerChoice(
            {
                "deep": nn.Sequential(
                    nn.Linear(4, nn.ValueChoice([5, 6], label="width")),
                    nn.LayerChoice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act"),
                    nn.Linear(nn.ValueChoice([5, 6], label="width"), 4),
                ),
                "flat": nn.Linear(4, 4),
            },
            label="body",
        )
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class Nested(torch.nn.Module):
    def __init__(self, body: str, act: str, width: int) -> None:
        super().__init__()
        if body == "deep":
            self.body: torch.nn.Module = torch.nn.Sequential(
                torch.nn.Linear(4, width),
                torch.nn.ReLU() if act == "relu" else torch.nn.Tanh(),
                torch.nn.Linear(width, 4),
            )
        else:
            self.body = torch.nn.Linear(4, 4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def _nested(a: Architecture) -> torch.nn.Module:
    return Nested(a["body"], a.get("act", "relu"), a.get("width", 0))


LAYERS = (
    Reference("LayerChoice of a dict", NamedSpace, lambda a: Named(a["body"]), images),
    Reference(
        "LayerChoice of a list", lambda: ListedSpace(0.5), lambda a: Listed(a["layer"]), rows
    ),
    Reference("nested LayerChoice", NestedSpace, _nested, rows),
)
