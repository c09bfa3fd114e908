"""Arguments of which defaults and calls say what they are, and methods for Python alone."""

from typing import List, Optional, Tuple  # noqa: UP035 - What TorchScript reads.

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


def tries(x) -> float:
    try:
        return float(x.shape[0])
    except IndexError:
        return 0.0


def tried(x):
    if torch.jit.is_scripting():
        return x * 2
    return x * 2 * tries(x)


def checked(n: int) -> None:
    if not torch.jit.is_scripting():
        tries(torch.ones(n))


@case(x(2, 3))
class CallsWhatTries(nn.Module):
    """TorchScript can't read what is called only where it does not read."""

    def forward(self, x):
        checked(x.size(1))
        return tried(x) + 1


def gained(x, gain: float = 1, by: float = 2.0):
    return x * gain + by


def weighted(x, weights: Tuple[float, float] = (1, 2), times: int = True):
    return x * weights[0] + weights[1], times


class Gain:
    def __init__(self, by: float = 2) -> None:
        self.by = by

    def applied(self, x: Tensor, more: float = 3) -> Tensor:
        return x * self.by * more


@case(torch.arange(3))
class IntegersByDefault(nn.Module):
    """For floats: of integers they make integers."""

    def half(self, x, gain: float = 1):
        return x * gain

    def forward(self, x, by: float = 2):
        found = [gained(x), gained(x, 1.0), gained(x, 1), gained(x, gain=1, by=1)]
        gain = Gain()
        found += [self.half(x) * by, self.half(x, gain=1.0), gain.applied(x)]
        return (
            found,
            weighted(x),
            weighted(x, (1.0, 2.0), 1),
            gain.by,
            Gain(2.0).applied(x, 3.0),
            gain.applied(x, 3.0),
        )


@case(x(2, 3))
class SaidByDefaults(nn.Module):
    def flipped(self, x, dim=-1, times=1, name="a"):
        return x.flip(dim) * times, f"{name}{times}"

    def forward(self, x, rate=0.5, full=True, dim=-2):
        if full:
            x = x * rate
        return self.flipped(x), self.flipped(x, dim, 2, "b"), x.sum(dim, keepdim=True)


def parts(x, sizes, names, top):
    return dict(zip(names, x.split(sizes, dim=1))), x.topk(top).values


@case(x(2, 3))
class SaidByCalls(nn.Module):
    """Nothing else says what they are."""

    def shifted(self, x, by, weights=None):
        x = x + by
        return x if weights is None else x * weights[0]

    def forward(self, x):
        y = self.shifted(x, 2)
        return parts(x, [1, 2], ["a", "b"], 2), self.shifted(y, 3, weights=[0.5, 1.0])


def scaled_by(x, by: float, *, more: Optional[float] = None) -> Tensor:
    y = x * by // 2
    return y if more is None else y * more


@case(x(2, 3))
class IntegersForFloats(nn.Module):
    def __init__(self):
        super().__init__()
        self.top = 3

    def half(self, x, by: float):
        return x / by, by

    def forward(self, x):
        y: Tensor
        y = nn.functional.hardtanh(x, 0, 20)
        y = scaled_by(y, 2) + scaled_by(x, self.top, more=2)
        return y, self.half(x, 4), self.half(x, 0.5)


def exists(value):
    return value is not None


@case(x(2, 3))
class AsksByFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.other = nn.Sequential(nn.Linear(3, 3)), None

    def forward(self, x, scale=None):
        if exists(self.layer):
            x = self.layer(x)
        if exists(self.other) and exists(scale):
            x = x * scale
        return x


NONE = torch.zeros(0)


def moved(x, by: Tensor = torch.tensor([1.0, -2.0, 0.5]), *, shift: Tensor = NONE) -> Tensor:  # noqa: B008
    return x * by + shift if shift.numel() else x * by


class Streamed(nn.Module):
    """A mask or cache that is there has elements, as in WeNet."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(
        self,
        x: Tensor,
        mask: Tensor = torch.ones((0, 3), dtype=torch.bool),  # noqa: B008
        cache: Tensor = NONE,
    ) -> Tuple[Tensor, Tensor]:
        y = self.layer(x)
        if mask.size(0) > 0:
            y = y.masked_fill(mask, 0.0)
        if cache.size(0) > 0:
            y = y + cache
        return y, y[-1:].detach()


@case(x(2, 3))
@case(x(2, 3), torch.tensor([[True, False, False]]))
class TensorsByDefault(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Streamed(), Streamed()

    def forward(self, x: Tensor, mask: Tensor = torch.ones((0, 3), dtype=torch.bool)):  # noqa: B008
        y, cache = self.first(x)
        z, cache = self.second(y, mask, cache)
        w, _ = self.second(z, cache=cache)
        return moved(w), moved(w, shift=z), moved(w, z), cache


class Box:
    def __init__(self, corners: Tensor, pad: float = 0.0):
        self.corners, self.pad = corners, pad

    def clipped(self, low: float, high: float) -> Tensor:
        return self.corners.clamp(low, high) + self.pad


@case(x(2, 3))
class IntegersForFloatsOfMethods(nn.Module):
    """Two calls that begin in one place."""

    def forward(self, x: Tensor) -> Tensor:
        return Box(x).clipped(x.dim() - 2, x.size(0)) + Box(x, x.dim()).clipped(0.0, 1)
