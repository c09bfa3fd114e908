"""Choices of how many: copies of a block that are tied, and blocks that choose for themselves."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import Any

import torch

import nas_core as nas
import nas_core.nn as nn
from nas_core.architecture import Architecture
from nas_core.testing.references.reference import Reference, rows

__all__ = ["REPEATS"]


class Step(nn.Module):
    """A block with a skip connection, whose width is given."""

    def __init__(self, width: Any) -> None:
        super().__init__()
        self.up = nn.Linear(4, width)
        self.down = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(x)))


@nas.model_wrapper
class RepeatSpace(nn.Module):
    """A chain of 0 to 2 blocks, each with a width of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Repeat(
            lambda i: Step(nn.ValueChoice([2, 3], label=f"width{i}")), (0, 2), label="depth"
        )
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x))


class PlainStep(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = torch.nn.Linear(4, width)
        self.down = torch.nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(x)))


class Chain(torch.nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(*(PlainStep(width) for width in widths))
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x))


def _chain(a: Architecture) -> torch.nn.Module:
    return Chain([a[f"width{i}"] for i in range(a["depth"])])


@nas.model_wrapper
class TiedSpace(nn.Module):
    """Copies of one block, as many as another choice says, all with the same layer chosen."""

    def __init__(self) -> None:
        super().__init__()
        n = nn.ValueChoice([1, 2], label="n")
        self.act = nn.Repeat(nn.LayerChoice([nn.Sigmoid(), nn.Tanh()], label="act"), n + 1)
        self.head = nn.Linear(4, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(x))


class Tied(torch.nn.Module):
    def __init__(self, n: int, act: int) -> None:
        super().__init__()
        layer = torch.nn.Tanh if act else torch.nn.Sigmoid
        self.act = torch.nn.Sequential(*(layer() for _ in range(n + 1)))
        self.head = torch.nn.Linear(4, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(x))


REPEATS = (
    Reference("Repeat of 0 to n", RepeatSpace, _chain, rows),
    Reference("Repeat with tied choices", TiedSpace, lambda a: Tied(**a), rows),
)
