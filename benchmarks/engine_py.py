"""The pure-Python engine against the plain constructor of the same model, written by hand.

Prints three ratios for networks of three sizes: building the model of one architecture again and
again, building that of another one each time (which is checked anew), and one training step.
"""

import itertools
from collections.abc import Sequence

import nas_core as nas
import nas_core.nn as nn
import torch
from side_by_side import compare, rounds_asked_for
from training_step import compare_steps, made_alike


class OpenBlock(nn.Module):
    """A residual block with two choices in it."""

    def __init__(self, channels: int, label: str) -> None:
        super().__init__()
        kernel = nn.ValueChoice([3, 5], label=f"{label}.kernel")
        self.first = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.LayerChoice(
            {"conv": nn.Conv2d(channels, channels, 3, padding=1), "skip": nn.Identity()},
            label=f"{label}.second",
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(torch.relu(self.norm(self.first(x)))))


@nas.model_wrapper
class OpenNet(nn.Module):
    """The model space."""

    def __init__(self, widths: tuple[int, int]) -> None:
        super().__init__()
        width = nn.ValueChoice(list(widths), label="width")
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Repeat(lambda i: OpenBlock(width, f"block{i}"), (2, 8), label="depth")
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class PlainBlock(torch.nn.Module):
    """The same block as anyone would write it."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = torch.nn.BatchNorm2d(channels)
        self.second = torch.nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(torch.relu(self.norm(self.first(x)))))


class PlainNet(torch.nn.Module):
    """The same model as anyone would write it."""

    def __init__(self, width: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, width, 3, padding=1)
        self.blocks = torch.nn.Sequential(*(PlainBlock(width, kernel) for kernel in kernels))
        self.head = torch.nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def compare_sizes(name: str, width: int, depth: int, rounds: int) -> None:
    """Print the ratios for a network of this size."""
    kernels = [3, 5] * (depth // 2)
    base = OpenNet((width, 2 * width))
    architecture = _architecture(base, width, kernels)
    # More than a model remembers.
    others = list(itertools.islice(itertools.product([3, 5], repeat=depth), 16))
    engine = nas.engine("py")
    built, plain = made_alike(
        lambda: engine.build(base, architecture), lambda: PlainNet(width, kernels)
    )
    size = sum(parameter.numel() for parameter in plain.parameters())
    building = compare(
        lambda: engine.build(base, architecture), lambda: PlainNet(width, kernels), rounds
    )
    ours = itertools.cycle([_architecture(base, width, x) for x in others])
    theirs = itertools.cycle(others)
    changing = compare(
        lambda: engine.build(base, next(ours)), lambda: PlainNet(width, next(theirs)), rounds
    )
    training = compare_steps(built, plain, rounds)
    print(f"{name}: {size:,} parameters; {1000 * building.theirs:.2f} ms by hand to build")
    print(f"  build           engine / by hand  {building}")
    print(f"  build, another  engine / by hand  {changing}")
    print(f"  training step   engine / by hand  {training}")


def _architecture(base: OpenNet, width: int, kernels: Sequence[int]) -> nas.Architecture:
    decisions = {f"block{i}.kernel": kernel for i, kernel in enumerate(kernels)}
    decisions |= {f"block{i}.second": "conv" for i in range(len(kernels))}
    return nas.Space.of(base).validate({"width": width, "depth": len(kernels), **decisions})


if __name__ == "__main__":
    rounds = rounds_asked_for(__doc__, 40)
    compare_sizes("tiny", width=8, depth=4, rounds=rounds)
    compare_sizes("medium", width=128, depth=8, rounds=rounds)
    compare_sizes("large", width=256, depth=8, rounds=rounds)
