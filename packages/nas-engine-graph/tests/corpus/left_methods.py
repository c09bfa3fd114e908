"""Methods marked for TorchScript to leave alone, which it can't read."""

import collections
from typing import Dict, List

import torch
from torch import Tensor, nn

from corpus.case import case, x


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = 2
        self.linear, self.block = nn.Linear(3, 3), nn.Sequential(Shifted(), nn.ReLU())
        self.register_buffer("seen", torch.zeros(3))

    @torch.jit.ignore
    def scaled(self, x: Tensor, times: int) -> Tensor:
        self.seen += len({1, 2} | {3})
        for layer in iter([self.linear]):
            x = layer(x) + self.block(x)
        return x * times * self.factor + self.linear.weight.sum()

    def forward(self, x: Tensor) -> Tensor:
        return self.scaled(x, 3) + self.seen


class Shifted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


@case(x(2, 3))
class CallsLeftMethods(nn.Module):
    """Its own, and those of a module inside; they change lists and dicts that others read."""

    seen: List[str]
    counts: Dict[str, int]

    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.seen, self.counts, self.rounds = [], {"calls": 0}, 0

    @torch.jit.ignore
    def noted(self, text: str) -> None:
        try:
            self.seen.append(text)
        finally:
            self.counts["calls"] += 1
            self.rounds += 1

    @torch.jit.unused
    def counted(self, x: Tensor) -> Tensor:
        found = collections.Counter([1, 2, 2])
        return x * found[2] + self.counts["calls"]

    def forward(self, x):
        before = len(self.seen)
        self.noted("first")
        x = self.inner.scaled(x, 2) + self.inner(x)
        self.noted("last")
        return self.counted(x), before, self.seen[-1], self.counts["calls"]


def many(factor: int) -> type[nn.Module]:
    class Many(nn.Module):
        @torch.jit.ignore
        def times(self, x: Tensor) -> Tensor:
            return x * len({1, 2}) * factor

        @torch.jit.ignore
        def twice(self, x: Tensor) -> Tensor:
            return x * len({1, 2})

        def forward(self, x: Tensor) -> Tensor:
            return self.times(x) + self.twice(x)

    return Many


@case(x(2, 3))
def of_a_local_class() -> nn.Module:
    return many(3)()


@case(x(2, 3), debug=True)
@case(x(2, 3), debug=False)
class ReturnsWhatOneGives(nn.Module):
    """The body of a method is written where it is returned, if TorchScript can read it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    @torch.jit.unused
    def shown(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)

    def forward(self, x: Tensor, debug: bool = False):
        y = self.linear(x)
        if debug:
            return self.shown(y)
        return y
