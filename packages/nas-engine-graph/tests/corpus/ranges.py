"""Loops whose number of trips may be a tensor."""

from typing import Optional  # What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 3), torch.tensor(3))
class Direct(nn.Module):
    def forward(self, x, n):
        for i in range(n):
            x = x + i
        return x


@case(x(2, 3), torch.tensor(3))
class OneArmConverts(nn.Module):
    def forward(self, x, n: Tensor):
        if x.sum() < 100:
            k = int(n)
        else:
            k = n
        for i in range(k):
            x = x + i
        return x


@case(x(2, 3), torch.tensor(3))
class OneArmSets(nn.Module):
    def forward(self, x, n: Tensor):
        k = 0
        if x.sum() > 100:
            k = n * 2
        else:
            k = 2
        for i in range(int(k)):
            x = x + i
        return x, k


@case(x(2, 3), torch.tensor(3))
class ConvertsLater(nn.Module):
    def forward(self, x, n):
        k = n
        if x.sum() < 100:
            k = int(n)
            for i in range(k):
                x = x + i
        return x * k


@case(x(2, 3))
class FromFloat(nn.Module):
    """``int`` makes a number of it, ``range`` would not."""

    def forward(self, x):
        k = 1
        if x.sum() < 100:
            k = torch.tensor(2.5)
            k += 1
        for i in range(int(k)):
            x = x + i
        return x


@case(x(2, 3), torch.tensor(3))
class FromItem(nn.Module):
    def forward(self, x, n):
        m = n.item()
        for i in range(m):
            x = x + i
        return x


@case(x(2, 3), torch.tensor(3))
class InsideALoop(nn.Module):
    def forward(self, x, n: Tensor):
        k = n * 2
        for i in range(int(k)):
            x = x + i
            if i > 1:
                k = int(k) + 1
        for j in range(k):
            x = x * j
        return x, k


@case(x(5, 3), 2)
@case(x(5, 3))
class InSteps(nn.Module):
    """A step that may be None."""

    def forward(self, x, step: Optional[int] = None):
        parts = []
        if step is not None:
            for i in range(0, x.size(0), step):
                parts.append(x[i : i + step].cumsum(0) * i)
        return torch.cat(parts) if len(parts) > 0 else x
