from typing import List, Optional

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(3, 4), x(1, 4))
class LoopVariable(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        i = 7
        for i in range(3):
            t = t + i
        return t, i


@case(x(3, 4), x(1, 4))
class NoGradLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        with torch.no_grad():
            for i in range(3):
                if t.sum() > i:
                    t = t * 2
                else:
                    t = t - 1
        return t + x


@case(x(3, 4), x(1, 4))
class ListsOfTensors(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        xs: List[Tensor] = []
        for i in range(3):
            xs.append(t[i] * i)
        ys = [a + 1 for a in xs]
        zs = torch.stack(xs)
        xs[0] += 1
        ys[1][0] = 7
        return zs, xs, ys, torch.cat([a[None] for a in ys])


@case(x(3, 4), x(1, 4))
class FibonacciLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        a = 1
        b = 2
        for i in range(4):
            a, b = b, a + b
        while b > 3:
            a, b = b - 1, a
            if a < 0:
                break
        return t * a + b, a, b


@case(x(3, 4), x(1, 4))
class TextLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        s = ""
        for i, c in enumerate("abc"):
            s += c * 1 if False else c
            if c == "b":
                continue
            s += str(i)
        return s, t


@case(x(3, 4), x(1, 4))
class OptionalInLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        r: Optional[Tensor] = None
        for i in range(3):
            if r is None:
                r = t
            else:
                r = r + i
        assert r is not None
        return r


@case(x(3, 4), x(1, 4))
class BestSoFar(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        best = -1e9
        at = -1
        for i in range(t.shape[0]):
            cur = float(t[i].sum())
            if cur > best:
                best, at = cur, i
        return best, at, t[at]


@case(x(3, 4), x(1, 4))
class TensorIteration(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        out = torch.zeros(0)
        for c in t.split(1):
            out = torch.cat([out, c.flatten()])
        for a, b in zip(t, v.expand(3, 4)):
            out = out + (a * b).sum()
        for i, r in enumerate(t.unbind(0)):
            out[i] = r[0]
        return out


@case(x(3, 4), x(1, 4))
class CountingDown(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        k = t.shape[0]
        while k:
            k -= 1
            t = t + k
        n = 5
        while not n == 0:
            n = n // 2
        return t, k, n


@case(x(3, 4))
class GrowsUntil(nn.Module):
    """What is computed for the condition alone is no part of the loop's state."""

    def forward(self, x):
        n = 0
        while n < 10 and x.sum() < 100:
            n += 1
            x = x + n
        return x, n


@case(x(2, 4))
class ContainersTogether(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.activations = nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.Identity()])
        self.named = nn.ModuleDict({"a": nn.Linear(4, 4), "c-d": nn.Tanh()})

    def forward(self, x):
        n = 0
        for i, (layer, activation) in enumerate(zip(self.layers, self.activations)):
            x = activation(layer(x)) + i
        for i, (name, inner) in enumerate(self.named.items()):
            x = inner(x) * (i + 1)
            n += len(name)
        if "a" in self.named:
            x = self.named["a"](x)
        return self.layers[-1](x), len(self.layers), len(self.named), n


@case(x(4), 6)
@case(x(4), 0)
class LeavesRanges(nn.Module):
    """Loops over ranges with bounds, left or gone on with early."""

    def forward(self, x, n: int):
        total = x
        for i in range(1, n):
            if i == 2:
                continue
            if i > 4:
                break
            total = total + i * x
        for j in range(n, 0, -1):
            if total.sum() > 100:
                break
            total = total * 1.1 + j
        for k in range(-1, 2):
            total = total - k
        return total


@case(x(4), 6)
class ReturnsFromRange(nn.Module):
    def forward(self, x, n: int):
        for i in range(2, 7, 2):
            for j in range(i, n):
                if j % 2 == 0:
                    continue
                x = x + i * j
            if x.sum() > 50:
                return x
        return x * 2


@case(x(4))
class ListsOfElements(nn.Module):
    def forward(self, x):
        signs: List[int] = x.sign().long().tolist()
        rows: List[List[float]] = x[None].tolist()
        positive = 0
        for sign in signs:
            if sign < 0:
                continue
            positive += sign
        return x * positive, signs, rows


@case(x(3, 3))
class CarriesNumbersAndTensors(nn.Module):
    """Sums are written at the end of the loop, wherever they were."""

    def forward(self, x):
        n, k, m = x.size(1), 2, 3
        for i in range(3):
            n = n + i
            x = x.sin()
            k, m = m, k
            m = m * n
        return x, n, k, m


@case(x(3, 3))
class GoesOnWithNumbersAndTensors(nn.Module):
    """Sums of numbers are written where they are read, which moves them from arm to arm."""

    def forward(self, x):
        n, m, y = x.size(1) - 1, 0, x * 2
        for i in range(n):
            m = 1 - m
            if y.size(0) == 3:
                continue
            m = n > 1 and 1
            y = y + m
        return y, m


@case(x(3, 3))
@case(x(3, 3), 4)
class LeavesWithSeveralValues(nn.Module):
    def forward(self, x, n: int = 1):
        a, b, total, name = x * 1, x + 1, 0.5, "none"
        for i in range(5):
            if i > n:
                if n % 2 == 0:
                    total, name = total * 2, "even"
                    continue
                b = b + a
            a, b = b, a
            if total > 3:
                name = "large"
                break
        return a, b, total, name


def optional(x, other: Optional[Tensor] = None):
    return x if other is None else x + other


def unwanted(x):
    return x * 3


@case(x(3, 3))
class KeepsWhatItCarries(nn.Module):
    """What only a branch changes that is never taken stays as it is, and is known in the loop."""

    def __init__(self):
        super().__init__()
        self.flag, self.total = False, 0

    def forward(self, x):
        other: Optional[Tensor] = None
        n, name = x.size(0), "x"
        while n < 9:
            if self.flag:
                other, name = x, name + "y"
            else:
                n = n * 2
            x = optional(x, other)
            if name == "xy":
                x = unwanted(x)
        return x, n, name, other, "y" in name


@case(x(3, 3))
class CountsFromNumbers(nn.Module):
    def forward(self, x):
        n = x.size(1) - 1
        for _ in range(n, n + 2):
            x = x * 2
        m = n if x.sum() > 0 else 2.5
        return x, float(m)


@case(x(3))
class CountsItems(nn.Module):
    """Nobody reads the numbers of the loops, nor the names of the items."""

    def forward(self, x):
        table = {"a": x, "b": x + 1}
        for _ in [1, 5]:
            for _name, value in table.items():
                x = x + value
        return x


def remembered(x, n: int) -> Optional[Tensor]:
    if n > 2:
        return x
    return None


@case(x(3, 4), 1)
@case(x(3, 4), 3)
class ForgetsWhileTraining(nn.Module):
    """What is None in the first round only: TorchScript takes it for None in all."""

    def forward(self, x, n: int):
        memory: Optional[Tensor] = None
        count = 0
        for i in range(3):
            if self.training:
                memory = None
            for _ in range(i):
                if self.training:
                    memory = None
            if memory is None:
                count += 1
            else:
                count += 10
            memory = remembered(x, n)
            x = x + i
        return x, memory, count


@case(x(3, 4), 1)
@case(x(3, 4), 3)
class ReturnsWhatItRemembers(nn.Module):
    def forward(self, x, n: int):
        memory: Optional[Tensor] = None
        for i in range(2):
            if self.training:
                memory = None
            if x.size(0) + i > 3:
                return x, memory
            memory = remembered(x, n)
        return x * 2, memory
