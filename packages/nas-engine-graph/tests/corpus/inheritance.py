"""Methods of base classes, called beside those that override them; arguments taken by keyword."""

from typing import List, Optional  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus.case import case, x


class ScaledLinear(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return super().forward(x) * self.gain


class TwiceLinear(ScaledLinear):
    """Names the classes, as older code does."""

    def forward(self, x):
        return ScaledLinear.forward(self, x) + nn.Linear.forward(self, x)


@case(x(2, 3))
class CallsLayerOfBase(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([ScaledLinear(), TwiceLinear(), ScaledLinear()])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Residual(nn.Sequential):
    def forward(self, x):
        return super().forward(x) + x


class ImageNorm(nn.BatchNorm2d):
    """Has statistics, which the method of the base class updates."""

    def forward(self, x):
        return super().forward(x[..., None, None]).flatten(1)


@case(x(4, 3))
class CallsContainerOfBase(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Residual(nn.Linear(3, 3), ImageNorm(3), nn.ReLU())

    def forward(self, x):
        return self.block(x)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.seen = 0, False

    def step(self, x):
        return x + self.calls

    def forward(self, x, factor: int = 2):
        self.calls += 1
        self.seen = True
        return self.step(x) * factor


class OtherDefault(Counting):
    def step(self, x):
        return super().step(x) - 1

    def forward(self, x, factor: int = 3):
        return super().forward(x, factor=factor + 1) + super().forward(x)


class WithoutGradient(Counting):
    @torch.no_grad()
    def forward(self, x, factor: int = 5):
        return super().forward(x) - 1


@case(x(2, 3))
class Diamond(OtherDefault, WithoutGradient):
    """``super`` goes through all classes of the instance, and not of the class that says it."""

    def forward(self, x, factor: int = 7):
        y = super(Diamond, self).forward(x, factor) + self.calls
        return y.sin() if self.seen else y


def shifted(x, *, by: int, times: float = 2.0):
    return x * times + by


@case(x(2, 3), scale=1.5)
class ByKeyword(nn.Module):
    def rolled(self, x, *, steps: int = 1):
        return x.roll(steps, 0)

    def forward(self, x, *, scale: float = 3.0, bias: Optional[Tensor] = None):  # noqa: UP007, UP045
        x = shifted(x, by=3) + self.rolled(x) + self.rolled(x, steps=2) * scale
        return x if bias is None else x + bias


@case(x(2, 3))
class EmptiedInside(nn.Module):
    """Lists and dicts that are made anew in a block have the types that they had outside."""

    def forward(self, x):
        found: List[int] = []  # noqa: UP006
        kept: Optional[Tensor] = None  # noqa: UP007, UP045
        for i in range(4):
            found.append(i)
            if kept is None:
                kept = x * i
            else:
                kept = None
            if i == 1:
                found = torch.jit.annotate(List[int], [])  # noqa: UP006
        return found, kept


@case(x(4, 2, 8))
class AttendsToItself(nn.MultiheadAttention):
    def __init__(self):
        super().__init__(8, 2)

    def forward(self, x):
        y, _ = super().forward(x, x, x, need_weights=False)
        return x + y
