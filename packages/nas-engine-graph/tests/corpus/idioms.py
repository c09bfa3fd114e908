import math
from typing import Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


def two(a: Tensor, k: int = 2, s: float = 1.0) -> Tensor:
    return a * k + s


def side(items: List[int]) -> bool:
    items.append(1)
    return len(items) > 2


def swap(p: Tuple[Tensor, int]) -> Tuple[int, Tensor]:
    return p[1], p[0]


def rec(d: Dict[str, int]) -> int:
    d["n"] = d["n"] + 1
    return d["n"]


def deep(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        if i == 2:
            return x
        x = two(x, k=i)
    return x


@case(x(3, 4), x(1, 4))
class ListAliases(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        a = [1]
        b = a
        b.append(2)
        c = a.copy()
        c.append(3)
        a += [9]
        b = b + [5]
        return a, b, c


@case(x(3, 4), x(1, 4))
class CallsInConditions(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        items: List[int] = []
        if side(items) and side(items) or side(items):
            t = t + 1
        ok = side(items) or side(items)
        return t, items


@case(x(3, 4), x(1, 4))
class DictMethods(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        d = {"n": 0}
        r = rec(d) + rec(d) * 10
        d["n"] += 5
        e = d.copy()
        e["m"] = 1
        p = d.pop("n")
        d.update(e)
        d2 = dict(e)
        return r, d, e, p, d2, list(d.items()), len(d)


@case(x(3, 4), x(1, 4))
class ListMethods(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        items = [3, 1, 2]
        items.sort()
        m = sorted(items)
        items.remove(3)
        items.extend([7, 7])
        n = items.count(7)
        k = items.index(7)
        items.reverse()
        q = items.copy()
        q.clear()
        return items, m, n, k, q, items == [7, 7, 2, 1], 7 in items


@case(x(3, 4), x(1, 4))
class NestedTuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        n, t = swap((t, 4))
        (a, b), c = (n, n + 1), [n, 2]
        p, q = c
        return t * a * b, p + q


@case(x(3, 4), x(1, 4))
class DefaultsAndKeywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        return two(t), two(t, 3), two(t, s=2.0), two(t, 3, 4.0), deep(t, 5), two(two(t), k=1)


@case(x(3, 4), x(1, 4))
class NumbersChangeType(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        k = 1.5
        k = k + 1
        n = 3
        m = n / 2
        if n > 2:
            m = 2.0
        else:
            m = 3.0
        return t * k * m, n, m


@case(x(3, 4), x(1, 4))
class ViewsAndNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        y = t
        y += 1
        z = t.view(-1)
        z[0] = 100
        w = t[0]
        t = t * 2
        w += 1
        return y, z, w, t


@case(x(3, 4), x(1, 4))
class AsksForAttributes(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        if isinstance(v, Tensor):
            t = t + v
        y = t if isinstance(t, Tensor) else x
        return y, hasattr(self, "lin"), hasattr(self, "nope")


@case(x(3, 4), x(1, 4))
class AbsentAttributes(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        if hasattr(self, "nope"):
            return self.nope(t)
        if self.training:
            t = t * 2
        return self.lin(t) if self.training else self.lin(t) * 3


@case(x(3, 4), x(1, 4))
class BoolVariables(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        x = 1 if t.sum() > 0 else 2
        y = (x > 1) == True  # noqa: E712
        z = not y
        u = x > 0 and y or z
        return t * x, y, z, u, 1 < x < 3, x == 1 or x == 2, not (x == 1)


@case(x(3, 4), x(1, 4))
class MaskedTuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        m = t > 0
        t[m], t[~m] = 1.0, 0.0
        t[0, 1:3] += t[1, 1:3]
        t[:, -1] *= -1
        return t, m.sum().item(), m.any(), m.all(1)


@case(x(3, 4), x(1, 4))
class SlicesByVariables(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        try_ = t.sum().item()
        a = int(t.shape[0] / 2)
        b = t.shape[0] // 2 * 2
        c = (a + b) / 2
        return try_ > 0, a, b, c, int(c), round(c), t[:a], t[b - 1 :], t[a:b], t[:-1], t[-2:, :2]


@case(x(3, 4), x(1, 4))
class ChainedInPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        z = torch.zeros(3, 4)
        z.copy_(t).mul_(2).add_(t, alpha=0.5)
        t.clamp_(min=0.0)
        torch.relu_(z)
        F.dropout(z, 0.0, True, True)
        return z.t_(), t


@case(x(3, 4), x(1, 4))
class ShapesInBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        if t.dim() == 2:
            b, n = t.shape
        elif t.dim() == 3:
            b, n, _ = t.shape
        else:
            raise RuntimeError("dim " + str(t.dim()))
        return t.view(n, b), b, n


@case(x(3, 4), x(1, 4))
class WeightsOfLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, v):
        t = x.clone()
        w = self.lin.weight
        b = self.lin.bias
        if b is not None:
            return F.linear(t, w, b), w.shape, self.lin.in_features
        return F.linear(t, w)


@case(x(3, 4))
class ListsInPlace(nn.Module):
    def forward(self, x):
        a = [1]
        a += [9]
        b = [2]
        b *= 2
        c = b
        c += a
        [3].append(4)
        return a, b, c, x


@case(x(2, 4))
class ManyReturns(nn.Module):
    """Attention as libraries of transformers write it."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(4, 4)
        self.heads, self.size = 2, 2
        self.position, self.is_decoder = "absolute", False
        self.dropout = nn.Dropout(0.1)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.size()[:-1] + (self.heads, self.size)).permute(1, 0, 2)

    def forward(
        self,
        x,
        mask: Optional[Tensor] = None,
        past: Optional[Tuple[Tensor, Tensor]] = None,
        output_attentions: bool = False,
    ) -> Tuple[Tensor, Optional[Tensor], Optional[Tuple[Tensor, Tensor]]]:
        key = self.split(self.query(x))
        value = key
        if past is not None:
            key = torch.cat([past[0], key], 1)
            value = torch.cat([past[1], value], 1)
        if self.is_decoder:
            past = (key, value)
        scores = torch.matmul(key, key.transpose(-1, -2)) / math.sqrt(self.size)
        if self.position == "relative_key":
            scores = scores * 2
        if mask is not None:
            scores = scores + mask
        weights = self.dropout(F.softmax(scores, dim=-1))
        context = torch.matmul(weights, value).permute(1, 0, 2).contiguous()
        context = context.view(context.size()[:-2] + (4,))
        if output_attentions:
            return context, weights, past
        if past is not None:
            return context, None, past
        return context, None, None


@case(x(2, 3), mask_=x(2, 3), F=2)
class NamesOfArguments(nn.Module):
    """Which callers give by keyword, whatever else is called so."""

    def forward(self, _x, mask_: Optional[Tensor] = None, F: int = 3, _scale: float = 0.5):
        y = torch.nn.functional.silu(_x) * F * _scale
        return y if mask_ is None else y * mask_


class MayTransform(nn.Module):
    def __init__(self, transforms):
        super().__init__()
        self.transforms = transforms

    def forward(self, x) -> Tuple[Tensor, Optional[Tensor]]:
        found: Optional[Tensor] = None
        if self.transforms:
            made = x.exp()
            x, found = x * made, made
        return x, found


@case(x(2, 3))
class AsksWhatIsAlwaysTrue(nn.Module):
    def __init__(self):
        super().__init__()
        self.devices = 1
        self.inner = MayTransform(True)

    def forward(self, x):
        if x.is_cuda and self.devices > 1:
            x = x.flip(0)
        x, found = self.inner(x)
        if found is not None:
            x = x + found.sum()
        return x
