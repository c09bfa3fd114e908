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


@case(x(2, 4))
class Modes(nn.Module):
    """With contexts of gradients that TorchScript does not know, also as decorators."""

    def __init__(self):
        super().__init__()
        self.linear, self.frozen = nn.Linear(4, 4), True

    @torch.enable_grad()
    def energy(self, x):
        return self.linear(x).pow(2).sum()

    @torch.inference_mode()
    def measured(self, x):
        return self.linear(x).sum()

    @torch.no_grad()
    def refined(self, x):
        for _ in range(2):
            with torch.enable_grad():
                x = x.detach().requires_grad_(True)
                (slope,) = torch.autograd.grad([self.energy(x)], [x])
                assert slope is not None
            x = x - 0.1 * slope
        return x, self.energy(x)

    def forward(self, x, learns: bool = False):
        with torch.set_grad_enabled(not self.frozen and self.training):
            y = self.linear(x)
        with torch.autograd.set_grad_enabled(mode=learns), torch.autograd.inference_mode(False):
            y = y + self.linear(x)
        with torch.inference_mode():
            z = self.linear(x)
            if z.sum() > 100:
                return y, z, self.refined(x), self.measured(x)
        return self.linear(y), z.sum(), self.refined(x), self.measured(x)


@torch.set_grad_enabled(False)
def fixed(x):
    return x * 2


@case(x(2, 4))
class Decorated(nn.Module):
    """With all contexts of torch that may be decorators, also inside of each other."""

    def __init__(self):
        super().__init__()
        self.linear, self.on = nn.Linear(4, 4), True

    @torch.set_grad_enabled(mode=False)
    def train(self, mode: bool = True):
        self.on = not mode
        return super().train(mode)

    @torch.set_grad_enabled(True)
    @torch.no_grad()
    def off(self, x):
        return self.linear(x)

    @torch.inference_mode()
    @torch.inference_mode(mode=False)
    @torch.autograd.grad_mode.set_multithreading_enabled(False)
    def plain(self, x):
        return self.linear(x)

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def narrow(self, x):
        return self.linear(x)

    @torch.autocast("cpu", enabled=False)
    def wide(self, x):
        return self.linear(x.float())

    @torch.profiler.record_function("seen")
    def seen(self, x) -> Tuple[Tensor, int]:
        return self.linear(x), 3

    @torch.no_grad()
    @torch.set_grad_enabled(True)
    def forward(self, x):
        y, times = self.seen(self.narrow(x))
        y = y * times + self.plain(x)
        with torch.autograd.grad_mode.set_multithreading_enabled(False):
            return y + self.wide(x) if self.on else y + self.off(x) + fixed(x)
