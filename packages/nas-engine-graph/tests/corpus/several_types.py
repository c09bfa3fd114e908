"""Values of one type or another: TorchScript makes one type of them, or refuses them."""

from typing import Any, List, NamedTuple, Optional  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 3), 2, 0.5, True)
@case(x(2, 3), 0, 0.0, True)
@case(x(2, 3), 0, 0.5, False)
class AndOr(nn.Module):
    """To TorchScript all of these are bools."""

    def doubled(self, n: int) -> int:
        return n * 2

    def forward(self, x, n: int, f: float, b: bool):
        factor = b and 3
        shown = n or "none"
        long = b and n or f
        called = self.doubled(n) or 1.5
        total = n and x.sum()
        both = x.mean() > 0 and n > 0
        if both:
            x = x + 1
        return (
            x * factor + (n and b and f) * called,
            shown,
            long,
            total,
            both,
            self.doubled(n) and True,
        )


@case(x(2, 3), True)
@case(x(2, 3), False)
class BoolOrInteger(nn.Module):
    """What is a bool stays one in all that is made of it."""

    def forward(self, x, b: bool):
        k = b and 3
        made = torch.full((2,), k), torch.tensor(k), x.new_full((2,), k), torch.where(x > 0, x, k)
        numbers = int(k), float(k), bool(k), round(k), max(k, 1), k // 2, k + 1, -k, k == 0
        return made, numbers, f"{k}", str(k), [k]


@case(x(2, 3), 3, True)
@case(x(2, 3), 0, True)
class BoolsForNumbers(nn.Module):
    """TorchScript makes numbers of them."""

    def given(self, n: int):
        return n

    def one(self) -> int:
        return True

    def forward(self, x, n: int, b: bool):
        k, j, m = n, 0.5, n
        o, p = 1, 2
        if n > 1:
            k = True
            j = True
            m = b
            o, p = True, b
        found: int = True
        return k, j, m, o, p, found, self.given(b), self.given(True), self.given(n=True), self.one()


@case(x(2, 3), 2, 0.5)
@case(x(2, 3), 0, 0.0)
class IfElse(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.steps = 0.5, 2

    def forward(self, x, n: int, f: float):
        k = (n * 2 if f > 0.2 else f + 1) if n > 1 else (f * 2 if f > 0.1 else n + 3)
        power = n**-0.5 if n > 0 else 0
        chosen = self.scale if n > 0 else self.steps
        doubled = self.scale * 2 if n > 0 else self.steps
        return x * k * power, k, power, chosen, doubled, (n * 2 if f > 0.2 else x.sum())


@case(x(2, 3), None)
@case(x(2, 3), x(2, 3))
class MaskOrOne(nn.Module):
    def forward(self, x, mask: Optional[Tensor] = None):  # noqa: UP007, UP045
        return x * (mask if mask is not None else 1.0)


@case(x(2, 3), 4)
@case(x(2, 3), 1)
class Statements(nn.Module):
    """A variable that becomes a float, in branches and in loops."""

    def forward(self, x, n: int):
        k = 0
        if n > 2:
            k = n / 2
        rate, times = 1, 2
        for i in range(3):
            rate = rate * 0.5 + 1 if n > 2 else i
            x = x * rate + (0 if i > 1 else x.sum())
        i = 0
        while i < 3:
            i += 1
            if n > 2:
                rate, times = 0.5 * i, i
        return x * k, k, rate, times


@case(x(2, 3), 0)
@case(x(2, 3), 1)
@case(x(2, 3), 3)
class Losses(nn.Module):
    """Numbers that become tensors: the first ``+=`` makes another, later ones change it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
        self.weight = 0.1

    def forward(self, x, n: int):
        penalty, loss, last = 0, 0.0, 0
        if n > 0:
            penalty = x.pow(2).mean()
        for layer in self.layers:
            x = layer(x)
            if n > 1:
                loss = loss + self.weight * x.abs().mean()
        for _ in range(n):
            last += x.mean()
        before = last
        if n > 2:
            last += x.sum()
        last *= 2
        return x + penalty, loss, before * x, last


@case(x(2, 3), 2)
@case(x(2, 3), 0)
class NumbersInLoops(nn.Module):
    """What a round begins with may be a number where the first does not, and is in what comes of it."""

    def forward(self, x, n: int):
        first, last = 0, x.sum()
        first = 1 - first
        for _ in range(n):
            first -= 1
            first = x.sum()
            last += 1
            last = 0
        last += 1
        return first, last


@case(x(2, 3), 2)
@case(x(2, 3), 0)
class Signs(nn.Module):
    def forward(self, x, n: int):
        k = 0.5
        if n > 1:
            k = x.sum()
        return x * (1 - k), 2 - k, -k, k**2, 2**k, k // 1, k % 1, abs(k), k > 1, 1 / k


@case(x(2, 3), 2)
@case(x(2, 3), 0)
class NumberOfTrips(nn.Module):
    """Here it has to be a number to TorchScript."""

    def forward(self, x, n: int):
        trips = 0
        for _ in range(n):
            trips = x.size(0) + x.sum().long() * 0
        for _ in range(trips):
            x = x + 1
        return x


@case(x(2, 3))
class SignsOfTensors(nn.Module):
    def forward(self, x):
        chosen: List[Tensor] = [-x, (-x)[0], 1 - (2 - x), x // 2 % 3, 2**-x]  # noqa: UP006
        return (
            chosen,
            -(x.abs() ** 2),
            (-x) ** 2,
            x - -x,
            (-x).sum(),
            3 - -x,
            x % 2 // 3,
            x.neg().view(-1),
        )


@case(x(4, 3))
class DeclaredOtherwise(nn.Module):
    """Python does not ask what variables are declared as."""

    def forward(self, x):
        seen: bool = False
        total: int = 0
        for row in range(x.size(0)):
            seen = seen or (x[row].sum() > 0)
            total = total + 0.5
        return seen, total, x * total


@case(x(2, 3))
class ReturnsMoreInTraining(nn.Module):
    def forward(self, x):
        if self.training:
            return x, x * 2
        return x


@case(x(2, 3))
@case(x(2, 3), True)
class ReturnsOneOrAnother(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = ReturnsMoreInTraining()

    def rows(self, x):
        return [x, x] if self.training else {"x": x}

    def forward(self, x, full=False):
        if full:
            return self.rows(x)
        return {"inner": self.inner(x)}


@case(x(2, 3))
class SaysThatItReturnsAnything(nn.Module):
    """Of a list that is written there TorchScript asks what it holds, and crashes."""

    def forward(self, x) -> Any:
        return [x, x]


@case(x(2, 3))
@case(x(2, 1))
class SetTwice(nn.Module):
    def forward(self, x):
        n = x.size(1) - 1
        scale = 0
        if self.training:
            scale = 0.5
        if self.training:
            scale = n > 1 and 0.5
        return x * scale, float(scale)


@case(x(2, 3))
class NumberThenTensor(nn.Module):
    """What is known of the numbers first holds no longer when a tensor comes: it changes in place."""

    def forward(self, x):
        scale = 0
        if self.training:
            scale = 0.5
        scale = x.sum()
        kept = scale
        scale *= 2
        return x, scale, kept


@case(x(2, 3), 0)
@case(x(2, 3), 2)
class TensorUntilCounted(nn.Module):
    def forward(self, x, n: int):
        found = 0
        if self.training:
            found = x.sum()
        while n < 3:
            n += 1
            found = n * 0.5
        return found


@case(x(2, 3), x(2, 3), 2, True)
@case(x(2, 3), x(2, 3), 2, False)
class TensorBesideNumber(nn.Module):
    """A variable that is always a tensor, in a loop with one that is not."""

    def forward(self, x, y, n: int, ok: bool):
        found = 0
        while n < 5:
            n += 1
            if x.sum() > 0:
                found += x.detach().mean()
            else:
                x = x + 0
                x += y
                if ok:
                    continue
        return x, found


class Point(NamedTuple):
    value: Tensor
    count: int


@case(x(2, 3))
class NumberFromALoop(nn.Module):
    """What an element is nobody knows before: TorchScript has a type of its own for it."""

    def forward(self, x):
        point = Point(x * 1, 2)
        largest = x.max().item()
        while True:
            return x * largest, largest, point


@case(x(2, 3), 3)
@case(x(2, 3), 0)
class OneTupleOrAnother(nn.Module):
    """To TorchScript the result is of any type."""

    def forward(self, x, n: int):
        point = Point(x * 1, n)
        for i in range(n):
            return x + i, n, point
        m = n**2 % 7
        return x, m, point


@case(x(2, 3), 0, [1])
@case(x(2, 3), 3, [1])
@case(x(2, 3), 4, [2, 3])
class NumbersOfTensors(nn.Module):
    def forward(self, x, n: int, numbers: List[int]):
        m, r, best = 0, 0.5, x.sum()
        if n < 4:
            m = x.sum().item() if n > 2 else 1
        if n > 2:
            n += round(x.abs().sum().item()) % 3
            numbers += [n]
        while n < 5:
            r = x.mean().item() if n > 1 else r
            n += 1
        if n > 5:
            best = x.max().item()
        for i in range(n):
            if i > 2:
                n = x.argmax().item()
                break
        return x * r, m, best, n, numbers
