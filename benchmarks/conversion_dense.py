"""First conversions of small models whose work is in a few dense methods, against TorchScript.

Each ``convert`` and each ``torch.jit.script`` is the first in a process of its own, in turn, and is
timed by the processor time of its thread. Prints the ratio of their medians for each model.
"""

import argparse
import math
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import torch
from nas_engine_graph import convert
from side_by_side import compared
from torch import Tensor, nn
from torch.nn import functional


class Arithmetic(nn.Module):
    """A gate, a normalisation and a loss, all written by hand."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.randn(width, width)) for _ in range(2))
        self.bias, self.shift = (nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.scale = 0.5

    def forward(self, x: Tensor) -> Tensor:
        h = x @ self.first + self.bias
        h = h * torch.sigmoid(h) + self.scale * torch.tanh(h)
        mean = h.mean(-1, keepdim=True)
        variance = ((h - mean) ** 2).mean(-1, keepdim=True)
        h = (h - mean) / torch.sqrt(variance + 1e-5)
        gate = torch.exp(-h.abs()) / (1 + torch.exp(-h.abs()))
        h = torch.where(h > 0, h * gate, h * (1 - gate))
        y = h @ self.second + self.shift
        y = y.clamp(-3, 3) - y.logsumexp(-1, keepdim=True)
        return y * math.sqrt(2.0) + x[..., ::1] - x.max(dim=-1, keepdim=True)[0]


class Attention(nn.Module):
    """Attention with relative positions and a mask, by hand."""

    def __init__(self, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.width = heads, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.drop = nn.Linear(width, width), nn.Dropout(0.1)
        self.positions = nn.Parameter(torch.zeros(heads, 32, 32))

    def split(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        return x.view(batch, length, self.heads, self.width).transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        batch, length, width = x.shape
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.width)
        scores = scores + self.positions[:, :length, :length].unsqueeze(0)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        weights = self.drop(functional.softmax(scores, dim=-1))
        y = (weights @ v).transpose(1, 2).contiguous().view(batch, length, width)
        return self.out(y), weights


class Recurrent(nn.Module):
    """A cell of an LSTM in a loop over time."""

    def __init__(self, features: int = 8, width: int = 16) -> None:
        super().__init__()
        self.input, self.hidden = nn.Linear(features, 4 * width), nn.Linear(width, 4 * width)
        self.width = width

    def cell(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        i, f, g, o = (self.input(x) + self.hidden(h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if state is None:
            zeros = torch.zeros(x.size(1), self.width, dtype=x.dtype, device=x.device)
            state = (zeros, zeros)
        found: list[Tensor] = []
        for t in range(x.size(0)):
            state = self.cell(x[t], state)
            found.append(state[0])
        return torch.stack(found), state


class Variational(nn.Module):
    """An autoencoder with its loss."""

    def __init__(self, features: int = 32, width: int = 16, code: int = 4) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, width)
        self.mean, self.deviation = nn.Linear(width, code), nn.Linear(width, code)
        self.inner, self.outer = nn.Linear(code, width), nn.Linear(width, features)
        self.features = features

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = functional.relu(self.hidden(x))
        return self.mean(h), self.deviation(h)

    def sample(self, mean: Tensor, logvar: Tensor) -> Tensor:
        std = torch.exp(0.5 * logvar)
        return mean + torch.randn_like(std) * std

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.outer(functional.relu(self.inner(z))))

    def loss(self, made: Tensor, x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
        likelihood = functional.binary_cross_entropy(
            made, x.view(-1, self.features), reduction="sum"
        )
        return likelihood - 0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encode(x.view(-1, self.features))
        made = self.decode(self.sample(mean, logvar))
        return made, self.loss(made, x, mean, logvar)


class RandomField(nn.Module):
    """A conditional random field: three methods, two loops, no layers."""

    def __init__(self, tags: int = 5) -> None:
        super().__init__()
        self.first, self.last = (nn.Parameter(torch.randn(tags)) for _ in range(2))
        self.next = nn.Parameter(torch.randn(tags, tags))

    def score(self, x: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        length, batch = tags.shape
        taken = mask.to(x.dtype)
        score = self.first[tags[0]] + x[0, torch.arange(batch), tags[0]]
        for i in range(1, length):
            score = score + self.next[tags[i - 1], tags[i]] * taken[i]
            score = score + x[i, torch.arange(batch), tags[i]] * taken[i]
        last = mask.long().sum(0) - 1
        return score + self.last[tags[last, torch.arange(batch)]]

    def partition(self, x: Tensor, mask: Tensor) -> Tensor:
        score = self.first + x[0]
        for i in range(1, x.size(0)):
            ways = score.unsqueeze(2) + self.next + x[i].unsqueeze(1)
            score = torch.where(mask[i].unsqueeze(1), torch.logsumexp(ways, dim=1), score)
        return torch.logsumexp(score + self.last, dim=1)

    def forward(
        self, x: Tensor, tags: Tensor, mask: Tensor | None = None, reduction: str = "sum"
    ) -> Tensor:
        if reduction not in ("none", "sum", "mean"):
            raise ValueError(f"no reduction: {reduction}")
        if mask is None:
            mask = torch.ones_like(tags, dtype=torch.bool)
        found = self.score(x, tags, mask) - self.partition(x, mask)
        if reduction == "none":
            return found
        return found.sum() if reduction == "sum" else found.mean()


MODELS = {
    "arithmetic": Arithmetic,
    "attention": Attention,
    "recurrent": Recurrent,
    "variational": Variational,
    "random field": RandomField,
}
WAYS: dict[str, Callable[[nn.Module], object]] = {"convert": convert, "script": torch.jit.script}


def timed(way: str, name: str) -> float:
    """Time the first conversion, or script, of this process."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit.script, called by itself
    model = MODELS[name]()
    started = time.thread_time()
    WAYS[way](model)
    return time.thread_time() - started


def in_a_new_process(way: str, name: str) -> float:
    """Time it there."""
    command = (sys.executable, __file__, "--of", way, name)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def side_by_side(rounds: int) -> None:
    """Print the ratio for each of the models."""
    for name in MODELS:
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, found in seconds.items():
                found.append(in_a_new_process(way, name))
        least = min(seconds["convert"]) / min(seconds["script"])
        both = compared(seconds["convert"], seconds["script"])
        middle = 1000 * statistics.median(seconds["convert"])
        print(f"convert / script, {name}: {both}, of the least {least:.2f}; {middle:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--of", nargs=2, metavar=("WAY", "MODEL"), help="time one, in this process")
    arguments = parser.parse_args()
    if arguments.of:
        print(timed(*arguments.of))
    else:
        side_by_side(arguments.rounds)
