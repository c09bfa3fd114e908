"""Still more of what people write with classes of their own."""

import enum
import math
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from corpus.case import case, x
from corpus.own_classes import Acc, Kind, Out


def make(n: int) -> List[Acc]:
    return [Acc(i) for i in range(n)]


def total(items: List[Acc]) -> int:
    t = 0
    for a in items:
        t += a.total
        a.total += 1
    return t


@case(x(2, 3))
class ListsOfObjects(nn.Module):
    def forward(self, x):
        items = make(3)
        a = total(items)
        b = total(items[1:])
        c = total(items + make(2))
        last = items[-1]
        items.insert(0, last)
        last.total = 50
        return x, a, b, c, total(items)


class Train(nn.Module):
    def __init__(self):
        super().__init__()
        self.acc = Acc(1)

    @torch.jit.export
    def bump(self, by: int) -> int:
        self.acc.total += by
        return self.acc.total

    def forward(self, x):
        return x * self.acc.total


@case(x(2, 3))
class Exported(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Train()

    def forward(self, x):
        x = self.inner(x)
        n = self.inner.bump(2)
        return self.inner(x) + n


class Window:
    SIZE = 3

    def __init__(self, start: int) -> None:
        self.start = start

    def part(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.start + 2]


@case(x(2, 3))
class InComprehensions(nn.Module):
    def forward(self, x):
        parts = [Window(i).part(x) for i in range(2)]
        return torch.cat(parts, 1)


class Sched:
    def __init__(self, step: int) -> None:
        self.step = step

    @torch.jit.unused
    def report(self) -> str:
        return f"{self.step}"

    def rate(self) -> float:
        return math.exp(-0.1 * self.step)


@case(x(2, 3))
class Schedules(nn.Module):
    def __init__(self):
        super().__init__()
        self.sched = Sched(2)

    def forward(self, x):
        if self.training:
            self.sched.step += 1
        r = self.sched.rate()
        return x * r


class Ops:
    def __init__(self, v: Tensor) -> None:
        self.v = v

    def __sub__(self, o: "Ops") -> Tensor:
        return self.v - o.v

    def __ge__(self, o: "Ops") -> bool:
        return bool(self.v.sum() >= o.v.sum())

    def __ne__(self, o: "Ops") -> bool:
        return bool((self.v != o.v).any())

    def __eq__(self, o: "Ops") -> bool:
        return not bool((self.v != o.v).any())


@case(x(2, 3))
class Compares(nn.Module):
    def forward(self, x):
        a, b = Ops(x), Ops(x + 1)
        y = a - b
        if a >= b:
            y = y + 1
        if a != b:
            y = y * 2
        if a == a:
            y = y - 3
        return y


@case(x(2, 3))
class InDictsAndTuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.accs = {"a": Acc(1), "b": Acc(2)}
        self.pair = (Acc(3), 2.0)

    def forward(self, x):
        self.accs["a"].total += 1
        for k in self.accs.keys():
            x = x + self.accs[k].total
        self.pair[0].total += 2
        return x * self.pair[0].total + self.pair[1]


class Outer:
    def __init__(self, n: int) -> None:
        self.inner = Acc(n)
        self.n = n

    def bump(self) -> Acc:
        self.inner.total += self.n
        return self.inner


@case(x(2, 3))
class InnerObjects(nn.Module):
    def __init__(self):
        super().__init__()
        self.o = Outer(2)

    def forward(self, x):
        a = self.o.bump()
        a.total += 10
        self.o.inner.total += 1
        old = self.o.inner
        self.o.inner = Acc(7)
        old.total += 1000
        return x * a.total + self.o.bump().total


class Loss:
    def __init__(self, reduction: str = "mean", eps: float = 1e-3) -> None:
        self.reduction = reduction
        self.eps = eps

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        d = (x - y).abs() + self.eps
        if self.reduction == "mean":
            return d.mean()
        return d.sum()


@case(x(2, 3), x(2, 3))
class Losses(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = Loss(), Loss("sum", eps=0.1)

    def forward(self, x, y):
        return {"a": self.l1(x, y * 2), "b": self.l2(x, y)}


@case(x(2, 3))
class ReturnsEarly(nn.Module):
    """Objects that are returned from inside of a loop."""

    def get(self, x: Tensor) -> Out:
        with torch.no_grad():
            o = Out(x * 2)
            o.hidden = x + 1
        if x.sum() > 100:
            return Out(x)
        for i in range(3):
            if i == 2:
                return o
        return Out(-x)

    def forward(self, x):
        o = self.get(x)
        return o.logits + x, o.hidden


@case(x(2, 3))
class CarriesObjects(nn.Module):
    """A loop hands on objects from trip to trip."""

    def forward(self, x):
        o = Out(x)
        prev = o
        for i in range(3):
            prev = o
            o = Out(o.logits * 2, o.logits)
            if i == 1:
                o = prev
                continue
            prev.logits = prev.logits + i
        return o.logits, prev.logits, o is prev


class Gen:
    def __init__(self, p: float) -> None:
        self.p = p

    def noise(self, x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x, self.p) + torch.rand_like(x)


@case(x(2, 3))
class DrawsNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.gen = Gen(0.5)

    def forward(self, x):
        self.gen.noise(x)
        y = torch.rand(2)
        return self.gen.noise(x) + y.sum()


class Named(NamedTuple):
    acc: Acc
    x: Tensor


@case(x(2, 3))
class InNamedTuples(nn.Module):
    def forward(self, x):
        n = Named(Acc(2), x)
        n.acc.total += 1
        return n.x * n.acc.total


class Typed:
    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype = dtype
        self.device = device

    def made(self, n: int) -> Tensor:
        return torch.ones(n, dtype=self.dtype, device=self.device)

    def cast(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return x.to(dtype)


@case(x(2, 3))
class TakesDtypes(nn.Module):
    def forward(self, x):
        t = Typed(torch.float64, x.device)
        y = t.made(3) + t.cast(x, torch.float16)
        z = y.to(t.dtype)
        return y, z, t.dtype == torch.float64, t.device == x.device


@case(x(2, 3))
class HoldsDtypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.t = Typed(torch.float64, torch.device("cpu"))

    def forward(self, x):
        return self.t.cast(self.t.made(3), x.dtype) + x, self.t.dtype


class Shape:
    def __init__(self, size: List[int]) -> None:
        self.size = size

    def numel(self) -> int:
        n = 1
        for s in self.size:
            n *= s
        return n


@case(x(2, 3))
class TakesSizes(nn.Module):
    def forward(self, x):
        s = Shape(x.shape)
        t = Shape((2, 3))
        u = Shape(list(x.shape))
        u.size.append(4)
        return x.view(s.size) * s.numel(), t.size, u.size, s.size
