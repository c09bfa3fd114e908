"""The cells of nas-core in this engine: the candidates of the py engine, to the bit.

NAS_GRAPH_ARCHITECTURES sets how many of each.
"""

from __future__ import annotations

import os

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from torch import Tensor

from nas_engine_graph.engine import GraphEngine

_COUNT = int(os.environ.get("NAS_GRAPH_ARCHITECTURES", "12"))

OPERATIONS = {
    "skip": lambda a, b: nn.Identity(),
    "conv": lambda a, b: nn.Conv2d(a, b, 3, padding=1),
    "pool": lambda a, b: nn.AvgPool2d(3, 1, 1),
}


@nas.model_wrapper
class NasBench201(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.NasBench201Cell(OPERATIONS, 4, 4, label="cell")

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)


@nas.model_wrapper
class NasBench101(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        operations = {name: lambda f, make=make: make(f, f) for name, make in OPERATIONS.items()}
        self.cell = nn.NasBench101Cell(
            operations, 4, 8, lambda a, b: nn.Conv2d(a, b, 1), max_num_nodes=6, label="cell"
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)


@nas.model_wrapper
class Darts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        operations = {
            name: lambda n, k, i, make=make: make(4, 4) for name, make in OPERATIONS.items()
        }
        self.cell = nn.Cell(operations, 3, 2, 2, merge_op="loose_end", label="cell")

    def forward(self, x: Tensor) -> Tensor:
        return self.cell([x, x * 2])


@nas.model_wrapper
class Activated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.AutoActivation(2, label="act")

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)


@nas.model_wrapper
class InChains(nn.Module):
    """Cells, which take a list, in Sequentials and blocks that are repeated."""

    def __init__(self) -> None:
        super().__init__()

        def cell(i: int) -> torch.nn.Module:
            operations = [lambda n, k, i: nn.Conv2d(4, 4, 1), nn.AvgPool2d(3, 1, 1)]
            return nn.Cell(operations, 2, 1, 1, postprocessor=FirstAndMean(), label=f"cell{i}")

        body = nn.Repeat(lambda i: nn.Sequential(cell(i), nn.ReLU()), (1, 2), label="depth")
        self.body = nn.Sequential(nn.Conv2d(4, 4, 1), body, cell(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.body[0](x)


class FirstAndMean(nn.Module):
    def forward(self, x: Tensor, first: list[Tensor]) -> Tensor:
        n, _, h, w = x.shape
        return x.view(n, -1, 4, h, w).mean(1) + first[0]


@nas.model_wrapper
class OfAWidth(nn.Module):
    """A cell whose channels are a choice, which attributes hold, too."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([4, 6], label="width")
        operations = {"conv": lambda f: nn.Conv2d(f, f, 3, padding=1), "skip": lambda f: nn.ReLU()}
        self.cell = nn.NasBench101Cell(
            operations, 4, width, lambda a, b: nn.Conv2d(a, b, 1), max_num_nodes=4, label="cell"
        )
        self.parts, self.sizes = [width // 2, width], {"all": (width, width - 2)}

    def forward(self, x: Tensor) -> Tensor:
        x = self.cell(x)
        return x[:, self.parts[0] : self.parts[1], : self.sizes["all"][1]]


@pytest.mark.parametrize("kind", [NasBench201, NasBench101, Darts, Activated, InChains, OfAWidth])
def test_a_candidate_is_that_of_the_py_engine(kind: type[torch.nn.Module]) -> None:
    net, engine = kind(), GraphEngine()
    space = nas.Space.of(net)
    x = torch.randn(2, 4, 5, 5)
    for seed in range(_COUNT):
        architecture = space.sample(seed=seed)
        torch.manual_seed(seed)
        expected = nas.build(net, architecture)
        torch.manual_seed(seed)
        built = engine.build(net, architecture)
        assert list(built.state_dict()) == list(expected.state_dict())
        assert torch.equal(built(x), expected(x))
        assert "nas_core" not in engine.export(net, architecture, "code")
