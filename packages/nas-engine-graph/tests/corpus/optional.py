"""Arguments whose default is None, with and without a declared type, and methods for Python alone."""

from typing import List, Optional  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus.case import case, x

OptTensor = Optional[Tensor]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(3, 3)

    def forward(self, x, context=None, mask: Tensor = None, scale: float = None):
        context = x if context is None else context
        if scale is None:
            scale = 0.5
        scores = self.query(x) @ context.transpose(-1, -2) * scale
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -1e9)
        return scores.softmax(-1) @ context


@case(x(2, 3))
class NothingGiven(nn.Module):
    """Python asks whether it is None, where TorchScript has a tensor."""

    def forward(self, x, targets=None, mask: Tensor = None):
        loss = None
        if targets is not None:
            loss = (x - targets).mean()
        return x * 2 if mask is None else x * mask, loss


@case(x(2, 3), x(2, 3), torch.tensor([[1, 0], [1, 1]]))
class SomeGiven(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Attention(), Attention()

    def forward(self, x, context=None, mask=None):
        x = self.first(x, mask=mask)
        return self.second(x, context, mask, 0.1), self.second(x)


@case(x(2, 3), x(2, 3), 3)
class DoesNotAsk(nn.Module):
    """It is used as what it is if it is not None."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(3)

    def forward(self, x, other=None, times: int = None):
        x = x + self.norm(other) * times
        return x, other.size(0), torch.cat([x, other])


@case(x(2, 3))
class DoesNotAskForNone(nn.Module):
    """Which fails as in Python."""

    def forward(self, x, other: Optional[Tensor] = None):
        if self.training:
            return x + other
        return x


def scaled(x, by: int = None, *, sizes: List[int] = None):
    x = x * 2 if by is None else x * by
    return x if sizes is None else x.view(sizes)


@case(x(2, 3))
class OfOtherTypes(nn.Module):
    def forward(self, x, kept: OptTensor = None, shift: "Tensor" = None):
        if shift is not None:
            x = x + shift
        return scaled(x), scaled(x, 3), scaled(x, sizes=[3, 2]), kept


@case(x(2, 3))
class MarkedAsIgnored(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    @torch.jit.ignore
    def extra(self, x, y: Tensor = None):
        return self.layer(x) if y is None else x + y

    @torch.jit.ignore
    def names(self):
        return {"layer"}

    def forward(self, x):
        return self.extra(x) + self.extra(x, y=x)


_CAN_COMPILE = True


@torch.jit.unused
def _is_compiling() -> bool:
    return _CAN_COMPILE and torch.compiler.is_exporting()


def is_compiling() -> bool:
    if torch.jit.is_scripting():
        return False
    return _is_compiling()


@case(x(2, 3))
class AsksTheCompiler(nn.Module):
    def forward(self, x):
        return x if is_compiling() else x + 1
