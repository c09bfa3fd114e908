"""Sizes of a model."""

import copy

import pytest
import torch
from nas_search.metrics import flops, parameters
from torch import nn


class Odd(nn.Module):
    """Shared weights, a buffer, a plain tensor attribute, batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.b.weight = self.a.weight
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.plain = torch.ones(4)
        self.register_buffer("offset", torch.ones(4))

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return self.drop(self.norm(self.b(self.a(x) * self.plain) + self.offset)) * scale


def test_shared_parameters_count_once() -> None:
    assert parameters(Odd()) == 16 + 4 + 4 + 4 + 4


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Linear(8, 3), (5, 8), 2 * 5 * 8 * 3),
        (nn.Conv2d(2, 4, 3, padding=1), (1, 2, 8, 8), 2 * 64 * 9 * 2 * 4),
        (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 8, 8), 2 * 36 * 9 * 4),
        (nn.ReLU(), (3, 3), 0),
    ],
)
def test_flops_of_known_layers(model: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    assert flops(model, torch.zeros(shape)) == expected


def test_the_model_and_the_generator_are_not_touched() -> None:
    model = Odd().train()
    before, identities = copy.deepcopy(model.state_dict()), [id(p) for p in model.parameters()]
    state = torch.get_rng_state()
    assert flops(model, torch.zeros(2, 4), 2.0) == 2 * 2 * 16 * 2
    assert model.training
    assert [id(p) for p in model.parameters()] == identities
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.device.type == "cpu" and p.grad is None for p in model.parameters())
    assert torch.equal(state, torch.get_rng_state())
    assert model.plain.device.type == "cpu"


def test_a_model_that_looks_at_values_is_refused_with_the_reason() -> None:
    class Looks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum().item() > 0 else -x

    with pytest.raises(RuntimeError) as caught:
        flops(Looks(), torch.zeros(1))
    assert "meta device" in caught.value.__notes__[0]
