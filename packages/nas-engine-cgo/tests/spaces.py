"""Model spaces over 8x8 images whose candidates differ in all that merging has to cope with."""

from __future__ import annotations

import nas_core as nas
import nas_core.nn as nn
import torch
from torch import Tensor


class Zero(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


def _conv(kernel: int):
    def make(a: int, b: int) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.ReLU(),
            torch.nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=False),
            torch.nn.BatchNorm2d(b),
        )

    return make


OPERATIONS = {
    "none": lambda a, b: Zero(),
    "skip": lambda a, b: torch.nn.Identity(),
    "conv1": _conv(1),
    "conv3": _conv(3),
    "pool": lambda a, b: torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False),
}


@nas.model_wrapper
class Cells(nn.Module):
    """Two cells of NAS-Bench-201."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.first = nn.NasBench201Cell(OPERATIONS, 4, 4, label="cell")
        self.down = nn.Conv2d(4, 8, 2, stride=2)
        self.second = nn.NasBench201Cell(OPERATIONS, 8, 8, label="cell")
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.down(self.first(self.stem(x)))).mean((2, 3)))


class Separable(nn.Module):
    def __init__(self, width: int, label: str) -> None:
        super().__init__()
        kernel = nn.ValueChoice([3, 5], label=f"{label}.kernel")
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


@nas.model_wrapper
class Blocks(nn.Module):
    """Depthwise-separable blocks, of unequal depth and width, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([4, 6], label="width")
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Repeat(lambda i: Separable(width, f"block{i}"), (0, 3), label="depth")
        self.drop = nn.Dropout2d(0.2)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.blocks(self.stem(x))).mean((2, 3)))


@nas.model_wrapper
class Mlp(nn.Module):
    """Layers of several widths and activations."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([8, 16], label="width")
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(8 * 8, width),
            nn.LayerChoice({"relu": nn.ReLU(), "gelu": nn.GELU()}, label="act"),
            nn.Dropout(0.1),
            nn.LayerChoice({"norm": nn.LayerNorm(width), "skip": nn.Identity()}, label="norm"),
            nn.Linear(width, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Gate(nn.Module):
    """Channels weighed by what is seen of all of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.widen(torch.relu(self.narrow(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(seen) + 0.5 * x


@nas.model_wrapper
class Widths(nn.Module):
    """Layers of all widths, with and without what has to know them."""

    def __init__(self) -> None:
        super().__init__()
        width, more = (nn.ValueChoice([5, 6, 8], label=label) for label in ("width", "more"))
        hidden = nn.ValueChoice([6, 7, 12], label="hidden")
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU6(inplace=True)
        )
        self.each = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.gate = nn.LayerChoice({"gate": Gate(width), "skip": nn.Identity()}, label="gate")
        self.next = nn.Sequential(
            nn.Dropout2d(0.2),
            nn.Conv2d(width, more, 1, bias=False),
            nn.BatchNorm2d(more, affine=False),
            nn.LayerChoice({"gelu": nn.GELU(), "sigmoid": nn.Sigmoid()}, label="act"),
            nn.MaxPool2d(2),
            nn.ZeroPad2d(1),
        )
        self.head = nn.Sequential(
            nn.Linear(36 * more, hidden),
            nn.LayerChoice({"norm": nn.LayerNorm(hidden), "skip": nn.Identity()}, label="norm"),
            nn.Tanh(),
            nn.Dropout(0.1),
        )
        self.last = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.next(self.gate(x + self.each(x)))
        x = self.head(x.view(x.shape[0], -1))
        return self.last(x - x / 3)


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        parts = parts.permute(2, 0, 3, 1, 4)
        mixed = torch.nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm2(x))))


@nas.model_wrapper
class Transformer(nn.Module):
    """Rows as tokens, in blocks of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 8)
        heads = nas.choose([2, 4], label="heads")
        self.blocks = nn.Repeat(lambda i: Block(8, heads), (1, 2), label="depth")
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x.flatten(1, 2))).mean(1))


class Remembering(torch.nn.Module):
    """A bias that is computed once in evaluation mode, and forgotten by ``train``."""

    known: dict[str, Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(64))
        self.known = {}

    def train(self, mode: bool = True) -> Remembering:
        super().train(mode)
        if mode:
            self.known = {}
        return self

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return x + torch.tanh(self.weight)
        if "bias" not in self.known:
            self.known["bias"] = torch.tanh(self.weight)
        return x + self.known["bias"]


def _around(layer: torch.nn.Module) -> nn.Sequential:
    """A layer between others that are merged."""
    width = nn.ValueChoice([4, 8], label="width")
    return nn.Sequential(nn.Flatten(), layer, nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 3))


@nas.model_wrapper
class Forgetful(nn.Module):
    """A layer that keeps something between calls until it is trained again."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _around(Remembering())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Counter(torch.nn.Module):
    """A bias that counts its calls, which is why it is called as a whole."""

    calls: int

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(64))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return x + torch.tanh(self.weight)


@nas.model_wrapper
class Counting(nn.Module):
    """A layer that is not merged between others that are."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _around(Counter())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


SPACES = {
    "cells": Cells,
    "blocks": Blocks,
    "mlp": Mlp,
    "widths": Widths,
    "transformer": Transformer,
    "forgetful": Forgetful,
    "counting": Counting,
}
