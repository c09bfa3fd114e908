from typing import Dict, Final, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 4))
class Scalars(nn.Module):
    gain: Final[float]

    def __init__(self):
        super().__init__()
        self.i, self.f, self.b, self.s, self.n = 3, 2.5, True, "sum", None
        self.infinite, self.negative = float("inf"), -1
        self.gain = 0.5

    def forward(self, x):
        x = x * self.i + self.f * self.negative
        if self.b and self.s == "sum":
            x = x.clamp(max=self.infinite) * self.gain
        return x, self.i, self.f, self.b, self.s


@case(x(2, 4))
class Collections(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = (2, 3.0)
        self.nested = ((1, 2), (3, 4))
        self.sizes = [1, 2, 3]
        self.names = ["a", "b"]
        self.table = {"a": 1.0, "b": 2.0}
        self.keys = {1: "x", 2: "y"}

    def forward(self, x):
        a, b = self.pair
        x = x * a + b + self.nested[1][0]
        for s in self.sizes:
            x = x + s
        for name in self.names:
            x = x * self.table[name]
        total = 0.0
        for key, value in self.table.items():
            total += value
        return x * total, self.sizes[1:], len(self.names), self.keys[1], self.pair


@case(x(2, 4))
class DtypeAndDevice(nn.Module):
    def __init__(self):
        super().__init__()
        self.dtype = torch.float64
        self.device = torch.device("cpu")

    def forward(self, x):
        y = x.to(self.dtype) + torch.zeros(4, dtype=self.dtype, device=self.device)
        if x.dtype == torch.float32:
            y = y.to(torch.float16).to(dtype=torch.float32)
        z = y.type(torch.float64) if y.dtype != self.dtype else y
        kind = torch.int64 if x.shape[0] > 1 else torch.int32
        return z.double().half().float().to(kind), y.to(x.device), x.to(y), y.dtype == torch.float32


@case(x(2, 4))
class DtypeOfTensor(nn.Module):
    def forward(self, x):
        dt = x.dtype
        y = x.double()
        return (
            y.to(dt) + torch.arange(4, dtype=dt),
            torch.ones(2, dtype=y.dtype),
            x.float().dtype == dt,
        )


def cast(x, dtype: torch.dtype = torch.float64):
    return x.to(dtype)


@case(x(2, 4))
class DtypeArgument(nn.Module):
    def forward(self, x):
        return (
            cast(x),
            cast(x, torch.float16),
            cast(x, x.dtype),
            F.softmax(x, -1, dtype=torch.float64),
        )


@case(x(2, 4))
class PlainTensorAttribute(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.arange(4).float()
        self.index = torch.tensor([[1, 0], [0, 1]])

    def forward(self, x):
        return x * self.scale, self.index


@case(x(2, 4))
class ParametersAndBuffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.randn(4, 4))
        self.b = nn.Parameter(torch.zeros(4))
        self.c = nn.Parameter(torch.full((4,), 0.5), requires_grad=False)
        self.register_parameter("none", None)
        self.register_buffer("d", torch.arange(16).reshape(4, 4))
        self.register_buffer("e", torch.randn(100), persistent=False)
        self.register_buffer("f", None)
        self.register_buffer("g", torch.tensor(True))
        self.scalar = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        y = x @ self.a + self.b * self.c + self.d[0] + self.e[:4]
        if self.f is not None:
            y = y + self.f
        if self.none is not None:
            y = y * self.none
        return torch.where(self.g, y, x) * self.scalar


@case(x(2, 200))
class LargeBuffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("random", torch.randn(200), persistent=False)
        self.register_buffer("ints", torch.randint(0, 9, (200,)), persistent=False)
        self.register_buffer("halves", torch.randn(80).half(), persistent=False)
        self.register_buffer("flags", torch.rand(200) > 0.5, persistent=False)
        self.register_buffer(
            "odd", torch.tensor([float("nan"), -0.0, float("inf")]), persistent=False
        )
        self.register_buffer("waves", torch.randn(70, dtype=torch.complex64), persistent=False)

    def forward(self, x):
        y = x * self.random + self.ints
        return y, self.halves, self.flags, self.odd, self.waves


@case(x(2, 4))
class Cache(nn.Module):
    cache: Optional[Tensor]
    history: List[Tensor]

    def __init__(self):
        super().__init__()
        self.cache = None
        self.history = []

    def forward(self, x):
        cache = self.cache
        if cache is not None:
            x = x + cache
        self.cache = x.detach()
        self.history.append(x.detach())
        return x * len(self.history)


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, x):
        self.count += 1
        return x * self.count


@case(x(2, 4))
class StatefulChildren(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Stateful()
        self.b = Stateful()

    def forward(self, x):
        x = self.b(self.a(self.a(x)))
        return x + self.a.count - self.b.count


@case(x(2, 4))
class DifferentFlags(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Flagged(i % 2 == 0, i) for i in range(4)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Flagged(nn.Module):
    def __init__(self, flag: bool, number: int):
        super().__init__()
        self.flag, self.number = flag, number
        if flag:
            self.linear = nn.Linear(4, 4)

    def forward(self, x):
        if self.flag:
            return self.linear(x) + self.number
        return x * self.number


class FrozenNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.drop(self.norm(x))


@case(x(3, 4))
class PinnedEval(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = FrozenNorm()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.block(x))


@case(x(2, 4))
class ChildTensors(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Module()
        self.inner.w = nn.Parameter(torch.ones(4))
        self.inner.register_buffer("b", torch.ones(4))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return x * self.inner.w + self.inner.b + self.norm.running_mean + self.norm.weight


@case(x(2, 4))
class ForwardOnInstance(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4))
        self.forward = self.forward_fast

    def forward_fast(self, x, scale: float = 3.0):
        return x * self.w * scale

    def forward(self, x):
        return x


@case(x(2, 4))
class AttributesOfTensors(nn.Module):
    """What optimisers are told of weights, by those who make them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.weight.rate = 0.5
        self.register_buffer("offset", torch.ones(4))
        self.offset.names = ("a", ["b"])
        self.linear = nn.Linear(4, 4)
        self.linear.bias._no_weight_decay = True
        self.scales = nn.ParameterList([self.weight, nn.Parameter(torch.zeros(4))])
        self.scales[1].rate = 2

    def forward(self, x):
        x = self.linear(x * self.weight) + self.offset
        for scale in self.scales:
            x = x * scale
        return x


@case(x(2, 4))
class TiedParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.scales = nn.ParameterList([self.weight, nn.Parameter(torch.zeros(4))])
        self.named = nn.ParameterDict({"b": nn.Parameter(torch.ones(4)), "a": self.weight})

    def forward(self, x):
        for scale in self.scales:
            x = x + scale
        return x * self.named["a"] * self.named["b"]


@case(x(1, 3, 8, 8))
class SetAfterwards(nn.Module):
    """Encoders are dilated after they are made."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.conv.dilation, self.conv.padding = (2, 2), (2, 2)

    def forward(self, x):
        return x if torch.onnx.is_in_onnx_export() else self.conv(x)


@case(x(2, 3))
class HasOtherProperties(nn.Module):
    """Of which only those that it uses have to be read."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self._config = {"width": 3, "name": "a"}

    @property
    @torch.jit.unused
    def config(self) -> dict:
        return self._config

    @property
    def names(self):
        return {name for name, _ in self.named_parameters()}

    @property
    def scale(self):
        return self.rate * 2

    @property
    def rate(self):
        return 0.5

    def forward(self, x):
        return self.layer(x) * self.scale


@case(x(2, 3))
@case(x(2, 3), x(2, 3))
class KeepsItsLoss(nn.Module):
    last_loss: Optional[Tensor]

    def __init__(self):
        super().__init__()
        self.last_loss = None

    def forward(self, x, targets: Optional[Tensor] = None):
        if targets is not None:
            self.last_loss = (x - targets).detach().mean()
        else:
            self.last_loss = None
        return x * 2


@case(torch.arange(3))
class IntegerForFloat(nn.Module):
    scale: float

    def __init__(self):
        super().__init__()
        self.scale = 2

    def forward(self, x):
        return x * self.scale, self.scale


class HasAProperty(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.calls = 2

    @property
    def device(self):
        """As many write it, for callers from outside; TorchScript can't read it."""
        return next(self.parameters()).device

    @property
    def twice(self) -> int:
        return self.calls * 2


@case(x(2, 3))
class AsksTensorsForWhatAPropertyIsCalled(HasAProperty):
    def forward(self, x, *, scale: Optional[Tensor] = None):
        made = self.linear(x)
        ones = torch.ones(3, device=made.device) + torch.zeros(3, device=self.linear.weight.device)
        return made.to(device=x.device) + ones * self.twice, x.t().contiguous().device.type


class Inside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([HasAProperty(), HasAProperty()])
        self.one = HasAProperty()


@case(x(2, 3))
class AsksModulesForProperties(Inside):
    def forward(self, x):
        total = 0
        for layer in self.layers:
            total += layer.twice
        first = self.layers[0]
        return x * total + first.twice, self.one.twice + self.layers[1].twice


@case(x(2, 3))
class BuffersWithGradients(nn.Module):
    """They are no parameters, and get gradients nevertheless."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(3, requires_grad=True))
        self.register_buffer("shift", torch.zeros(3).requires_grad_(), persistent=False)
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(x) * self.scale + self.shift


class Masked(nn.Module):
    """A buffer that is declared to be one or None, which nobody sets."""

    mask: Optional[torch.Tensor]

    def __init__(self, rows: int):
        super().__init__()
        self.register_buffer("mask", torch.ones(rows, 3).tril() if rows else None)

    def forward(self, x):
        if self.mask is not None:
            return x.view(-1, self.mask.shape[0], 3) * self.mask
        return x + 1


@case(x(4, 3))
class MasksAndNot(nn.Module):
    def __init__(self):
        super().__init__()
        self.with_mask, self.without = Masked(2), Masked(0)

    def forward(self, x):
        return self.with_mask(self.without(x))


@case(x(2, 3))
class MakesItsMask(nn.Module):
    """A buffer that is None until it is set."""

    mask: Optional[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", None, persistent=False)

    def forward(self, x):
        mask = self.mask
        if mask is None:
            mask = torch.ones(x.shape[-1]) * 2
            self.mask = mask
        return x * mask
