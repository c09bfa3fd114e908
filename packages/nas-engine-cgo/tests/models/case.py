"""What a case is, and where it stands in a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


class Do(nn.Module):
    """A forward from a function, with modules and parameters for it."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self._function = function
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)

    def forward(self, *inputs: Tensor) -> Any:
        return self._function(self, *inputs)


@dataclass(frozen=True)
class Case:
    """A kind of module.

    Attributes:
        make: makes one, with random weights.
        shape: that of its input without the batch.
        fused: the functions of it that have to be fused.
        classes: if its input are indices, how many there are.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    fused: str = ""
    classes: int = 0


def direct(module: nn.Module, case: Case) -> nn.Module:
    """The module at the input of all members."""
    return Do(_gained, gain=torch.rand(()) + 0.5, body=module)


def _gained(m: Any, x: Tensor) -> Any:
    found = m.body(x)
    if not isinstance(found, (tuple, list)):
        return found * m.gain
    return tuple(part * m.gain for part in found if isinstance(part, Tensor))


def scaled(module: nn.Module, case: Case) -> nn.Module:
    """The module behind something that computes for each member its own input, in a stack."""
    size = case.shape[-1] if case.shape else 1
    return Do(lambda m, x: m.body(x * m.scale), scale=torch.rand(size) + 0.5, body=module)


def normalised(module: nn.Module, case: Case) -> nn.Module:
    """The same with channels side by side."""
    kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
    return nn.Sequential(kind[len(case.shape)](case.shape[0]), module)


def function(act: Callable[..., Any], shape: tuple[int, ...], fused: str, **parts: Any) -> Case:
    """A case without modules of its own; parts are the shapes of its parameters."""

    def make() -> nn.Module:
        return Do(act, **{name: torch.randn(size) for name, size in parts.items()})

    return Case(make, shape, fused)


def layer(make: Callable[[], nn.Module], shape: tuple[int, ...], fused: str = "") -> Case:
    return Case(make, shape, fused)


IMAGE, SIGNAL, VOLUME, ROWS, ROW = (4, 6, 7), (4, 9), (4, 5, 4, 6), (5, 8), (8,)
