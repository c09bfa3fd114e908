from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


@torch.no_grad()
def frozen(x):
    if x.sum() > 100:
        return x
    return F.relu(x) * 3


@case(x(2, 4))
class WithoutGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    @property
    @torch.no_grad()
    def weight(self) -> Tensor:
        return self.linear.weight * 2

    @torch.no_grad()
    def parts(self, x) -> Tuple[Tensor, int]:
        return self.linear(x), 3

    @staticmethod
    @torch.no_grad
    def halved(x):
        return x / 2

    def forward(self, x):
        part, factor = self.parts(x)
        fixed = part * factor + frozen(x) + self.halved(x)
        return self.linear(x) + x @ self.weight + fixed


@case(x(2, 4))
class WholeForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    @torch.no_grad()
    def forward(self, x):
        return F.relu(self.linear(x))


@case(x(2, 4))
class GivenDecorated(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.no_grad()(frozen)

    def forward(self, x):
        return x + self.inner(x)
