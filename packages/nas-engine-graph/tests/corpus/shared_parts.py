"""Parts of attributes, and tensors, that others have, too."""

from typing import Dict, List, Tuple

import torch
from torch import Tensor, nn

from corpus.case import case, x


class Scale:
    def __init__(self, factors: List[float]) -> None:
        self.factors = factors

    def applied(self, x: Tensor) -> Tensor:
        return x * self.factors[0]


class Two:
    def __init__(self, one: Scale, other: Scale) -> None:
        self.one = one
        self.other = other

    def applied(self, x: Tensor) -> Tensor:
        self.one.factors[0] += 1.0
        return self.other.applied(self.one.applied(x))


@case(x(2, 3))
class OneObjectTwice(nn.Module):
    def __init__(self):
        super().__init__()
        scale = Scale([2.0, 3.0])
        self.two = Two(scale, scale)
        self.scale, self.factors = scale, scale.factors

    def forward(self, x):
        self.factors[1] *= 2
        return self.two.applied(x) + self.scale.applied(x) + self.factors[0] + self.factors[1]


class Deep:
    def __init__(self, many: List[Scale], named: Dict[str, Scale], pair: Tuple[Scale, int]) -> None:
        self.many = many
        self.named = named
        self.pair = pair

    def applied(self, x: Tensor) -> Tensor:
        for scale in self.many:
            x = scale.applied(x)
        self.named["a"].factors[0] += 1.0
        return self.pair[0].applied(x)


class Careful:
    """Attributes are set by a method of its own."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    def __setattr__(self, name, value):
        assert isinstance(value, Scale), "no scale"
        object.__setattr__(self, name, value)


@case(x(2, 3))
class DeepInside(nn.Module):
    """Lists, dicts, tuples and objects that hold one another."""

    def __init__(self):
        super().__init__()
        a = Scale([2.0])
        b = Scale(a.factors)
        self.deep = Deep([a, b, a], {"a": a, "b": b}, (b, 1))
        self.pair = (a, b)
        self.careful = Careful(a)

    def forward(self, x):
        y = self.deep.applied(x)
        self.pair[0].factors[0] *= 2
        return self.deep.applied(y), self.careful.scale.applied(y)


@case(x(2, 3))
class OneListInOthers(nn.Module):
    def __init__(self):
        super().__init__()
        last = [1]
        self.rows = [last, last]
        self.last, self.pair = last, (last, 2)

    def forward(self, x):
        self.last.append(3)
        self.rows[0].append(2)
        return x * len(self.rows[1]) + self.pair[0][1], self.rows, self.pair


class HoldsWeights(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, x):
        return x @ self.weights[0]


@case(x(2, 3))
class WeightsInLists(nn.Module):
    """Also of layers that are registered after who holds their weights."""

    def __init__(self):
        super().__init__()
        linear = nn.Linear(3, 3)
        self.inner = HoldsWeights([linear.weight])
        self.linear, self.norm = linear, nn.BatchNorm1d(3)
        self.w_ih, self.w_hh = (nn.Parameter(torch.randn(3, 3)) for _ in range(2))
        self.flat = [self.w_ih, self.w_hh]
        self.named = {"hidden": self.w_hh, "mean": self.norm.running_mean}
        self.scale = Two(Scale([1.0]), Scale([2.0]))

    def forward(self, x):
        with torch.no_grad():
            self.w_hh.add_(1)
        x = self.norm(x @ self.flat[0] + x @ self.flat[1]) + self.named["mean"]
        return self.linear(self.inner(x)) + self.named["hidden"].sum()


@case(x(2, 3))
class ViewsOfWeights(nn.Module):
    """One memory: of weights, buffers, attributes, and in containers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.register_buffer("row", self.weight.detach()[1])
        self.linear = nn.Linear(3, 3)
        self.register_buffer("same", self.linear.weight.data, persistent=False)
        table = torch.randn(4, 3)
        self.register_buffer("first", table[0])
        self.register_buffer("table", table)
        self.column, self.rows = table[:, 0], [table[1], table[3]]

    def forward(self, x):
        self.table.add_(x.detach().mean())
        self.same.mul_(0.5)
        x = self.linear(x) + self.row + self.first + self.column[0]
        return x * self.rows[1] + self.weight.sum(0), self.rows


@case(x(2, 3))
class WeightsOfOneMemory(nn.Module):
    """Tied by their elements, and not by being one object."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(4, 3)
        self.out, self.frozen = nn.Linear(3, 4, bias=False), nn.Linear(3, 4)
        self.out.weight = nn.Parameter(self.embedding.weight.data)
        still = nn.Parameter(self.embedding.weight.detach(), requires_grad=False)
        self.frozen.weight = still

    def forward(self, x):
        return self.out(x) + self.embedding.weight.sum() + self.frozen(x)


def _writes(by_data: bool) -> type[nn.Module]:
    class Writes(nn.Module):
        """Autograd notices what is written into one of the buffers, and not into the other."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))
            self.register_buffer("detached", self.weight.detach())
            self.register_buffer("data", self.weight.data)
            self.by_data = by_data

        def forward(self, x):
            y = (x * self.weight).exp()
            if self.by_data:
                self.data.add_(1)
            else:
                self.detached.add_(1)
            return y * self.weight

    return Writes


WritesData = case(x(2, 3))(_writes(by_data=True))
WritesDetached = case(x(2, 3))(_writes(by_data=False))


class Pickled:
    """It gives pickle something else than its attributes."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def applied(self, x: Tensor) -> Tensor:
        return x * self.factor

    def __getstate__(self) -> float:
        return self.factor * 2

    def __setstate__(self, state: float) -> None:
        self.factor = state / 2


@case(x(2, 3))
class OfPickled(nn.Module):
    def __init__(self):
        super().__init__()
        self.pickled = Pickled(3.0)

    def forward(self, x):
        self.pickled.factor += 1.0
        return self.pickled.applied(x) + Pickled(0.5).applied(x)
