"""The graph engine against TorchScript for each candidate, and against models written by hand.

For a space of 12 layers with 4 operations each, prints how long it takes to make the source of
a candidate, and its module, beside running the constructor and TorchScript for it and beside the
plain constructor of the same model; and one training step of generated code beside the hand-written
model. Each round makes another architecture.
"""

import itertools
from collections.abc import Callable, Iterator

import nas_core as nas
import nas_core.nn as nn
import torch
from nas_core.model import recipe
from nas_engine_graph import convert
from nas_engine_graph.backend import source_of
from nas_engine_graph.mutate.inline import InlineGraphs
from nas_engine_graph.weights import generated
from side_by_side import compare, rounds_asked_for
from training_step import compare_steps, made_alike

LAYERS = 12
OPERATIONS = ("conv3", "conv5", "separable", "pool")


def operation(layers: object, name: str, width: int) -> torch.nn.Module:
    """One of the operations, from ``torch.nn`` or ``nas_core.nn``."""
    made: dict[str, Callable[[], torch.nn.Module]] = {
        "conv3": lambda: layers.Conv2d(width, width, 3, padding=1),
        "conv5": lambda: layers.Conv2d(width, width, 5, padding=2),
        "separable": lambda: layers.Sequential(
            layers.Conv2d(width, width, 3, padding=1, groups=width),
            layers.Conv2d(width, width, 1),
        ),
        "pool": lambda: layers.AvgPool2d(3, stride=1, padding=1),
    }
    return made[name]()


class OpenBlock(nn.Module):
    """A residual block around one of the operations."""

    def __init__(self, width: int, label: str) -> None:
        super().__init__()
        choices = {name: operation(nn, name, width) for name in OPERATIONS}
        self.operation = nn.LayerChoice(choices, label=label)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm(self.operation(x)))


@nas.model_wrapper
class OpenNet(nn.Module):
    """The model space."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(OpenBlock(width, f"op{i}") for i in range(LAYERS)))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class PlainBlock(torch.nn.Module):
    """The same block as anyone would write it."""

    def __init__(self, width: int, name: str) -> None:
        super().__init__()
        self.operation = operation(torch.nn, name, width)
        self.norm = torch.nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm(self.operation(x)))


class PlainNet(torch.nn.Module):
    """The same model as anyone would write it."""

    def __init__(self, width: int, names: list[str]) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, width, 3, padding=1)
        self.blocks = torch.nn.Sequential(*(PlainBlock(width, name) for name in names))
        self.head = torch.nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def compare_width(width: int, rounds: int) -> None:
    """Print the ratios for a network of this width."""
    base, engine = OpenNet(width), nas.engine("graph")
    space, made, inline = nas.Space.of(base), recipe(base), InlineGraphs(base)
    for seed in range(20):  # What a search has behind it after its first candidates.
        inline.of(space.sample(seed=1000 + seed))
        engine.build(base, space.sample(seed=1000 + seed))

    def drawn() -> Iterator[nas.Architecture]:
        return (space.sample(seed=seed) for seed in itertools.count())

    first, second, third, fourth = (drawn() for _ in range(4))

    def source() -> object:
        graph = inline.of(next(first))
        return generated(graph, graph).source

    def source_by_torchscript() -> object:
        return source_of(convert(made.build(next(second))))

    def module() -> object:
        return engine.build(base, next(third))

    def by_hand() -> object:
        return PlainNet(width, list(next(fourth).values()))

    def module_by_torchscript() -> object:
        model = made.build(next(second))
        twin = source_of(convert(model)).instantiate()
        return twin.load_state_dict(model.state_dict())

    size = sum(parameter.numel() for parameter in PlainNet(width, ["conv3"] * LAYERS).parameters())
    print(f"width {width}: {size:,} parameters if all are conv3")
    few = max(5, rounds // 4)
    print(f"  source   TorchScript / engine  {compare(source_by_torchscript, source, few)}")
    print(f"  module   TorchScript / engine  {compare(module_by_torchscript, module, few)}")
    print(f"  source   engine / by hand      {compare(source, by_hand, rounds)}")
    print(f"  module   engine / by hand      {compare(module, by_hand, rounds)}")
    train(width, rounds)


def train(width: int, rounds: int) -> None:
    """Print the ratio of one training step."""
    base = OpenNet(width)
    architecture = nas.Space.of(base).sample(seed=0)
    built, plain = made_alike(
        lambda: nas.engine("graph").build(base, architecture),
        lambda: PlainNet(width, list(architecture.values())),
    )
    training = compare_steps(built, plain, rounds)
    print(f"  training step  engine / by hand  {training}")


if __name__ == "__main__":
    rounds = rounds_asked_for(__doc__, 40)
    for width in (16, 64):
        compare_width(width, rounds)
