from typing import List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


@case(x(3, 4), torch.ones(1, 1, 4))
class AssignBroadcast(nn.Module):
    """Leading dimensions of one element are left out of what is assigned."""

    def forward(self, x, row):
        t = x.clone()
        t[0] = row
        t[1, ...] = row
        t[2][...] = row * 2
        t[[0]] = row
        t[torch.tensor([1, 2])] = row
        u = x.clone()
        u[:] = row
        u[..., :] = row
        u[0, 1] = row.sum()
        u[None, 0] = row
        return t, u


@case(x(3, 4))
class AssignNumbers(nn.Module):
    def forward(self, x):
        t = x.clone()
        t[0], t[1] = 1.5, True
        t[0:0] = 3
        t[:, 0], t[-1:, ::2] = -1, 2
        i = t.long()
        i[0] = 2.7
        m = t > 0
        m[0] = True
        m[1, :2] = False
        m[m] = False
        t[2] = torch.tensor([1, 2, 3, 4])
        return t, i, m


@case(x(3, 4))
class ListsAndMasks(nn.Module):
    def forward(self, x):
        flags: List[bool] = [True, False, True]
        pairs = [[0, 1], [1, 2]]
        t = x.clone()
        t[:, [0, 2]] += 1
        t[:, None, [0, 1]] *= 2
        t[[True, False, True]] = 0.5
        t[flags, 1] -= 1
        t[:, [True, False, True, False]] = t[:, [0, 1]]
        return t, x[flags], x[pairs], x[[[0, 1], [1, 2]]], x[[0, 1], [1, 3]], x[[]], x[[0], 1:]


@case(x(3, 4, 5))
class MixedSubscripts(nn.Module):
    def forward(self, x):
        i, m = torch.tensor([0, 2]), x[:, 0, 0] > 0
        t = x.clone()
        t[i, :, 1:3] = 2
        t[:, i, 0] *= 2
        t[m] = 0
        t[:, :, i] -= 1
        t[0, i] = x[0, i] + 1
        t[i, i, i] = 9
        t[i, None] = 3
        t[None, :, i] += 2
        t[:, i][0] = 8
        return t, x[m], x[:, i, 0], x[i, :, i], x[m, :, 0], x[-1, :, [0, -1]], x[i, None, :, 1:]


@case(x(3, 4))
class ScalarTensorsAreViews(nn.Module):
    def forward(self, x):
        i = torch.tensor(1)
        t = x.clone()
        row, column = t[i], t[:, i]
        row += 1
        column *= 2
        t[i] += 1
        t[0, i] = 7
        return t, row, column


@case(x(3, 4), torch.tensor([1, 0]))
class OptionalIndex(nn.Module):
    def forward(self, x, i: Optional[Tensor] = None):
        t = x.clone()
        if i is not None:
            t[:, i] = 0
        places: List[Optional[Tensor]] = [None, i]
        torch.ops.aten.index_put_(t, places, torch.tensor(4.0))
        return torch.ops.aten.index(t, places), t


@case(x(3, 4))
class PutByCall(nn.Module):
    def forward(self, x):
        t = x.clone()
        i = torch.tensor([0, 0])
        t.index_put_((i, torch.tensor([1, 1])), torch.ones(2), accumulate=True)
        u = t.index_put([torch.tensor([0])], torch.zeros(4))
        a, b = torch.where(t > 0)
        t[a, b] = t[a, b] + u[a, b]
        t[0].copy_(x[1])
        return t, u


@case(x(3, 4))
class AugmentedSubscripts(nn.Module):
    def forward(self, x):
        t = x * 3
        t[0] //= 2
        t[1] %= 2
        t[2] **= 2
        t[:, 0] -= 1
        t[:, [1]] /= 3
        i = t.long()
        i[0] <<= 1
        i[1] >>= 1
        i[2] &= 3
        i[0] |= 1
        i[:, 1] ^= 1
        return t, i


@case(x(3, 4))
class AugmentedVariables(nn.Module):
    """They change what others see, too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("bits", torch.arange(12).view(3, 4))
        self.count = 5

    def forward(self, x):
        t = x * 3
        view, mask = t[0], t > 0
        seen, again = mask, t[1]
        view **= 2
        view %= 3
        mask |= t < -2
        mask &= t < 2
        mask ^= t < 1
        again //= 2
        bits = self.bits
        self.bits |= 5
        self.bits[self.bits > 8] -= 1
        self.count %= 3
        self.count += 1
        t @= t.t() @ t
        return t, view, mask, seen, again, bits, self.count


@case(x(3, 4))
class AugmentedNumbers(nn.Module):
    def forward(self, x):
        n, f = x.shape[0] + 4, 7.5
        n %= 4
        n <<= 2
        n |= 1
        n &= 13
        n ^= 2
        n >>= 1
        n //= 2
        f //= 2
        f %= 2
        f **= 2
        return x * n * f, n, f


@case(x(3, 4))
class CastByPower(nn.Module):
    def forward(self, x):
        i = x.long()
        i **= 0.5
        return i


@case(x(3, 4))
class BoolsForNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.fill = True

    def forward(self, x):
        mask, flag, yes = x > 0, x.shape[0] > 2, True
        full = torch.full((2,), True), torch.full((2,), yes), torch.full((2,), flag)
        filled = torch.full((2,), self.fill), torch.full((2,), fill_value=False)
        sums = mask + True, mask * flag, mask & True, mask | flag, mask + yes, True ^ mask
        mask += True
        mask &= flag
        where = torch.where(mask, True, False), torch.where(mask, flag, False)
        padded = F.pad(mask, (1, 1), value=True), mask.masked_fill(mask, False)
        equal = mask == True, mask.eq(True), (x.shape[0] > 2) == flag  # noqa: E712
        numbers = 3 * flag, flag + 1, int(flag), float(flag), torch.add(mask, yes, alpha=True)
        return full, filled, sums, where, padded, equal, numbers, mask


@case(x(2, 48, 5, 5))
class TakesAll(nn.Module):
    """A slice of all is no operation to Python: its gradient has the strides that it comes with."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(48, 96, 1), nn.Upsample(scale_factor=2.0))
        self.head = nn.Linear(96, 8)

    def forward(self, x):
        height, width = x.shape[-2:]
        y = self.layers(x)[..., : 2 * height, : 2 * width]
        last = y[:, :, 0:height]
        rows = x[..., 0::2, :, :], x[..., 1::2, :], x[:, :, :], x[1:, :, :]
        return self.head(y.permute(0, 2, 3, 1)), last[:, :], last[1:, :], rows


@case(x(4, 5))
class SlicesWithNames(nn.Module):
    def forward(self, x):
        left = slice(0, -2)
        center = slice(1, -1)
        right = slice(2, None)
        return x[left, center] + x[right, right] * x[center, left], x[right]
