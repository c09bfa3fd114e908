from typing import List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 4, grad=False))
class AddInPlace(nn.Module):
    def forward(self, x):
        x += 1
        x.mul_(2)
        return x


@case(x(2, 4))
class InPlaceOnCopy(nn.Module):
    def forward(self, x):
        y = x.clone()
        z = y * 2
        y.add_(1)
        w = y * 3
        y.zero_()
        return z + w, y


@case(x(2, 4))
class WriteThroughView(nn.Module):
    def forward(self, x):
        y = x.clone()
        row = y[0]
        before = row.sum()
        y[0] += 10
        after = row.sum()
        row[1:] = 0
        return before, after, y


@case(x(3, 4))
class SliceAssign(nn.Module):
    def forward(self, x):
        out = torch.zeros(3, 4)
        out[:, 1:3] = x[:, :2]
        out[0] = 5
        out[-1, ::2] = 1.5
        out[x > 0] = -1
        return out * x


@case(x(3, 4, grad=False))
class EffectOnInput(nn.Module):
    def forward(self, x):
        x[:, 0] = 1
        y = x.t()
        y[1] = 2
        return x.sum()


@case(x(2, 4))
class InPlaceRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        y = self.linear(x)
        z = y + 1
        self.relu(y)
        F.relu_(z)
        return y, z


@case(x(2, 4))
class InPlaceOrder(nn.Module):
    def forward(self, x):
        a = x * 1
        b = a.view(-1)
        c = a + 1
        b[0] = 100
        d = a + 1
        b.fill_(3)
        e = a + 1
        return c, d, e


@case(x(2, 4))
class InPlaceInBranch(nn.Module):
    def forward(self, x):
        y = x.clone()
        v = y[:, :2]
        if y.sum() > 0:
            v.mul_(2)
        else:
            v.add_(1)
        return y


@case(x(4, 4))
class InPlaceInLoop(nn.Module):
    def forward(self, x):
        out = torch.zeros_like(x)
        for i in range(x.size(0)):
            out[i] = x[i] * i
            if i > 0:
                out[i] += out[i - 1]
        return out


@case(x(2, 4))
class BufferCounter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.steps += 1
            self.mean = self.mean * 0.9 + x.detach().mean(0) * 0.1
        return x - self.mean


@case(x(2, 4))
class BufferInPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(4), persistent=False)

    def forward(self, x):
        before = self.seen.clone()
        self.seen.copy_(x[0].detach())
        return x + before + self.seen


@case(x(2, 4))
class AttributeCounter(nn.Module):
    calls: int

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        x = x * self.calls
        self.calls = self.calls + 1
        return x + self.calls


@case(x(2, 4))
class ReadWriteOrder(nn.Module):
    def __init__(self):
        super().__init__()
        self.value = 1

    def forward(self, x):
        a = self.value
        self.value = 5
        b = self.value
        self.value = 1
        return x * a + b


@case(x(2, 4))
class MaskedFill(nn.Module):
    def forward(self, x):
        y = x.clone()
        y.masked_fill_(y < 0, float("-inf"))
        return y.softmax(-1), x.masked_fill(x > 0, 0.0)


@case(x(4, 3))
class IndexedUpdate(nn.Module):
    def forward(self, x):
        index = torch.tensor([0, 2])
        out = torch.zeros(4, 3).index_add_(0, index, x[:2])
        out.scatter_(1, torch.zeros(4, 1, dtype=torch.long), 9.0)
        out[index] = out[index] * 2
        return out + x


@case(x(2, 4))
class ListAliases(nn.Module):
    def forward(self, x):
        a = [x, x * 2]
        b = a
        b.append(x * 3)
        a[0] = x * 4
        c = a[1:]
        c.append(x)
        return len(a), len(c), b[0] + b[2]


@case(x(2, 4))
class SwapValues(nn.Module):
    def forward(self, x):
        a, b = x * 1, x * 2
        for _ in range(3):
            a, b = b, a + b
        return a, b


@case(x(3, 4))
class ChunkWrites(nn.Module):
    def forward(self, x):
        y = x.clone()
        a, b = y.chunk(2, dim=1)
        a.copy_(b)
        parts = torch.split(y, [1, 3], dim=1)
        parts[1].mul_(2)
        return y, parts[0]


@case(x(2, 3, 4))
class TransposedWrite(nn.Module):
    def forward(self, x):
        y = x.contiguous().clone()
        z = y.transpose(1, 2)
        z[:, 0, :] = 7
        w = y.permute(2, 0, 1)
        w.add_(1)
        return y.reshape(2, -1), z.is_contiguous()


@case(x(2, 4))
class OutArgument(nn.Module):
    def forward(self, x):
        out = torch.empty(2, 4)
        torch.add(x.detach(), 1, out=out)
        return out


@case(x(2, 4))
class Detached(nn.Module):
    def forward(self, x):
        y = x.detach()
        with torch.no_grad():
            z = x * 2
            y = y + z
        w = x * 3
        return y + w, z.requires_grad


@case(x(2, 4))
class NoGradUpdate(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4))

    def forward(self, x):
        with torch.no_grad():
            if self.training:
                self.w.clamp_(-0.5, 0.5)
            n = x.norm()
        return x * self.w / n


@case(x(3, 3), x(3, 3), 0)
@case(x(3, 3), x(3, 3), 3)
class WritesIntoWhatItWasBefore(nn.Module):
    """In the second round of each loop a variable is what another one is, which is returned."""

    def forward(self, x, y, n: int):
        a, b, c, d, e = x * 1, x * 2, x * 3, x * 4, x * 5
        kept: Optional[Tensor] = None
        w, z, last = y * 1, y * 2, y * 3
        for _ in range(n):
            if kept is not None:
                kept.add_(2.5)
            kept = a
            w += 1
            w = b
            z[0] = 0.5
            torch.relu_(z[1:])
            z = c
            e, last = last, e
            last.t()[0].mul_(2)
            y = d
        y.sub_(1)
        e[1] *= 2
        return a, b, c, d, last, e


@case(x(3, 3), x(3, 3), 3)
class FillsWhatItWasBefore(nn.Module):
    def forward(self, x, y, n: int):
        rows, other = [x], [x]
        for _ in range(n):
            other.append(y)
            other = rows
        return rows[-1], other[-1]


@case(x(3, 3), 3)
class WritesInTheSecondRound(nn.Module):
    def forward(self, x, n: int):
        a, b = x * 1, x * 2
        kept: Optional[Tensor] = None
        last = x * 3
        for _ in range(n):
            if kept is not None:
                kept.add_(2.5)
            kept = a
            last[0].mul_(2)
            last = b
        return a, b
