"""The model spaces that ``cgo.py`` trains, and how: also imported by its worker processes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import torch
from nas_core import Candidate, Space
from nas_search.evaluators import SupervisedEvaluator
from torch.nn import functional

CLASSES = 10


@nas.model_wrapper
class Mlp(nn.Module):
    """Two hidden layers."""

    def __init__(self, width: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()),
            nn.Linear(width, CLASSES),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def block(inputs: int, outputs: int, stride: int = 1) -> list[torch.nn.Module]:
    """A convolution, normalised."""
    layer = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]


@nas.model_wrapper
class Cnn(nn.Module):
    """Five convolutions of widths c, c, 2c, 2c, 4c, and a linear head."""

    def __init__(self, c: Any) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(*block(3, c), *block(c, c), *block(c, 2 * c, 2)),
            *(*block(2 * c, 2 * c), *block(2 * c, 4 * c, 2)),
        )
        self.head = nn.Linear(4 * c, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Zero(nn.Module):
    """Nothing of the input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0.0


def convolution(kernel: int, inputs: int, outputs: int) -> torch.nn.Module:
    """An operation of NAS-Bench-201."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), layer, nn.BatchNorm2d(outputs))


OPERATIONS = {
    "none": lambda _inputs, _outputs: Zero(),
    "skip": lambda _inputs, _outputs: nn.Identity(),
    "conv1": partial(convolution, 1),
    "conv3": partial(convolution, 3),
    "pool": lambda _inputs, _outputs: nn.AvgPool2d(3, 1, padding=1),
}


@nas.model_wrapper
class NasBench201(nn.Module):
    """The skeleton of NAS-Bench-201 with one cell in each of the three stages."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))
        self.stages = nn.Sequential(
            nn.NasBench201Cell(OPERATIONS, c, c, label="cell"),
            *block(c, 2 * c, 2),
            nn.NasBench201Cell(OPERATIONS, 2 * c, 2 * c, label="cell"),
            *block(2 * c, 4 * c, 2),
            nn.NasBench201Cell(OPERATIONS, 4 * c, 4 * c, label="cell"),
        )
        self.head = nn.Linear(4 * c, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


@nas.model_wrapper
class Head(nn.Module):
    """A frozen prefix, the same for all candidates, and a head that is trained."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.backbone = torch.nn.Sequential(
                *(torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.ReLU()),
                *(torch.nn.Conv2d(16, 32, 3, 2, padding=1), torch.nn.ReLU()),
                *(torch.nn.Conv2d(32, 64, 3, 2, padding=1), torch.nn.ReLU()),
                *(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()),
            )
        self.backbone.requires_grad_(False)
        self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x))


class Attention(nn.Module):
    """A layer of a Transformer, normalised first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.mixed(self.before(x)).unflatten(-1, (3, self.heads, -1)).transpose(1, 3)
        query, key, value = parts.unbind(2)
        seen = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(torch.relu(self.wide(self.between(x))))


@nas.model_wrapper
class Transformer(nn.Module):
    """Two layers over a sequence, averaged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(Attention(width, 4), Attention(width, 4))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean(1))


@nas.model_wrapper
class Lstm(nn.Module):
    """A recurrent layer; its last output is classified."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(16, width, batch_first=True)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.recurrent(x)
        return self.head(outputs[:, -1])


class Batches:
    """The data in another order each time; with noise it is not the same twice."""

    def __init__(
        self, x: torch.Tensor, y: torch.Tensor, size: int, noise: float, generator: torch.Generator
    ) -> None:
        self.x, self.y, self.size, self.noise, self.generator = x, y, size, noise, generator

    def __len__(self) -> int:
        return (len(self.y) + self.size - 1) // self.size

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for chunk in torch.randperm(len(self.y), generator=self.generator).split(self.size):
            x = self.x[chunk]
            if self.noise:
                x = x + self.noise * torch.randn(x.shape, generator=self.generator).to(x.device)
            yield x, self.y[chunk]


@dataclass(frozen=True)
class Workload:
    """Candidates, and how they are trained.

    Attributes:
        title: what they are.
        space: makes the model space.
        count: how many candidates.
        shape: of one input.
        batch: the size of a batch.
        steps: how many optimiser steps each takes.
        noise: what is added to each input whenever it is read.
        whole: whether planning is part of what is timed.
        never_below: whether it stands for what merging can't make faster.
        widths: whether its layers differ in width.
    """

    title: str
    space: Callable[[], torch.nn.Module]
    count: int
    shape: tuple[int, ...]
    batch: int
    steps: int
    noise: float = 0.0
    whole: bool = False
    never_below: bool = False
    widths: bool = False

    def data(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """So many samples whose class is to be seen in them."""
        generator = torch.Generator().manual_seed(size)
        y = torch.arange(size) % CLASSES
        x = torch.randn(size, *self.shape, generator=generator)
        return x + 0.1 * y.view(-1, *(1 for _ in self.shape)), y

    def training(self, generator: torch.Generator, device: str = "cpu") -> Batches:
        """The batches that all ways train on."""
        x, y = (tensor.to(device) for tensor in self.data(8 * self.batch))
        return Batches(x, y, self.batch, self.noise, generator)

    def recipe(self, steps: int, device: str = "cpu") -> SupervisedEvaluator:
        """How an engine is told to train."""
        noisy = partial(noisy_batches, self)
        return SupervisedEvaluator(
            train=noisy if self.noise else self.data(8 * self.batch),
            validation=self.data(2 * self.batch),
            batch_size=self.batch,
            optimizer="SGD",
            optimizer_options=OPTIMIZER,
            steps=steps,
            validate_every=steps,
            device=device,
        )

    def candidates(self, count: int | None = None) -> list[Candidate]:
        """Random architectures; different ones, where there are so many."""
        space = Space.of(self.space())
        return [Candidate(i, space.sample(seed=i), seed=i) for i in range(count or self.count)]


def noisy_batches(workload: Workload, generator: torch.Generator) -> Batches:
    """The training data of a workload, for its recipe."""
    return workload.training(generator)


def mlps() -> torch.nn.Module:
    """MLPs of several widths."""
    return Mlp(nn.ValueChoice([16, 24, 32, 48, 64], label="width"))


def cnns() -> torch.nn.Module:
    """Convolutional nets of several widths."""
    return Cnn(nn.ValueChoice([4, 6, 8], label="channels"))


OPTIMIZER: dict[str, Any] = {"lr": 0.02, "momentum": 0.9}

WORKLOADS: Mapping[str, Workload] = {
    "mlp64": Workload("32 MLPs of width 64", partial(Mlp, 64), 32, (64,), 32, 120),
    "mlp16": Workload("128 MLPs of width 16", partial(Mlp, 16), 128, (64,), 32, 120),
    "cnn8": Workload("32 CNNs of 8 channels, 8x8", partial(Cnn, 8), 32, (3, 8, 8), 16, 96),
    "mlps": Workload("8 MLPs of widths 16 to 64", mlps, 8, (64,), 32, 240, widths=True),
    "cnns": Workload("8 CNNs of 4 to 8 channels, 8x8", cnns, 8, (3, 8, 8), 16, 192, widths=True),
    "nb201-8": Workload(
        "16 of NAS-Bench-201, 8x8, end to end",
        partial(NasBench201, 8), 16, (3, 8, 8), 16, 128, whole=True,
    ),
    "nb201-16": Workload(
        "16 of NAS-Bench-201, 16x16, end to end",
        partial(NasBench201, 8), 16, (3, 16, 16), 32, 72, whole=True,
    ),
    "heads8": Workload("8 heads on a frozen prefix", Head, 8, (3, 16, 16), 32, 96),
    "heads32": Workload("32 heads on a frozen prefix", Head, 32, (3, 16, 16), 32, 96),
    "heads8-noisy": Workload(
        "8 heads, inputs never the same", Head, 8, (3, 16, 16), 32, 96, noise=0.1
    ),
    "heads32-noisy": Workload(
        "32 heads, inputs never the same", Head, 32, (3, 16, 16), 32, 96, noise=0.1
    ),
    "conv64": Workload(
        "4 CNNs of 64 channels, 32x32", partial(Cnn, 64), 4, (3, 32, 32), 16, 48, never_below=True
    ),
    "transformer256": Workload(
        "4 Transformers of width 256",
        partial(Transformer, 256), 4, (32, 256), 16, 48, never_below=True,
    ),
    "lstm64": Workload("8 LSTMs of width 64", partial(Lstm, 64), 8, (20, 16), 32, 64,
                       never_below=True),
}  # fmt: skip
