"""Loops that end early, as feature extractors write them, and what is known where they do."""

import warnings
from typing import List, NamedTuple, Optional  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 3))
@case(torch.ones(2, 3) * 5)
class BreaksAndContinues(nn.Module):
    def __init__(self, depth=1):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
        self.depth = depth

    def forward(self, x):
        features = []
        found = 0
        for i, layer in enumerate(self.layers):
            y = layer(x)
            if i == 1:
                continue
            if y.sum() > 2.5:
                features.append(y)
                break
            else:
                z = y * 2
                features.append(z)
            found += 1
            x = x + z
            if found > self.depth:
                break
            x = x * 1.5
        return x, features, found


@case(x(2, 3), 0)
@case(x(2, 3), 2)
@case(x(2, 3), 7)
class StopsWhereAsked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)])

    def forward(self, x, count: int):
        for i, layer in enumerate(self.layers):
            if i == count:
                break
            x = layer(x)
        for layer in self.layers[1:]:
            if x.sum() > 0:
                continue
            x = layer(x).relu()
        return x


@case(x(2, 3))
class OnlyForTorchScript(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])
        self.indexes = [0, 2]

    def forward(self, x):
        found = [x]
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.indexes:
                found.append(x)
            if not torch.jit.is_scripting() and len(found) > 1:
                break
        return found


def kept(x, n: int) -> Optional[Tensor]:
    if n > 2:
        return x
    return None


@case(x(2, 3), 1)
@case(x(2, 3), 4, x(2, 3))
@case(x(2, 3), 5, x(2, 3))
class ReturnsWhatIsGiven(nn.Module):
    """In a loop, and only where it is known to be there: the type of the result says so."""

    def forward(self, x, n: int, memory: Optional[Tensor] = None):
        if n > 4:
            x = x.sin()
        else:
            k = 0
            while k < 3 and n < 50:
                k += 1
                if memory is not None and n > 1:
                    return x, memory
            if x.sum() > 0:
                x = x * 0.5
        return x, x + n


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class ReturnsFromLoops(nn.Module):
    def forward(self, x, n: int):
        memory = kept(x, n)
        for i in range(n):
            x = x + i
            if memory is not None:
                x = x * memory
                return x
        return x - 1


@case(x(2, 3), 1)
@case(x(2, 3), 4)
@case(x(2, 3), 7)
class LeavesLoops(nn.Module):
    """Where nothing is known, or enough done."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x, n: int):
        memory = kept(x, n)
        for i in range(n):
            if memory is None or i > 4:
                return x * 2
            x = x + memory * self.scale
        last: Optional[Tensor] = None
        for i in range(n):
            if last is None:
                break
            if n > 2:
                break
            x = x * 2
        return x - 1


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class AsksForMore(nn.Module):
    def forward(self, x, n: int, strict: bool = True):
        memory = kept(x, n)
        if memory is not None and (memory.sum() < 9 and (memory if strict else x).mean() < 9):
            x = x + memory
            return x
        return x - 1


@case(x(2, 3), 2)
@case(torch.full((2, 3), -2.0), 2)
class GoesOnWithWhatItHas(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Tanh()])

    def forward(self, x, n: int):
        memory: Optional[Tensor] = None
        k = 0
        while k < 3 and n < 50:
            k += 1
            if x.sum() > 0:
                x = -x
            else:
                if memory is not None and n > 1:
                    continue
                for layer in self.layers:
                    x = layer(x)
                memory = x
        return x, memory


class Found(NamedTuple):
    value: Tensor
    count: int


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class AsksItems(nn.Module):
    """In one branch only: what is asked there is not known outside."""

    def forward(self, x, n: int):
        found: List[Optional[Tensor]] = [kept(x, n), x]
        pair = Found(x, n)
        for i in range(1, 6, 2):
            if pair.count > i + 1:
                continue
            if found[0] is None:
                break
            while n < 3:
                n += 1
            x = x * 2
        return x, n


def _added(x, other: Optional[Tensor] = None):
    return x if other is None else x + other


@case(x(3, 3))
class ReturnsAtOnce(nn.Module):
    """What comes after the loop is never reached, and nothing is given to it."""

    def forward(self, x):
        found: Optional[Tensor] = None
        for _ in [1, 5]:
            if found is None:
                return x, x * 2
        x = _added(x, found)


@case(x(3, 3), 2)
@case(x(3, 3), 4)
class SetInEachBranch(nn.Module):
    def forward(self, x, n: int):
        found: Optional[Tensor] = None
        never = False
        if n > 2:
            x = x * 2
            if found is None:
                found = x
        else:
            if never:
                n = 3
            else:
                x = x.clone()
                if found is None:
                    found = x
        return x, found


@case(x(3, 3), 1)
@case(x(3, 3), 7)
class AsksWhatItKnows(nn.Module):
    def forward(self, x, n: int):
        found: Optional[Tensor] = None
        while n < 5:
            n += 1
            found = x
        ok = found is None
        if found is None:
            ok = n > 2
        n = n if ok else len(x)
        return x, n


@case(x(3, 3), 1, None)
@case(x(3, 3), 7, x(3, 3))
class ComputedIfNone(nn.Module):
    """From where it is computed on it is there, and nobody has to ask."""

    def forward(self, x, n: int, bias: Optional[Tensor] = None):
        warnings.warn("slow", stacklevel=4)
        shown: Optional[Tensor] = None
        if n > 2:
            if bias is None:
                bias = x * torch.arange(-1, 2, 1, dtype=x.dtype)
            if bias is not None:
                shown = bias.abs()
        return x, bias, shown
