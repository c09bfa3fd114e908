"""Results are put where an operand was, but only where nobody misses that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from alone import assert_steps_as_alone
from torch import Tensor, nn
from torch.nn import functional


class Net(nn.Module):
    """Two normalised convolutions, and what is done with them."""

    def __init__(self, ending: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.pixels = nn.Conv2d(2, 3, 1)
        # Alike they would be one, and what is cut out of it is changed nowhere.
        self.norm, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3, momentum=0.2)
        self.head = nn.Linear(3, 4)
        self.ending = ending

    def forward(self, x: Tensor) -> Tensor:
        made = self.ending(self.norm(self.conv(x)), self.other(self.pixels(x)))
        return self.head(made.mean((2, 3))).relu().sum(1)


def without_gradient(a: Tensor, b: Tensor) -> Tensor:
    with torch.no_grad():
        gate = a.relu()
    return a * 0 + gate * b


ENDINGS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], list[str]]] = {
    "once": (lambda a, b: a.relu() * b.sigmoid(), ["relu_", "sigmoid_"]),
    "torch.add": (lambda a, b: torch.add(a, b).tanh(), ["add_", "tanh_"]),
    "operator": (lambda a, b: a + b, ["add_"]),
    "with itself": (lambda a, b: a + a + b, ["add_"]),
    "with a number": (lambda a, b: a + 1 + b, ["add_"]),
    "with a factor": (lambda a, b: torch.add(a, b, alpha=2).relu(), ["relu_"]),
    "broadcast": (lambda a, b: a.mean((2, 3), keepdim=True) + b, []),
    "read again": (lambda a, b: a.relu() + a * b.tanh(), ["tanh_"]),
    "read by its gradient": (lambda a, b: (a.relu() + b).sigmoid(), ["relu_", "sigmoid_"]),
    "a view": (lambda a, b: a.transpose(2, 3).relu() + b * a, []),
    "of a number": (lambda a, b: a.exp().relu() + b, []),
    "without a gradient": (without_gradient, []),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_changes_what_nobody_else_reads(name: str) -> None:
    ending, expected = ENDINGS[name]
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules = [Net(ending).double() for _ in range(3)]
    batches = [torch.randn(size, 2, 4, 4, generator=generator).double() for size in (5, 3)]
    merged = assert_steps_as_alone(modules, *([batch] for batch in batches))
    (function,) = merged.code.functions()
    lines = [line for line in function.source.splitlines() if "_(v" in line]
    assert [line.partition("_(v")[0].rpartition(".")[2] + "_" for line in lines] == [
        *expected, "relu_",
    ]  # fmt: skip


def test_convolutions_of_pixels_are_views() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules = [
            nn.Sequential(nn.Conv2d(2, 3, size), nn.ReLU(), nn.Flatten()).double()
            for size in (1, 1, 3, 3)
        ]
    x = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    merged = assert_steps_as_alone(modules, [x])
    (function,) = merged.code.functions()
    assert function.source.count("torch.relu_") == 1


class Counting(nn.Module):
    """Reads what it has added to a buffer, which is no value of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.register_buffer("seen", torch.linspace(-2, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        made = self.head(x)
        self.seen.add_(made.detach().mean(0))
        return (made * self.seen.relu()).sum(1)


def test_buffers_stay_what_they_are() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules = [Counting().double() for _ in range(3)]
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(5, 4, generator=generator).double() for _ in range(3)]
    assert_steps_as_alone(modules, *([batch] for batch in batches))


class Twice(nn.Module):
    """An activation of what it has given, of which something else reads the first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        once = functional.relu(self.conv(x))
        return (self.other(functional.relu(once)) + once.sum(1, keepdim=True)[..., 1:, 1:]).sum(
            (1, 2, 3)
        )


def test_an_activation_of_itself_is_made_once() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules = [Twice().double() for _ in range(3)]
        x = torch.randn(5, 2, 4, 4).double()
    merged = assert_steps_as_alone(modules, [x])
    (function,) = merged.code.functions()
    assert function.source.count("relu") == 1
