"""What only Python can run: decisions made while the model is built, and a forward of any kind."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Iterator

import torch

import nas_core as nas
import nas_core.nn as nn
from nas_core.architecture import Architecture
from nas_core.testing.references.reference import Reference, rows

__all__ = ["PYTHON"]


@nas.model_wrapper
class ChooseSpace(nn.Module):
    """A loop over a chosen depth, with a decision in each turn."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        width = 4
        for i in range(nas.choose([1, 2], label="depth")):
            layers.append(nn.Linear(width, nas.choose([2, 3], label=f"width{i}")))
            width = nas.choose([2, 3], label=f"width{i}")
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Layers(torch.nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        pairs = zip([4, *widths], widths, strict=False)
        self.layers = torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in pairs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _layers(a: Architecture) -> torch.nn.Module:
    return Layers([a[f"width{i}"] for i in range(a["depth"])])


@nas.model_wrapper
class GeneratorSpace(nn.Module):
    """A forward that no compiler reads: a generator, keywords, and a look at the data."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, nn.ValueChoice([4, 5], label="width"))

    def steps(self, **options: torch.Tensor) -> Iterator[torch.Tensor]:
        for value in options.values():
            yield self.layer(value) if value.sum().item() < 1e9 else value

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip("ab", self.steps(a=x, b=-x), strict=True))


class Generator(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, width)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"a": self.layer(x), "b": self.layer(-x)}


PYTHON = (
    Reference("choose", ChooseSpace, _layers, rows, frozenset({"choose"})),
    Reference(
        "any Python in forward",
        GeneratorSpace,
        lambda a: Generator(**a),
        rows,
        frozenset({"any-python"}),
    ),
)
