"""What TorchScript computes by other rules than Python."""

from typing import Dict, List, Optional

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 4))
class Powers(nn.Module):
    def __init__(self):
        super().__init__()
        self.k, self.changed = 3, 2

    def step(self):
        self.changed += 1

    def forward(self, x):
        n = 2
        n = n + 1
        m = n
        k = 2**m
        self.step()
        x = x[:, : 2**self.k]
        n **= 2
        return (
            x**2, k, k**2, 2**n, m**n, x.shape[0] ** 2, pow(2, n), 2**-1, 2**self.k,
            2**self.changed, float(2**m), float(k) / 2, (n + 1) ** 2 % 5, x * 2**m, x**m, -(m**2),
        )  # fmt: skip


class Power(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        return x.repeat(1, 2**self.k), 3**self.k


@case(x(2, 4))
class PowersOfSeveral(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = Power(1), Power(2)

    def forward(self, x):
        return self.a(x), self.b(x)


@case(x(2, 4), 2.5, 3)
class Rounding(nn.Module):
    def forward(self, x, f: float, n: int):
        return (
            round(-0.5), round(f), round(1.5 + 1), max(2, 1.0), min(1, 2.0), max(n, 1), str(1.0),
            str(f), f"{1.0}", float(n), float(-0.0), float(x[0, 0]),
        )  # fmt: skip


@case(x(2, 4), 0, 3)
class LogicValues(nn.Module):
    def forward(self, x, n: int, m: int):
        a = n and m
        b = n or m
        c = n or m or 5
        d = x.dim() and m
        ready = x.sum() > 100 or x.dim() == 2
        if ready and not (n and m):
            x = x * 2
        return x, a, b, c, d, 1 and 2, 0 or 3, n > 0 and m > 2, x is None or m


@case(x(2, 4))
class ReturnedDtypes(nn.Module):
    def forward(self, x):
        kind = torch.float16 if x.shape[0] > 1 else torch.float64
        dtypes = [torch.float32, kind]
        y = x.to(kind).to(dtypes[0])
        return torch.float32, kind, (torch.int64, 1), dtypes, x.dtype == torch.float32, y


@case(x(2, 4))
class JoinedSizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = (2, 4)

    def joined(self, sizes: List[int]):
        return (1 + 2,) + sizes + (3,), sizes + sizes, sizes == (2, 4), (2, 4) != sizes

    def forward(self, x):
        t = (5, 6)
        s = x.shape
        u = s
        s += (1,)
        a = [1, 2] + [3]
        b = [i for i in range(2)] + a
        parts = x.chunk(2, 1) + (x,)
        return (
            self.joined(x.shape), s, u, a, b, list(x.shape) + [1], parts, x.shape + t,
            x.shape + self.pair, x.shape == self.pair, x.shape == [2, 4], list(x.shape) == [2, 4],
            x.shape[:1] + (2,) * 2, x.stride() + (1,), (x.shape + (1,)) + (2,), x.shape[0:1] * 2,
            x.shape[:2] + (
                3,
                4,
            ),
        )  # fmt: skip


@case({"a": x(2, 4), "b": x(2, 4)})
class DictViews(nn.Module):
    def forward(self, xs: Dict[str, Tensor]):
        total = torch.zeros(2, 4)
        for name, x in xs.items():
            total = total + x * len(name)
        for x in xs.values():
            total = total + x
        counts: Dict[str, int] = {"z": 1}
        names = xs.keys()
        return names, total, len(xs.keys()), "a" in xs.keys(), sorted(xs.keys()), counts.keys()


@case(x(2, 3, 4, 4))
def ChannelsLast():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    return nn.Sequential(net.to(memory_format=torch.channels_last), nn.Conv2d(4, 2, 2))


@case(x(2, 4))
class UnusualStrides(nn.Module):
    def __init__(self):
        super().__init__()
        self.turned = nn.Parameter(torch.randn(4, 3).t())
        self.images = nn.Parameter(torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last))
        self.register_buffer("wide", torch.randn(1, 4).expand(3, 4), persistent=False)
        self.register_buffer("sliced", torch.randn(4, 6)[:, ::2])
        self.register_buffer("rows", torch.arange(3).unsqueeze(1).expand(-1, 4), persistent=False)

    def forward(self, x):
        return self.turned, self.images * 2, self.wide, self.sliced, self.rows + x[0]


@case(x(2, 3))
class InOtherMethods(nn.Module):
    """The rules are the same in methods and properties that forward comes to."""

    def __init__(self):
        super().__init__()
        self.n, self.flag = 2, True

    @property
    def cubed(self) -> int:
        return self.n**3

    def joined(self, x):
        return torch.full((2,), self.flag), self.n**2, x + self.cubed

    def forward(self, x):
        return self.joined(x), self.cubed, x.new_zeros(self.n**2)


@case(x(2, 3))
class LogicOfEffects(nn.Module):
    """Each operand is evaluated once, and only if it is needed."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def add(self, k: int) -> int:
        self.n += k
        return self.n - 1

    def scaled(self, x, k: int):
        return x * self.add(k)

    def forward(self, x):
        self.n = 0
        first = self.add(1) or self.add(2) or 7
        second = self.add(0) and self.add(3)
        third = (self.add(1) and self.add(1)) or self.add(-4) or (self.add(0) and 5)
        fourth = [self.add(i) or -1 for i in range(3)]
        total = self.scaled(x, 2).sum() and x.mean()
        return x.new_zeros(first), second, third, fourth, total, self.n


@case(x(2, 3))
class AndThenOr(nn.Module):
    """Operands of several types, and each of them runs once or not at all."""

    def __init__(self):
        super().__init__()
        self.rate, self.asked = 0.5, 0

    def ask(self, number: int) -> int:
        self.asked += 1
        return number

    def forward(self, x, given: Optional[int] = None):
        rate = (self.training and self.rate) or 0.0
        count = (given is not None and given) or 5
        a = (self.ask(0) or self.ask(2)) and 7
        b = (self.ask(1) and self.ask(0)) or (self.ask(3) and self.ask(4)) or 9
        c = (x.sum() > 0 or self.ask(0)) and self.ask(5) and 3
        d = (((x.sum() > 100 and x.mean() > 0) or self.training) and [1]) or [2]
        return nn.functional.dropout(x, rate), rate, count, a, b, c, d, self.asked


@case(x(3, 3))
class CountsInConstants(nn.Module):
    """A text that shows to be constant only when branches are chosen."""

    def forward(self, x):
        word, zero = "x", 0
        if zero % 3 != 0:
            word = word + "y"
        return x * word.count("x"), word.find("x"), word.rfind("x"), word in ["x", "y"]


@case(x(2, 3))
class KeepsViews(nn.Module):
    """Views have what the dict has when they are asked."""

    def counted(self, names: List[str], rows: Dict[str, Tensor], x) -> int:
        rows["z"] = x
        return len(names)

    def forward(self, x):
        rows = {"a": x, "b": x * 2}
        names, values = rows.keys(), rows.values()
        before, was = len(names), "c" in names
        rows["c"] = x
        found = before, was, len(names), "c" in names, len(values), len(rows.items())
        while len(names) < 5:
            rows[str(len(names))] = x
        return found, list(names), self.counted(rows.keys(), rows, x), names


@case(x(2, 3))
class WritesBehindAView(nn.Module):
    """The dict has no other reader than the view."""

    def forward(self, x):
        rows = {"a": x}
        names = rows.keys()
        if x.dim() == 2:
            rows["b"] = x
        now = list(names)
        rows["c"] = x
        return now, "b" in names, "c" in now, "c" in names
