"""A convolutional model space over 8x8 images of digits, and a recipe to train its models."""

import nas_core as nas
import nas_core.nn as nn
import torch
from nas_search.evaluators import SupervisedEvaluator
from sklearn.datasets import load_digits


class Separable(nn.Module):
    """A depthwise convolution between two pointwise ones; its choices exist only where it does."""

    def __init__(self, channels: int, label: str) -> None:
        super().__init__()
        inner = channels * nn.ValueChoice([1, 2], label=f"{label}.expansion")
        kernel = nn.ValueChoice([3, 5], label=f"{label}.kernel")
        self.layers = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Block(nn.Module):
    """A residual block around one of three operations."""

    def __init__(self, channels: int, label: str) -> None:
        super().__init__()
        self.operation = nn.LayerChoice(
            {
                "conv": nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                "separable": Separable(channels, label),
                "pool": nn.AvgPool2d(3, stride=1, padding=1),
            },
            label=f"{label}.operation",
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm(self.operation(x)))


@nas.model_wrapper
class Net(nn.Module):
    """A stem, a stage at 8x8 and one at 4x4 pixels with twice the width, and a linear head."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        width = nn.ValueChoice([8, 12, 16], label="width")
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.fine = nn.Repeat(lambda i: Block(width, f"fine.{i}"), (1, 2), label="fine.depth")
        self.down = nn.Sequential(
            nn.Conv2d(width, width * 2, 2, stride=2, bias=False), nn.BatchNorm2d(width * 2)
        )
        self.coarse = nn.Repeat(
            lambda i: Block(width * 2, f"coarse.{i}"), (1, 2), label="coarse.depth"
        )
        self.seen = nn.InputChoice(2, n_chosen=None, reduction="sum", label="head.sees")
        self.dropout = nn.Dropout(nn.ValueChoice([0.0, 0.2], label="dropout"))
        self.head = nn.Linear(width * 2 * 4 * 4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down = self.down(self.fine(self.stem(x)))
        features = self.seen([down, self.coarse(down)])
        return self.head(self.dropout(features.flatten(1)))


def digits() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Divide the 1,797 images, always in the same way."""
    pixels, classes = load_digits(return_X_y=True)
    x = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    y = torch.tensor(classes, dtype=torch.int64)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    parts = {"test": order[:360], "validation": order[360:720], "train": order[720:]}
    return {name: (x[part], y[part]) for name, part in parts.items()}


data = digits()

evaluator = SupervisedEvaluator(
    train=data["train"],
    validation=data["validation"],
    also_measure={"test": data["test"]},  # recorded, but never looked at by the search
    loss="cross_entropy",
    loss_options={"label_smoothing": nn.ValueChoice([0.0, 0.1], label="smoothing")},
    optimizer="SGD",
    optimizer_options={"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
    schedule="OneCycleLR",
    schedule_options={"max_lr": nn.ValueChoice([0.03, 0.06, 0.12], label="lr")},
    schedule_every="step",
    clip_norm=1.0,
    epochs=10,
    batch_size=64,
    metrics=("accuracy", "loss", "parameters"),
    validate_every=5,
    device="cpu",
    threads=1,  # the same numbers for any trial_concurrency
)
