"""Functions and loops that end early, and contexts after the end and around it."""

from typing import Optional

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class ReturnsBeforeContext(nn.Module):
    def scaled(self, x, n: int):
        if n > 2:
            return x
        else:
            n = n + 1
        with torch.no_grad():
            scale = x.abs().mean() * n
        return x / scale

    def forward(self, x, n: int):
        return self.scaled(x, n), self.scaled(x, n + 1)


@case(x(2, 3), 1)
@case(x(2, 3), 4)
@case(x(2, 3), 7)
class ReturnsInContext(nn.Module):
    def forward(self, x, n: int):
        with torch.no_grad():
            y = x * 2
            if n > 5:
                return y, n
            y = y + 1
            if n > 2:
                return y, 3
            y = y + x
        return x * y, n + 1


@case(x(2, 3), 1)
@case(x(2, 3), 4)
@case(x(2, 3), 7)
class EndsRoundsBeforeContext(nn.Module):
    def __init__(self):
        super().__init__()
        self.strict = False

    def forward(self, x, n: int):
        y, count = x, 0
        for i in range(n):
            if self.strict:
                y = y + 1
            elif i > 4:
                break
            elif i == 1:
                continue
            with torch.no_grad():
                count = y.size(0) + count
                y = y * 2
            x = x + y
        while count < 20:
            count += 3
            if n > 2:
                if count > 12:
                    break
                y = y - 1
            with torch.no_grad():
                part = y * count
                if count == 15:
                    continue
                part = part + 1
            x = x + part
        return x, count


@case(x(2, 3), 1, None)
@case(x(2, 3), 4, x(2, 3))
@case(x(2, 3), 7, x(2, 3))
class ReturnsFromRoundsBeforeContext(nn.Module):
    """What is known of what may be None is known after the end, too."""

    def forward(self, x, n: int, bias: Optional[Tensor] = None):
        if bias is None:
            return x
        with torch.no_grad():
            low = bias.mean()
        for i in range(n):
            if n > 5:
                if i > 2:
                    return x - low
                x = x * 2
            with torch.no_grad():
                step = bias * i
            x = x + step
        return x
