"""Writes and loops of which nobody sees anything afterwards, and some of which one does."""

from typing import NamedTuple, Optional

import torch
from torch import Tensor, nn

from corpus.case import case, x


class Pair(NamedTuple):
    value: Tensor
    count: int


class Box:
    def __init__(self, value: Tensor) -> None:
        self.value = value

    def __len__(self) -> int:
        return self.value.size(0)


@case(x(3, 3), x(3, 3))
class WritesAndForgets(nn.Module):
    def forward(self, x, y):
        c, items = x + y, [x * 1]
        c[0] = 0.5
        a = y * y
        c = y.abs()
        items[0] = c
        x = x * 1
        x.add_(1)
        return a, c, items, x


@case(x(3, 3))
class WritesThroughViews(nn.Module):
    def forward(self, x):
        y, z = x.clone(), x.clone()
        y[1].sub_(2)
        y.t()[0].fill_(3)
        z.view(-1)[0] = 5
        kept = z[0]
        z.mul_(2)
        return x, kept


@case(x(3, 3))
class WritesInLoops(nn.Module):
    def forward(self, x):
        y, z = x.clone(), torch.zeros(3)
        last = x
        for i in range(3):
            y[0] += i
            w = y.t()
            w.sub_(1)
            z.add_(i)
            if i > 1:
                last = z
        return x * last


@case(x(3, 3))
class ForgottenMixture(nn.Module):
    def forward(self, x):
        n, m = 2, 0
        for i in range(3):
            n = n + i
            m = m * 2
            m = 2.5 if n > 2 else n
        m = x.sum()
        return x, n, m


@case(x(3, 3))
class WritesIntoContiguous(nn.Module):
    """What is contiguous is given back as it is."""

    def forward(self, x):
        y = x * 1
        z = y.contiguous()
        z.add_(1)
        w = y.reshape(-1)
        w[0] = 7
        return y


@case(x(3, 3))
class DrawsIntoForgotten(nn.Module):
    def forward(self, x):
        y = torch.empty(3)
        y.normal_()
        y.mul_(2)
        return x + torch.rand(3)


@case(x(3, 3))
class BranchesGiveMany(nn.Module):
    """In whatever order."""

    def forward(self, x):
        n, m, b, a = 1, 0, x * 1, x * 2
        if x.sum() > 0:
            m, b = 3, b + 1
        else:
            if x.mean() > -5:
                n, m = n + 1, 4
                a = a * n
            b = torch.where(b > 0, b, a)
            m = 1 - m
        return n, m, b, a


@case(x(3, 3))
class NeverGives(nn.Module):
    def __init__(self):
        super().__init__()
        self.on = False

    def half(self, x) -> Optional[Tensor]:
        if self.on:
            return x * 2
        return None

    def forward(self, x):
        h = self.half(x)
        if h is not None:
            x = x + h
        return x


@case(x(3, 3))
class TakesOfTuple(nn.Module):
    def forward(self, x):
        done, pair = False, (x * 2, x.size(0))
        if done:
            pair = (pair[0] + 1, pair[1] * 2)
        return pair[1] % 5, pair[-2] + x


@case(x(3, 3))
class NeverNone(nn.Module):
    def forward(self, x):
        done, mask = False, torch.jit.annotate(Optional[Tensor], None)
        if not done:
            mask = x * 2
        if mask is not None and x.size(0) > 1:
            x = x + mask
        return x


@case(x(3, 3))
class NeverNoneInLoops(nn.Module):
    def some(self, x) -> Optional[Tensor]:
        return x * 2 if x.size(0) > 1 else None

    def forward(self, x):
        done, kept = False, self.some(x)
        if not done:
            kept = x
        for _ in range(x.size(1)):
            if kept is None:
                kept = x * 3
            else:
                kept = kept + 1
        if kept is not None:
            x = x + kept
        return x


@case(x(3, 3))
class NoneInLoops(nn.Module):
    def forward(self, x):
        n = x.size(1)
        kept: Optional[Tensor] = None
        while n < 9:
            if x.sum() > 5:
                break
            kept = None
            n = n + x.size(0)
        if kept is None:
            x = x * n
        return x


@case(x(3, 3))
class FillsAndForgets(nn.Module):
    def forward(self, x):
        numbers, table, items = [2, 1], {"k": x * 2}, [x + 1]
        numbers.sort()
        table["k"] = x * 3
        items.append(x)
        return x


@case(x(3, 3))
class TakesAndForgets(nn.Module):
    """Beside others."""

    def forward(self, x):
        y, table, numbers = x * 1, {"k": x * 2}, [1, 2]
        x = x + 1
        last = numbers.pop()
        table.pop("1", y)
        for i in range(3):
            numbers.append(i)
            del numbers[0]
        numbers.insert(0, last)
        numbers, table = [last], {"k": x}
        return y, numbers, table


@case(x(3, 3), True)
@case(x(3, 3), False)
class ChangesOneOfTwo(nn.Module):
    """Of one of which somebody sees it, and in each round of what the last one left."""

    def forward(self, x, first: bool):
        seen, unseen = [x], [x * 2]
        other = seen if first else unseen
        other.append(x * 3)
        kept, lists = [1], [[2]]
        inner = lists[0]
        for i in range(3):
            n = len(kept)
            kept.append(n)
            inner.append(i)
            x = x + n
        kept.append(4)
        return x, seen, lists


@case(x(3, 3))
class MakesAndForgets(nn.Module):
    def forward(self, x):
        pair = Pair(x * 3, 2)
        for i in range(x.size(0)):
            if x.sum() > 0:
                pair = Pair(x, i)
        return x


@case(x(3, 3), x(3, 3))
class TakesApart(nn.Module):
    """What it has from the start: nothing else ever comes to be."""

    def forward(self, x, y):
        pair = Pair(x * 3, x.size(0))
        seen: Optional[Tensor] = None
        if seen is not None and x.size(0) > 1:
            pair = Pair(pair.value * 2, pair.count)
        value, count = pair
        pair.value.add_(1)
        return value * count + y


@case(x(3, 3))
class CountsIfAsked(nn.Module):
    """Nobody asks it to, so that what it would count never changes."""

    def __init__(self):
        super().__init__()
        self.calls = 2

    def forward(self, x):
        quiet, rate = True, 0.5
        if not quiet and rate < 1:
            self.calls += x.size(0)
        return x * self.calls


@case(x(3, 3), x(3, 3))
class StacksWhatOthersKeep(nn.Module):
    """One of the stacked tensors is kept by an object, and the other one is written."""

    def forward(self, x, y):
        a, b = x * 1, y * 1
        items = [a, b]
        box = Box(a)
        boxes = [box]
        a = torch.stack(items).sum(0)
        if len(box) > len(boxes):
            pass
        else:
            o = a
            b = b + o
        b.t()[0].fill_(2.5)
