import math
import warnings
from typing import List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpus.case import case, x

SCALE = 3
EPS = 1e-5


class Pair(NamedTuple):
    first: Tensor
    count: int


def double(x):
    return x * 2


def affine(x, scale: float = 2.0, shift: Optional[Tensor] = None):
    y = x * scale
    if shift is not None:
        y = y + shift
    return double(y)


def norms(x) -> Tuple[Tensor, Tensor]:
    return x.norm(2, 0), x.norm(p=1)


def fill_(x, value: float):
    x.fill_(value)
    return x


@torch.jit.ignore
def ignored(x: Tensor) -> Tensor:
    return x * 5


def times(x: Tensor, n: int):
    return x * n


with warnings.catch_warnings():  # TorchScript says that it is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted = torch.jit.script(times)


@case(x(2, 4))
class FreeFunctions(nn.Module):
    def forward(self, x):
        return affine(x) + affine(x, 3.0, x) + affine(x, shift=double(x))


@case(x(2, 4))
class TupleFunction(nn.Module):
    def forward(self, x):
        a, b = norms(x)
        pair = norms(x)
        return a + b, pair, pair[1]


@case(x(2, 4))
class EffectFunction(nn.Module):
    def forward(self, x):
        y = x.clone()
        fill_(y[0], 2.0)
        return y


@case(x(2, 4))
class IgnoredFunction(nn.Module):
    def forward(self, x):
        return ignored(x) + 1


@case(x(2, 4))
class ScriptedFunction(nn.Module):
    def forward(self, x):
        return scripted(x, 3)


@case(x(2, 4))
class Globals(nn.Module):
    def forward(self, x):
        return x * SCALE + EPS + math.pi


class Helper(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def encode(self, x, times: int = 1):
        for _ in range(times):
            x = self.linear(x)
        return x

    def forward(self, x):
        return self.encode(x)


@case(x(2, 4))
class Methods(nn.Module):
    def __init__(self):
        super().__init__()
        self.helper = Helper()
        self.scale = 2

    def shift(self, x, by: float = 1.0):
        return x + by * self.scale

    def both(self, x):
        return self.shift(x), self.helper.encode(x, times=2)

    def forward(self, x):
        a, b = self.both(x)
        return self.shift(a, by=3.0) + b + self.helper(x)


@case(x(2, 4))
class StaticMethod(nn.Module):
    @staticmethod
    def square(x):
        return x * x

    def forward(self, x):
        return self.square(x)


@case(x(2, 4))
class Property(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4))

    @property
    def doubled(self):
        return self.w * 2

    def forward(self, x):
        return x * self.doubled


@case(x(2, 4))
class FunctionAttributes(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = F.relu
        self.other = double
        self.builtin = torch.tanh

    def forward(self, x):
        return self.builtin(self.other(self.act(x)))


@case(x(2, 4))
class MathFunctions(nn.Module):
    def forward(self, x):
        n = x.shape[1]
        a = math.sqrt(n) + math.log(n) + math.floor(n / 3) + math.ceil(2.5) + math.exp(n % 3)
        b = n // 3 + n**2 + abs(-n) + max(n, 3) + min(n, 3) + round(1.7) + int(2.9) + float(n)
        return x * a / b, math.isnan(a), divmod(n, 3)


@case(x(2, 4))
class ScalarTypes(nn.Module):
    def forward(self, x):
        n = x.size(0)
        return n / 2, n // 2, n % 2, n * 2.0, n**2, -n, n > 1, n == 2.0, 2**3, 7 / 2, 2 << n, n & 3


@case(x(2, 4, 6, 6))
class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 4, 3, 3))
        self.b = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        y = F.conv2d(x, self.w, self.b, stride=2, padding=1)
        y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=True)
        y = F.interpolate(y, size=(6, 6))
        y = F.max_pool2d(y, 2) + F.avg_pool2d(y, 2)
        y = F.adaptive_avg_pool2d(y, 1) + F.adaptive_max_pool2d(y, (1, 1))
        y = F.gelu(y) + F.silu(y) + F.softplus(y) + F.hardtanh(y) + F.leaky_relu(y, 0.1)
        y = F.pad(y, (1, 1, 0, 2), value=3.0) + F.pad(y, [1, 1, 2, 0], mode="constant")
        y = F.layer_norm(y, y.shape[1:]) + F.group_norm(y, 2)
        y = F.normalize(y, dim=1)
        return F.log_softmax(y.flatten(1), dim=-1)


@case(x(2, 3, 4))
class FunctionalAttention(nn.Module):
    def forward(self, x):
        a = F.scaled_dot_product_attention(x, x, x, is_causal=True)
        b = F.scaled_dot_product_attention(x, x, x, dropout_p=0.5 if self.training else 0.0)
        return a + b


@case(x(2, 4))
class FunctionalDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = 0.3

    def forward(self, x):
        x = F.dropout(x, self.p, self.training)
        x = F.dropout(x, p=0.5)
        return F.alpha_dropout(x, 0.2, training=self.training) + torch.rand(4) + torch.randn_like(x)


@case(x(4, 4), torch.tensor([0, 1, 2, 3]))
class FunctionalLosses(nn.Module):
    def forward(self, x, y):
        a = F.cross_entropy(x, y, label_smoothing=0.1)
        b = F.mse_loss(x, x * 2, reduction="sum") + F.smooth_l1_loss(x, x + 1)
        one = F.one_hot(y, 4).float()
        return a + b, F.binary_cross_entropy_with_logits(x, one), F.kl_div(x, one)


@case(x(2, 3, 4), x(2, 4, 5))
class LinearAlgebra(nn.Module):
    def forward(self, a, b):
        c = torch.bmm(a, b) + a @ b + torch.matmul(a, b)
        d = torch.einsum("bij,bjk->bik", a, b)
        e = torch.baddbmm(c, a, b, beta=0.5, alpha=2.0)
        return c + d + e, a.norm(), torch.norm(b, dim=1), torch.linalg.vector_norm(a, 2, -1)


@case(x(2, 3, 4))
class Reductions(nn.Module):
    def forward(self, x):
        a = x.max(1)
        b, i = x.min(dim=-1, keepdim=True)
        c = torch.max(x, x * 2)
        d = x.var(1, unbiased=False) + x.std(dim=1) + torch.var(x, 1)
        e = x.mean((0, 1)) + x.sum([0, 1]) + x.amax(dim=(0, 1))
        f = x.argmax(-1), x.topk(2, dim=-1), x.sort(-1, descending=True), x.cumsum(1), x.prod(2)
        return a, b, i, c, d, e, f, torch.std_mean(x), x.median(), x.logsumexp(1)


@case(x(2, 3, 4))
class ShapesAndViews(nn.Module):
    def forward(self, x):
        b, n, c = x.shape
        y = x.view(b, -1).reshape(b, n, c).permute(0, 2, 1).transpose(-1, -2).flatten(1, 2)
        y = y.unsqueeze(1).squeeze(1).expand(b, n * c)[..., None].repeat(1, 1, 2)
        z = torch.cat([y, y], dim=1).chunk(2, 1)[0]
        w = torch.stack((z, z), 0).unbind(0)[1].contiguous().roll(1, 0).flip(0)
        return w, x.numel(), x.stride(), x.size(), x.T.shape, x.ndim, x.new_zeros(2).to(x)


@case(x(4, 5))
class Indexing(nn.Module):
    def forward(self, x):
        i = torch.tensor([0, 2])
        mask = x > 0
        return (
            x[0], x[-1, 2], x[1:3], x[:, ::2], x[..., 1], x[None, :, None], x[i], x[i, i], x[:, i],
            x[mask], x[1:, i], x[[0, 1]], x[i][:, mask[0]], x.gather(1, i[None]), x.take(i),
            x.index_select(1, i), x.narrow(0, 1, 2), x[torch.arange(4), torch.arange(4)],
        )  # fmt: skip


@case(x(3, 4))
class Creation(nn.Module):
    def forward(self, x):
        a = torch.zeros(3, 4) + torch.ones([4]) + torch.full((3, 1), 2.0) + torch.eye(3, 4)
        b = torch.arange(4) + torch.arange(1, 9, 2) + torch.linspace(0, 1, 4)
        c = (
            torch.zeros_like(x)
            + torch.empty_like(x).fill_(1)
            + x.new_ones(3, 4)
            + x.new_full((4,), 2)
        )
        d = torch.tensor([1, 2, 3, 4]) + torch.tensor(1.5) + torch.as_tensor(2)
        e = (
            torch.randint(0, 5, (4,))
            + torch.randperm(4)
            + torch.rand(3, 4)
            + torch.normal(0.0, 1.0, (4,))
        )
        f = torch.zeros(4, dtype=torch.float64, device=x.device) + torch.ones(4, dtype=x.dtype)
        return a + b + c + d + e + f


@case(x(2, 4))
class ReflectedOperators(nn.Module):
    def forward(self, x):
        return 1 - x, 2 / x, 2**x, x**2, x**0.5, x % 2, -x, abs(x), 2 * x - 1


@case(x(2, 4))
class KeywordCalls(nn.Module):
    def __init__(self):
        super().__init__()
        self.helper = Helper()
        self.linear = nn.Linear(4, 4)

    def forward(
        self,
        x,
        scale: float = 1.0,
        bias: Optional[Tensor] = None,
        flags: Tuple[int, bool] = (1, True),
    ):
        y = self.linear(input=x)
        y = affine(scale=scale, x=y, shift=bias)
        return self.helper.encode(times=flags[0], x=y)


@case(x(2, 4), scale=2.0, flags=(2, False))
def KeywordCallsGiven():
    return KeywordCalls()


@case(x(2, 4))
class ReturnsNamedTuple(nn.Module):
    def forward(self, x):
        pair = Pair(x * 2, x.shape[0])
        return Pair(first=pair.first + 1, count=pair.count)


@case(x(2, 3), x(3, 3))
class Printing(nn.Module):
    def forward(self, x, y):
        print("shape", x.shape[0], f"{y.shape[1]}", "%d rows" % x.size(0))
        return torch.cdist(x, y)


_scaled = nn.PReLU(init=0.5)


@case(x(3, 3))
class CallsGlobalModule(nn.Module):
    """Which is no part of it."""

    def forward(self, x):
        return _scaled(x) + 1
