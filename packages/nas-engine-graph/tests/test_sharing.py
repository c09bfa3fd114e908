"""Tensors that share memory: what is written through one is seen in the others, and trained."""

import pytest
import torch
from torch import Tensor, nn

from nas_engine_graph import convert
from nas_engine_graph.ir import parse

# TorchScript says that it is deprecated wherever it is called.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


class Overlapping(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        rows, means = torch.randn(size + 1, size), torch.arange(size + 1.0)
        self.first, self.last = nn.Linear(size, size), nn.Linear(size, size)
        self.first.weight, self.last.weight = nn.Parameter(rows[:-1]), nn.Parameter(rows[1:])
        self.norms = nn.Sequential(nn.BatchNorm1d(size), nn.BatchNorm1d(size))
        self.norms[0].running_mean, self.norms[1].running_mean = means[:-1], means[1:]

    def forward(self, x):
        return self.norms(self.last(self.first(x)))


class OverlapsInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        rows = torch.randn(6, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0)
        self.layer.linear1.weight = nn.Parameter(rows[:4])
        self.layer.linear2.weight = nn.Parameter(rows[2:])

    def forward(self, x):
        return self.layer(x)


class TakenApart(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3))
        self.first, self.second = self.weight.unbind()

    def forward(self, x):
        return x * self.first + self.second


class TakesApart(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3))

    def forward(self, x):
        first, second = self.weight.unbind()
        return x * first + second


def trained(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The state after some steps."""
    optimizer = torch.optim.Adam(module.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    return module.state_dict()


@pytest.mark.parametrize("size", [3, 20])  # The weights are kept, or drawn anew.
def test_layers_of_which_none_has_all_memory_are_trained_as_yours(size: int) -> None:
    module, x = Overlapping(size), torch.randn(4, size)
    twin = parse(str(convert(module))).instantiate()
    assert torch.equal(twin.first.weight[1:], twin.last.weight[:-1])
    twin.load_state_dict(module.state_dict())
    with torch.no_grad():
        for made in (module, twin):
            made.first.weight[1] = 5
            made.norms[1].running_mean[0] = 7
    assert bool((twin.last.weight[0] == 5).all()) and twin.norms[0].running_mean[1] == 7
    ours, theirs = trained(module, x), trained(twin, x)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert convert(twin) == convert(module)


def test_weights_inside_of_one_layer_that_share_a_memory_are_trained_as_yours() -> None:
    module, x = OverlapsInside(), torch.randn(3, 2, 4)
    twin = parse(str(convert(module))).instantiate()
    twin.load_state_dict(module.state_dict())
    ours, theirs = trained(module, x), trained(twin, x)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert torch.equal(theirs["layer.linear1.weight"][2:], theirs["layer.linear2.weight"][:2])


def test_views_of_unbind_are_trained_as_if_taken_in_forward() -> None:
    module, x = TakenApart(), torch.randn(2, 3)
    twin = convert(module).instantiate()
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(x), module(x))
    expected = trained(TakesApart(), x)
    assert torch.equal(trained(twin, x)["weight"], expected["weight"])
    with pytest.raises(RuntimeError, match="Output 0 of Unbind"):
        trained(module, x)
