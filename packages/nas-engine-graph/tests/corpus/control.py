from typing import Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 4))
class Training(nn.Module):
    def forward(self, x):
        if self.training:
            return x * 2
        return x + 1


@case(x(2, 4))
class DataBranch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            y = x * 2
        elif x.mean() < -1:
            y = x - 1
        else:
            y = x.exp()
        return y


@case(x(2, 4))
class ShapeBranch(nn.Module):
    def forward(self, x):
        if x.shape[0] == 2 and x.dim() == 2 or x.size(-1) > 5:
            x = x[:, :2]
        return x


@case(x(2, 4))
class ConstantBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.flag = True
        self.depth = 3
        self.mode = "mean"
        self.extra = None

    def forward(self, x):
        if self.flag:
            x = x * 2
        if self.depth > 2 and not self.flag:
            x = x * 100
        if self.mode == "mean":
            x = x - x.mean()
        elif self.mode == "sum":
            x = x.sum()
        if self.extra is not None:
            x = x + self.extra
        return x


@case(x(2, 4))
class RangeLoops(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = 3

    def forward(self, x):
        for i in range(self.n):
            x = x + i
        for i in range(2, 8, 3):
            x = x * i
        for i in range(3, 0, -1):
            x = x - i
        for i in range(x.shape[1]):
            x = x + x[:, i : i + 1]
        return x


@case(x(2, 4))
class WhileLoop(nn.Module):
    def forward(self, x):
        n = 0
        while x.norm() < 100 and n < 10:
            x = x * 2
            n += 1
        return x, n


@case(x(2, 4))
class WhileTrue(nn.Module):
    def forward(self, x):
        i = 0
        while True:
            x = x + 1
            i += 1
            if i > 3:
                break
        return x


@case(x(2, 4))
class BreakContinue(nn.Module):
    def forward(self, x):
        total = torch.zeros(4)
        for i in range(6):
            if i == 1:
                continue
            if i == 4:
                break
            total = total + x[i % 2] * i
        return total


@case(x(2, 4))
class NestedLoops(nn.Module):
    def forward(self, x):
        out = x
        for i in range(2):
            for j in range(i, 3):
                if (i + j) % 2 == 0:
                    out = out + i * j
                else:
                    out = out * 1.5
        return out


@case(x(2, 4))
class ReturnInLoop(nn.Module):
    def forward(self, x):
        for i in range(5):
            x = x * 2
            if x.abs().max() > 10:
                return x
        return x - 1


@case(x(2, 4))
class EarlyReturns(nn.Module):
    def forward(self, x):
        if x.dim() == 3:
            return x
        y = x * 2
        if y.sum() > 1000:
            return y
        z = y + 1
        return z


@case(x(2, 4))
class ListLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = [1.0, 2.0, 0.5]
        self.sizes = (1, 2)

    def forward(self, x):
        outs: List[Tensor] = []
        for s in self.scales:
            outs.append(x * s)
        for n in self.sizes:
            outs.append(x[:, :n].sum())
        return [o.mean() for o in outs]


@case(x(3, 4))
class TensorLoop(nn.Module):
    def forward(self, x):
        total = torch.zeros(4)
        for row in x:
            total = total + row
        return total


@case(x(3, 4))
class Enumerated(nn.Module):
    def forward(self, x):
        y = x
        for i, row in enumerate(x.unbind(0)):
            y = y + row * i
        for a, b in zip([1, 2], [3.0, 4.0]):
            y = y * a + b
        return y


@case(x(2, 4))
class Ternary(nn.Module):
    def forward(self, x):
        y = x if x.size(0) > 1 else x * 2
        n = 1 if self.training else 2
        return y * n


@case(x(2, 4))
class ShortCircuit(nn.Module):
    def forward(self, x, y: Optional[Tensor] = None):
        if y is not None and y.sum() > 0:
            return x + y
        if y is None or self.training:
            return x
        return x * y


@case(x(2, 4), x(2, 4))
def ShortCircuitGiven():
    return ShortCircuit()


@case(x(2, 4), None)
class LogicInPlaces(nn.Module):
    def forward(self, x, y: Optional[Tensor], n: int = 3):
        with torch.no_grad():
            z = x if y is None else y
            if y is not None and y.dim() == 2 or n > 5:
                z = z * 2
        if (n > 2 and x.dim() == 2 and x.shape[0] > 1) or (self.training and n in [1, 2]):
            x = x + z
        while n > 0 and (x.sum() < 100 or n > 1):
            n -= 1
            x = x * 2
        if not (n > 7 or x.mean() > 0):
            return x - 1, n
        return x, n


@case(x(2, 4))
class Asserts(nn.Module):
    def forward(self, x):
        assert x.dim() == 2
        assert x.shape[1] == 4, "four columns"
        assert x.shape[0] == 2, f"two rows, not {x.shape[0]}"
        torch._assert(x.shape[0] == 2, "again")
        return x * 2


@case(x(3, 4))
class FailingAssert(nn.Module):
    def forward(self, x):
        x = x * 2
        assert x.shape[0] == 2, f"two rows, not {x.shape[0]}"
        return x


@case(x(3, 4))
class Raises(nn.Module):
    def forward(self, x):
        if x.shape[0] != 2:
            raise ValueError("bad shape " + str(x.shape[0]))
        return x


@case(x(3, 4))
class RaisesElse(nn.Module):
    def forward(self, x, mode: str = "a"):
        if mode == "a":
            y = x * 2
        elif mode == "b":
            y = x * 3
        else:
            raise NotImplementedError(f"mode {mode}")
        return y


@case(x(3, 4), mode="c")
def RaisesElseRaised():
    return RaisesElse()


@case(x(2, 4))
class NotScripting(nn.Module):
    def forward(self, x):
        if torch.jit.is_scripting():
            return x * 1000
        if not torch.jit.is_scripting() and not torch.jit.is_tracing():
            x = x + 1
        return x


@case(x(2, 4))
class ConditionalDefinition(nn.Module):
    def forward(self, x):
        if x.shape[0] > 1:
            a = x * 2
            b = a + 1
        else:
            a = x
            b = x
        if self.training:
            a, b = b, a
        return a - b


@case(x(2, 4))
class LoopCarriesMany(nn.Module):
    def forward(self, x):
        a, b, c = x, x * 2, 0
        for i in range(4):
            if i % 2 == 0:
                a = a + b
            else:
                b, a = a, b
            c = c + i
        return a, b, c


@case(x(2, 4))
class OptionalCarried(nn.Module):
    def forward(self, x):
        best: Optional[Tensor] = None
        for i in range(3):
            y = x * i
            if best is None:
                best = y
            elif y.sum() > best.sum():
                best = y
        assert best is not None
        return best


@case(x(2, 4))
class BooleanTensors(nn.Module):
    def forward(self, x):
        flag = bool(x.sum() > 0)
        mask = (x > 0) & (x < 1) | ~(x > -1)
        if flag or mask.any():
            x = torch.where(mask, x, -x)
        if not flag and not mask.all():
            x = x + 1
        return x


@case(x(2, 4))
class LoopInsideBranch(nn.Module):
    def forward(self, x):
        if self.training:
            for _ in range(2):
                x = F.dropout(x, 0.5)
        else:
            i = 3
            while i > 0:
                x = x + i
                i -= 1
        return x


@case(x(2, 4))
class EarlyReturnOfMany(nn.Module):
    def both(self, x):
        for i in range(3):
            if x.sum() > i:
                return x, (i, x)
        return x * 2, (5, x)

    def many(self, count: int):
        for i in range(3):
            if count > i:
                return [count, i]
        return [5]

    def forward(self, x):
        return self.both(x), self.both(-x), self.many(x.size(0)), self.many(0)


@case(x(4, 3))
class ChainedComparisons(nn.Module):
    def forward(self, x):
        n = x.size(0)
        if 2 < n <= 4 != 7:
            x = x * 2
        return x if 0 < x.size(1) < 3 else -x
