"""Choices among values: in the arguments of layers, in arithmetic, and called in forward."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import Any

import torch

import nas_core as nas
import nas_core.nn as nn
from nas_core.testing.references.reference import Reference, images, rows

__all__ = ["VALUES"]


@nas.model_wrapper
class ArithmeticSpace(nn.Module):
    """Widths and kernels computed from choices, also inside of tuples."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([2, 4], label="width")
        kernel = nn.ValueChoice([1, 3], label="kernel")
        wide = nn.ValueChoice.max(width * 2 - 1, 4)
        bias = nn.ValueChoice.condition(kernel == 3, True, False)
        self.first = nn.Conv2d(1, width, (kernel, 1), padding=(kernel // 2, 0), bias=bias)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, wide, kernel, padding=(kernel - 1) // 2)
        self.head = nn.Linear(wide, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(torch.relu(self.norm(self.first(x))))
        return self.head(x.mean((2, 3)))


class Arithmetic(torch.nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        wide = max(width * 2 - 1, 4)
        self.first = torch.nn.Conv2d(
            1, width, (kernel, 1), padding=(kernel // 2, 0), bias=kernel == 3
        )
        self.norm = torch.nn.BatchNorm2d(width)
        self.second = torch.nn.Conv2d(width, wide, kernel, padding=(kernel - 1) // 2)
        self.head = torch.nn.Linear(wide, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(torch.relu(self.norm(self.first(x))))
        return self.head(x.mean((2, 3)))


@nas.model_wrapper
class CalledSpace(nn.Module):
    """A choice of a number that forward asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.ValueChoice([0.5, 2.0], label="scale")
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x * self.scale())


class Called(torch.nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x * self.scale)


@nas.basic_unit
class Power(nn.Module):
    """A basic unit: its constructor sees the value of the choice, its forward is any Python."""

    def __init__(self, width: int, exponent: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width))
        self.exponent = exponent

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.exponent - 1):
            x = x * torch.tanh(x)
        return x * self.weight


@nas.model_wrapper
class UnitSpace(nn.Module):
    """A layer of the user's own that is given choices."""

    def __init__(self) -> None:
        super().__init__()
        width: Any = nn.ValueChoice([3, 4], label="width")
        exponent: Any = nn.ValueChoice([1, 2], label="exponent")
        self.inner = nn.Linear(4, width)
        self.unit = Power(width, exponent=exponent)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.unit(self.inner(x))


class Unit(torch.nn.Module):
    def __init__(self, width: int, exponent: int) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(4, width)
        self.unit = Power(width, exponent)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.unit(self.inner(x))


VALUES = (
    Reference("ValueChoice in arguments", ArithmeticSpace, lambda a: Arithmetic(**a), images),
    Reference("ValueChoice in forward", CalledSpace, lambda a: Called(**a), rows),
    Reference("basic_unit with choices", UnitSpace, lambda a: Unit(**a), rows),
)
