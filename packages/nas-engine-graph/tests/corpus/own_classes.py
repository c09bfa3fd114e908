"""More of what people write with classes of their own."""

import enum
import math
import warnings
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from corpus.case import case, case_with_dataclass, x


class Stack:
    def __init__(self) -> None:
        self.items: List[Tensor] = []

    def push(self, x: Tensor) -> "Stack":
        self.items.append(x)
        return self

    def pop(self) -> Tensor:
        return self.items.pop()

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, i: int) -> bool:
        return i < len(self.items)


@case(x(2, 3))
class Stacks(nn.Module):
    def forward(self, x):
        s = Stack()
        for i in range(4):
            s.push(x * i).push(x + i)
            if len(s) > 5:
                s.pop()
        if 3 in s:
            x = x + s.pop()
        while len(s) > 2:
            x = x + s.pop()
        return x, len(s)


class Ema:
    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.value: Optional[Tensor] = None

    def update(self, x: Tensor) -> Tensor:
        value = self.value
        if value is None:
            value = x
        else:
            value = value * self.decay + x * (1 - self.decay)
        self.value = value
        return value


@case(x(2, 3))
class KeepsAverages(nn.Module):
    def __init__(self):
        super().__init__()
        self.ema = Ema(0.9)

    def forward(self, x):
        y = self.ema.update(x.detach())
        v = self.ema.value
        if v is not None:
            y = y + v.mean()
        return x * y


class Link:
    def __init__(self, value: int, more: List[int]) -> None:
        self.value = value
        self.more = more


@case(x(2, 3))
class SharesLists(nn.Module):
    def forward(self, x):
        a = Link(1, [1])
        b = Link(2, a.more)
        a.more.append(5)
        nodes = [a, b, a]
        for n in nodes:
            n.value += len(b.more)
            n.more.append(n.value)
        c = nodes[2]
        c.value = 100
        return x * a.value + b.value, a.more, b.more, a.more is b.more


@dataclass
class Config:
    dim: int
    rate: float = 0.5

    def scale(self) -> float:
        return self.rate * self.dim


@case_with_dataclass(x(2, 3))
class ReadsConfig(nn.Module):
    def __init__(self):
        super().__init__()
        self.config = Config(3)
        self.layer = nn.Linear(self.config.dim, 2)

    def forward(self, x):
        return self.layer(x) * self.config.scale() + self.config.dim


class Acc:
    total: int

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def __add__(self, o: "Acc") -> "Acc":
        return Acc(self.total + o.total)

    def __iadd__(self, o: "Acc") -> "Acc":  # noqa: PYI034
        self.total += o.total * 10
        return self

    def __bool__(self) -> bool:
        return self.total > 3

    def __getitem__(self, i: int) -> int:
        return self.total + i


@case(x(2, 3))
class AddsObjects(nn.Module):
    def forward(self, x):
        a, b = Acc(1), Acc(2)
        c = a + b
        return x * c[2], c.total


@case(x(2, 3))
class AddsInPlace(nn.Module):
    def forward(self, x):
        a, b = Acc(1), Acc(2)
        d = a
        a += b
        return x * a.total, d.total, a is d


@case(x(2, 3))
class AsksForTruth(nn.Module):
    def forward(self, x):
        a = Acc(5)
        if a:
            x = x + 1
        if not a:
            x = x * 2
        return x if bool(a) else -x


class Out:
    def __init__(self, logits: Tensor, hidden: Optional[Tensor] = None) -> None:
        self.logits = logits
        self.hidden = hidden


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)

    def forward(self, x: Tensor, keep: bool = False) -> Out:
        h = self.l(x)
        if keep:
            return Out(h.relu(), h)
        return Out(h.relu())


@case(x(2, 3))
class OutputsOfHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList([Head(), Head()])

    def forward(self, x):
        total = x
        for head in self.heads:
            out = head(total, keep=True)
            hidden = out.hidden
            if hidden is not None:
                total = total + out.logits * hidden
        return total, self.heads[0](x)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # It is deprecated, as all of TorchScript.

    @torch.jit.interface
    class Act(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            pass


class SquaredRelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() ** 2


@case(x(2, 3))
class ThroughInterface(nn.Module):
    act: Act

    def __init__(self):
        super().__init__()
        self.act = SquaredRelu()

    def forward(self, x):
        return self.act.forward(x)


class Pos:
    def __init__(self, xy: Tuple[int, int]) -> None:
        self.xy = xy

    @property
    def area(self) -> int:
        return self.xy[0] * self.xy[1]

    def moved(self, by: int = 1, *, twice: bool = False) -> "Pos":
        k = by * 2 if twice else by
        return Pos((self.xy[0] + k, self.xy[1] + k))


@case(x(2, 3))
class MovesPositions(nn.Module):
    def forward(self, x):
        p = Pos((x.shape[0], x.shape[1]))
        q = p.moved().moved(2).moved(twice=True).moved(3, twice=True)
        a, b = q.xy
        return x * q.area + a - b, p.area


class Slots:
    __slots__ = ["a", "b"]

    def __init__(self, a: int, b: float) -> None:
        self.a = a
        self.b = b


@case(x(2, 3))
class WithSlots(nn.Module):
    def __init__(self):
        super().__init__()
        self.s = Slots(2, 0.5)

    def forward(self, x):
        self.s.a += 1
        return x * self.s.a + self.s.b


class Registry:
    def __init__(self, table: Dict[str, List[int]]) -> None:
        self.table = table

    def get(self, key: str) -> List[int]:
        if key in self.table:
            return self.table[key]
        return []


@case(x(2, 3))
class LooksUp(nn.Module):
    def __init__(self):
        super().__init__()
        self.reg = Registry({"a": [1, 2], "b": [3]})

    def forward(self, x):
        for i in self.reg.get("a"):
            x = x + i
        self.reg.get("b").append(4)
        self.reg.table["c"] = [len(self.reg.get("b"))]
        return x, self.reg.get("c"), self.reg.get("zzz")


class Kind(enum.Enum):
    A = 1
    B = 2


class Tagged:
    def __init__(self, kind: Kind, x: Tensor) -> None:
        self.kind = kind
        self.x = x

    def value(self) -> Tensor:
        return self.x * 2 if self.kind == Kind.A else self.x


@case(x(2, 3))
class HoldsEnums(nn.Module):
    def forward(self, x):
        t = Tagged(Kind.B, x)
        if t.kind == Kind.B:
            t.kind = Kind.A
        return t.value(), t.kind.value


class Cache:
    def __init__(self) -> None:
        self.keys: Dict[int, Tensor] = {}
        self.hits = 0

    def lookup(self, i: int, x: Tensor) -> Tensor:
        if i in self.keys:
            self.hits += 1
            return self.keys[i]
        self.keys[i] = x * i
        return self.keys[i]


@case(x(2, 3))
class Caches(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache = Cache()

    def forward(self, x):
        for i in [1, 2, 1, 3, 2]:
            x = x + self.cache.lookup(i, x.detach())
        return x, self.cache.hits


@case(x(2, 3))
class MayBeNone(nn.Module):
    """Objects in tuples and dicts, and such as may be None."""

    def pick(self, c: bool) -> Optional[Acc]:
        return Acc(1) if c else None

    def forward(self, x):
        a = self.pick(bool(x.sum() > 0))
        b = self.pick(bool(x.sum() <= 0))
        total = 0
        if a is not None:
            total += a.total
        if b is not None:
            total += b.total * 2
        pair = (Acc(3), Acc(4))
        d = {"x": pair[0], "y": pair[1]}
        d["x"].total = 9
        for k, v in d.items():
            total += v.total
        return x * total, pair[0].total


class Lin:
    def __init__(self, w: Tensor, b: Tensor) -> None:
        self.w = w
        self.b = b

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.w + self.b


@case(x(2, 3))
class MadeOfParameters(nn.Module):
    """An object is made of the parameters of the module."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3, 3) / 3)
        self.b = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        lin = Lin(self.w, self.b)
        lin.b = lin.b + 1
        return lin(lin(x))


@case(x(2, 3))
class ChangesInPlace(nn.Module):
    """Tensors are changed in place through the fields of an object."""

    def forward(self, x):
        y = x * 1
        o = Out(y)
        o.logits.add_(1)
        o.logits[0] = 2.0
        z = o.logits
        o.logits = z * 2
        z += 5
        o.hidden = z
        h = o.hidden
        assert h is not None
        h.mul_(2)
        return y, o.logits, z
