"""The pure-Python engine against the plain constructors of two model spaces of a user's size.

Prints for the space of 12 layers of ``engine_graph.py`` and for that of ``examples/digits`` how
long it takes to build a candidate beside the plain constructor of the same model, each round
another architecture. The digits load numpy, whose random state a build keeps as well.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_graph
import nas_core as nas
from side_by_side import compare, rounds_asked_for
from torch import nn
from training_step import made_alike

sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "digits"))
import space as digits


class Separable(nn.Module):
    """The block of the digits with two pointwise convolutions, as anyone would write it."""

    def __init__(self, channels: int, expansion: int, kernel: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.layers = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1, bias=False),
        )


class Block(nn.Module):
    """The residual block."""

    def __init__(self, channels: int, label: str, chosen: nas.Architecture) -> None:
        super().__init__()
        match chosen[f"{label}.operation"]:
            case "conv":
                self.operation = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            case "separable":
                expansion, kernel = chosen[f"{label}.expansion"], chosen[f"{label}.kernel"]
                self.operation = Separable(channels, expansion, kernel)
            case _:
                self.operation = nn.AvgPool2d(3, stride=1, padding=1)
        self.norm = nn.BatchNorm2d(channels)


class Digits(nn.Module):
    """The model."""

    def __init__(self, chosen: nas.Architecture) -> None:
        super().__init__()
        width, double = chosen["width"], 2 * chosen["width"]
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.fine = nn.Sequential(
            *(Block(width, f"fine.{i}", chosen) for i in range(chosen["fine.depth"]))
        )
        self.down = nn.Sequential(
            nn.Conv2d(width, double, 2, stride=2, bias=False), nn.BatchNorm2d(double)
        )
        self.coarse = nn.Sequential(
            *(Block(double, f"coarse.{i}", chosen) for i in range(chosen["coarse.depth"]))
        )
        self.seen = nas.nn.ChosenInputs(chosen["head.sees"], 2, "sum")
        self.dropout = nn.Dropout(chosen["dropout"])
        self.head = nn.Linear(double * 4 * 4, 10)


def compare_space(
    name: str, base: nn.Module, by_hand: Callable[[nas.Architecture], nn.Module], rounds: int
) -> None:
    """Print the ratio for a space."""
    space, engine = nas.Space.of(base), nas.engine("py")

    def drawn() -> Iterator[nas.Architecture]:
        return iter([space.sample(seed=seed) for seed in range(rounds + 2)])

    for architecture in drawn():
        made_alike(
            lambda architecture=architecture: engine.build(base, architecture),
            lambda architecture=architecture: by_hand(architecture),
        )
    ours, theirs = itertools.cycle(drawn()), itertools.cycle(drawn())
    built = compare(lambda: engine.build(base, next(ours)), lambda: by_hand(next(theirs)), rounds)
    print(f"{name}: {1000 * built.theirs:.2f} ms by hand to build")
    print(f"  build, another  engine / by hand  {built}")


if __name__ == "__main__":
    rounds = rounds_asked_for(__doc__, 200)
    for width in (16, 64):
        compare_space(
            f"12 layers, width {width}",
            engine_graph.OpenNet(width),
            lambda chosen, width=width: engine_graph.PlainNet(width, list(chosen.values())),
            rounds,
        )
    compare_space("digits", digits.Net(), Digits, rounds)
