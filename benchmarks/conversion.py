"""The conversion of a module against one ``torch.jit.script`` of it, and how both directions grow.

Prints a ratio for each of some ordinary models; then, for networks of 10, 100 and 1,000 layers, how
much longer conversion, code generation and one edit take where there are ten times as many layers.
"""

import argparse
import warnings
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from nas_engine_graph import Graph, convert
from nas_engine_graph.ir import Layer, replace_member, verify
from side_by_side import compare
from torch import nn


class Residual(nn.Module):
    """Two convolutions with a way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.second(F.relu(self.norm(self.first(x)))))


class ResidualNet(nn.Module):
    """A stem, blocks in a Sequential, and a head."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(depth)))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Attention(nn.Module):
    """A transformer layer as people write it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        x = x + self.out(mixed.reshape(batch, length, width))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Tokens in, logits out."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, width)
        self.layers = nn.ModuleList(Attention(width, 4) for _ in range(depth))
        self.head = nn.Linear(width, 100)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class FourOperations(nn.Module):
    """One layer, and four operations in all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x)) * 2 + x


class Chain(nn.Module):
    """As many layers as wanted, one after the other."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FourOperations(4) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def mlp() -> nn.Module:
    """Make a multilayer perceptron."""
    hidden = (layer for _ in range(3) for layer in (nn.Linear(64, 64), nn.ReLU()))
    return nn.Sequential(*hidden, nn.Linear(64, 10))


def cnn() -> nn.Module:
    """Make a small convolutional net."""
    widths = (3, 16, 32, 64)
    blocks = (
        layer
        for before, after in pairwise(widths)
        for layer in (nn.Conv2d(before, after, 3), nn.BatchNorm2d(after), nn.ReLU())
    )
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "MLP": mlp,
    "CNN": cnn,
    "12 layers of 4 operations": lambda: Chain(12),
    "transformer of 4 layers": lambda: Transformer(32, 4),
    "residual net of 4 blocks": lambda: ResidualNet(16, 4),
    "residual net of 16 blocks": lambda: ResidualNet(16, 16),
}


def edited(graph: Graph, depth: int) -> Graph:
    """Replace the layer in the middle, and check the result."""
    layer = Layer("torch.nn.Linear", (4, 4), (("bias", False),))
    return verify(replace_member(graph, f"layers.{depth // 2}.linear", layer))


def against_script(rounds: int) -> None:
    """Print the ratio for each of the models."""
    for name, make in MODELS.items():
        model = make()
        found = compare(
            lambda model=model: convert(model),  # type: ignore[misc]
            lambda model=model: torch.jit.script(model),  # type: ignore[misc]
            rounds,
        )
        print(f"convert / script, {name}: {found}; {1000 * found.ours:.0f} ms")


def growth(depth: int, rounds: int) -> None:
    """Print how much longer everything takes with ten times as many layers."""
    small, large = Chain(depth), Chain(10 * depth)
    graphs = convert(small), convert(large)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "script": (lambda: torch.jit.script(large), lambda: torch.jit.script(small)),
        "convert": (lambda: convert(large), lambda: convert(small)),
        "source": (graphs[1].to_source, graphs[0].to_source),
        "edit and verify": (
            lambda: edited(graphs[1], 10 * depth),
            lambda: edited(graphs[0], depth),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        found = compare(ours, theirs, rounds, warm_up=1)
        print(f"{name}, {10 * depth} / {depth} layers: {found}; {1000 * found.ours:.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit.script, called by itself
    against_script(arguments.rounds)
    for depth in (10, 100):
        growth(depth, max(3, arguments.rounds // 3))
