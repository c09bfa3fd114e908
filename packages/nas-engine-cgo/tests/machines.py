"""Random modules: lists of small operations on what others gave, as models write them.

A program is drawn once, and members are like it but in some places: so much of them is merged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations

__all__ = ["IMAGE", "Instruction", "Machine", "members"]

IMAGE = (3, 4, 4)
_MOST = 160
"""Numbers of one sample that a value may have."""

Instruction: TypeAlias = tuple[str, int, int, int]
"""An operation, the values that it takes, and which of its forms."""
Form: TypeAlias = Callable[["Machine", int, Tensor, Tensor], Tensor]
"""What is done by the instruction of this number with two values, of which it may take one."""


class Machine(nn.Module):
    """Runs a program; its layers are made as they are needed."""

    seen: Tensor
    table: Tensor
    count: Tensor

    def __init__(self, program: Sequence[Instruction], seed: int) -> None:
        super().__init__()
        self.program = tuple(program)
        self.layers = nn.ModuleDict()
        self.register_buffer("seen", torch.ones(()))
        self.register_buffer("table", torch.linspace(-1, 1, 8))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.frozen = nn.Parameter(torch.full((3,), 0.5), requires_grad=False)
        self.free = nn.Parameter(torch.linspace(0.2, 1.1, 5))
        self.building = True
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            self(torch.randn(4, *IMAGE))
            self.seen.fill_(1.0)
            self.count.zero_()
        self.building = False
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.reset_running_stats()

    def layer(self, number: int, make: Callable[[], nn.Module]) -> Any:
        """That of an instruction."""
        if self.building and f"l{number}" not in self.layers:
            self.layers[f"l{number}"] = make()
        return self.layers[f"l{number}"]

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for number, (name, i, j, form) in enumerate(self.program):
            forms = OPERATIONS[name]
            run = forms[form % len(forms)]
            made = run(self, number, values[i % len(values)], values[j % len(values)])
            if made.dim() < 2:
                made = made.reshape(-1, 1).expand(len(x), 1)
            if made[0].numel() > _MOST:
                made = made.flatten(1)[:, :_MOST]
            values.append(made)
        parts = [value.flatten(1).mean(1, keepdim=True).tanh() for value in values[1:]]
        return torch.cat([*parts, values[-1].flatten(1)[:, :6]], 1) * self.free.sum()


# ---------------------------------------------------------------------- shapes that are asked for


def image(x: Tensor) -> Tensor:
    if x.dim() == 4 and min(x.shape[2:]) > 1:
        return x
    x = x.flatten(1)[:, :48]
    return F.pad(x, (0, 48 - x.shape[1])).reshape(-1, *IMAGE)


def series(x: Tensor) -> Tensor:
    return x.unsqueeze(2) if x.dim() == 2 else x.flatten(2)[..., :16]


def row(x: Tensor) -> Tensor:
    return x.flatten(1)


def each(x: Tensor, y: Tensor) -> Tensor:
    """A number of each sample of ``y`` that fits to ``x``."""
    return y.flatten(1).mean(1).reshape(-1, *[1] * (x.dim() - 1))


# ---------------------------------------------------------------------- forms


def of(*functions: Callable[[Tensor], Tensor]) -> list[Form]:
    """Forms that take one value and have no layers."""
    return [lambda m, n, x, y, f=f: f(x) for f in functions]  # type: ignore[misc]


def both(*functions: Callable[[Tensor, Tensor], Tensor]) -> list[Form]:
    return [lambda m, n, x, y, f=f: f(x, y) for f in functions]  # type: ignore[misc]


def layers(shaped: Callable[[Tensor], Tensor], *makes: Callable[[Tensor], nn.Module]) -> list[Form]:
    """Forms that call a layer, which is made for a value in such a shape."""

    def run(make: Callable[[Tensor], nn.Module], m: Machine, n: int, x: Tensor, y: Tensor) -> Any:
        x = shaped(x)
        return m.layer(n, partial(make, x))(x)

    return [partial(run, make) for make in makes]


class Weighted(nn.Module):
    """Products with parameters of its own."""

    def __init__(self, form: int, width: int) -> None:
        super().__init__()
        self.form = form
        self.w, self.b = nn.Parameter(torch.randn(width, 4) * 0.3), nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        match self.form:
            case 0:
                return x @ self.w + self.b
            case 1:
                return torch.addmm(self.b, x, self.w)
            case 2:
                return torch.einsum("bi,ij->bj", x, self.w) * self.b.exp()
            case _:
                return F.linear(x, self.w.t(), self.b)


def conv(x: Tensor, width: int, size: int, **more: Any) -> nn.Module:
    return nn.Conv2d(x.shape[1], width, size, **more)


def block(x: Tensor) -> nn.Module:
    inner = nn.Conv2d(x.shape[1], 4, 3, padding=1, bias=False)
    return nn.Sequential(inner, nn.BatchNorm2d(4), nn.ReLU(inplace=True))


class Twice(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(super().forward(x))


def attending(m: Machine, n: int, x: Tensor, y: Tensor, dropout: float) -> Tensor:
    x = series(x)
    width = x.shape[-1]
    made = m.layer(
        n, lambda: nn.MultiheadAttention(width, 2 - width % 2, dropout, batch_first=True)
    )
    return made(x, x, x, need_weights=dropout > 0)[0]


def recurrent(kind: type[nn.RNNBase]) -> Form:
    def run(m: Machine, n: int, x: Tensor, y: Tensor) -> Any:
        x = series(x)[..., :6]
        return m.layer(n, lambda: kind(x.shape[-1], 3, batch_first=True))(x)[0]

    return run


def again(m: Machine, n: int, x: Tensor, y: Tensor) -> Any:
    """A layer of another instruction, if one fits."""
    fits = [
        made
        for made in m.layers.values()
        if isinstance(made, nn.Linear) and made.in_features == row(x).shape[1]
    ]
    return fits[0](row(x)) if fits else x


def detached(x: Tensor) -> Tensor:
    with torch.no_grad():
        double = x * 2
    return double + x


def remembers(form: int) -> Form:
    """Buffers that training changes."""

    def run(m: Machine, n: int, x: Tensor, y: Tensor) -> Tensor:
        if m.training:
            mean = x.detach().mean()
            match form:
                case 0:
                    m.seen.mul_(0.9).add_(mean, alpha=0.1)
                case 1:
                    m.seen.copy_(m.seen * 0.9 + 0.1 * mean)
                case 2:
                    m.seen = m.seen * 0.9 + 0.1 * mean
                case _:
                    m.count += 1
        return x * m.seen + m.count

    return run


def counts(m: Machine, n: int, x: Tensor, y: Tensor) -> Tensor:
    """A buffer that evaluation changes."""
    if not m.training:
        m.seen += 0.1 * x.mean()
    return x * m.seen if n % 2 else x


def noisy(m: Machine, n: int, x: Tensor, y: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x) if m.training else x


def _rest(x: Tensor) -> list[int]:
    return list(range(x.dim() - 1, 0, -1))


ACTIVATIONS = (
    F.relu, torch.tanh, torch.sigmoid, F.gelu, F.silu, F.softplus, F.elu, F.leaky_relu, F.hardtanh,
    F.relu6, F.hardswish, F.mish, F.celu, F.selu, F.logsigmoid, F.hardsigmoid, F.softsign,
)  # fmt: skip
OPERATIONS: Mapping[str, Sequence[Form]] = {
    "activation": of(*ACTIVATIONS),
    "number": of(
        *(torch.abs, torch.neg, torch.square, torch.sin, torch.cos, torch.erf, torch.sign),
        *(lambda x: 1.5 - x, lambda x: x / 4, lambda x: 1 / (x * x + 1), lambda x: x**2),
        *(lambda x: 2.0 ** x.clamp(-2, 2), lambda x: x.clamp(min=0.1), lambda x: x.clip(-0.5, 2)),
        *(lambda x: x.masked_fill(x < 0.1, 0.25), lambda x: torch.where(x > 0, x, 0.0)),
    ),
    "in place": [
        *of(lambda x: F.relu(x * 1.5, inplace=True), lambda x: (x + 1).mul_(0.5).tanh_()),
        *both(lambda x, y: (x + 1).add_(each(x, y))),
        *layers(lambda x: x * 2, lambda _: nn.ReLU(True), lambda _: nn.Hardtanh(inplace=True)),
    ],
    "two": both(
        lambda x, y: x + each(x, y),
        lambda x, y: x * y if x.shape == y.shape else x * each(x, y),
        lambda x, y: x / (1.5 + each(x, y) ** 2),
        lambda x, y: torch.add(x, each(x, y), alpha=2),
        lambda x, y: torch.maximum(x, each(x, y)),
        lambda x, y: torch.where(x > 0, x, each(x, y)),
        lambda x, y: torch.lerp(x, each(x, y) + x * 0, 0.3),
    ),
    "linear": [
        *layers(row, *(lambda x, w=w: nn.Linear(x.shape[1], w, bias=w != 5) for w in (3, 5, 8))),
        *layers(lambda x: x, *(lambda x, w=w: nn.Linear(x.shape[-1], w) for w in (3, 6))),
        *layers(row, *(lambda x, f=f: Weighted(f, x.shape[1]) for f in range(4))),
        *layers(row, lambda x: Twice(nn.Linear(x.shape[1], x.shape[1]), nn.Tanh())),
        again,
    ],
    "normed weight": layers(
        row,
        lambda x: parametrizations.weight_norm(nn.Linear(x.shape[1], 3)),
        lambda x: parametrizations.spectral_norm(nn.Linear(x.shape[1], 3)),
    ),
    "convolution": [
        *layers(
            image,
            *(lambda x, w=w: conv(x, w, 3, padding=1) for w in (3, 4, 6)),
            lambda x: conv(x, 4, 1, bias=False),
            lambda x: conv(x, 4, 2, stride=2),
            lambda x: conv(x, 3, 3, padding=1, padding_mode="circular"),
            lambda x: conv(x, 3, 3, padding=1, padding_mode="reflect"),
            lambda x: conv(x, 2 * x.shape[1], 3, padding=2, dilation=2, groups=x.shape[1]),
            lambda x: nn.ConvTranspose2d(x.shape[1], 2, 2),
            block,
        ),
        *layers(series, *(lambda x, w=w: nn.Conv1d(x.shape[1], w, 3, padding=1) for w in (2, 4))),
    ],
    "normalisation": [
        *layers(
            image,
            lambda x: nn.BatchNorm2d(x.shape[1]),
            lambda x: nn.BatchNorm2d(x.shape[1], affine=False, momentum=None),
            lambda x: nn.BatchNorm2d(x.shape[1], track_running_stats=False),
            lambda x: nn.InstanceNorm2d(x.shape[1], affine=True, track_running_stats=True),
            lambda x: nn.GroupNorm(1 if x.shape[1] % 2 else 2, x.shape[1]),
        ),
        *layers(row, lambda x: nn.BatchNorm1d(x.shape[1])),
        *layers(
            lambda x: x,
            lambda x: nn.LayerNorm(x.shape[1:]),
            lambda x: nn.LayerNorm(x.shape[-1], bias=False),
            lambda x: nn.RMSNorm(x.shape[-1]),
            lambda x: nn.PReLU(x.shape[1]),
        ),
        *of(lambda x: F.normalize(row(x), dim=1)),
    ],
    "pool": of(
        lambda x: F.max_pool2d(image(x), 2),
        lambda x: F.avg_pool2d(image(x), 2),
        lambda x: F.max_pool2d(image(x), 3, 1, 1),
        lambda x: F.adaptive_avg_pool2d(image(x), (2, 1)),
        lambda x: F.interpolate(image(x), scale_factor=2),
        lambda x: F.interpolate(image(x), size=(3, 3), mode="bilinear"),
        lambda x: F.pad(x, (1, 0)),
        lambda x: F.pad(image(x), (1, 1, 0, 1), value=0.3),
    ),
    "dropout": [
        *layers(lambda x: x, lambda _: nn.Dropout(0.4), lambda _: nn.AlphaDropout(0.2)),
        *layers(image, lambda _: nn.Dropout2d(0.4)),
        lambda m, n, x, y: F.dropout(x, 0.3, m.training),
        noisy,
    ],
    "reduction": of(
        *(lambda x: F.softmax(x, -1), lambda x: F.log_softmax(x, 1), lambda x: x.sum(1)),
        *(lambda x: x.mean(-1, keepdim=True), lambda x: row(x).amax(1), lambda x: x.mean()),
        *(lambda x: row(x).logsumexp(1, keepdim=True), lambda x: row(x).max(1).values),
        *(lambda x: row(x).var(1, unbiased=False), lambda x: row(x).cumsum(1)),
        *(lambda x: x.mean(0, keepdim=True) + x, lambda x: F.glu(torch.cat((x, x), 1), 1)),
    ),
    "shape": of(
        *(row, lambda x: x.unsqueeze(1), lambda x: x.transpose(1, -1), lambda x: x.flip(-1)),
        *(lambda x: x.roll(1, -1), lambda x: x.reshape(len(x), -1), lambda x: x.contiguous()),
        *(lambda x: x.permute(0, *_rest(x)), lambda x: x.repeat(1, 2, *[1] * (x.dim() - 2))),
        *(lambda x: x.movedim(1, -1), lambda x: x.unflatten(1, (1, -1)), lambda x: x.clone()),
        *(lambda x: x[:, :2], lambda x: x[..., ::2], lambda x: x.chunk(2, 1)[0]),
        *(lambda x: x.narrow(1, 0, 1), lambda x: x[:, 0], lambda x: x.unbind(-1)[0]),
        *(lambda x: torch.cat(x.split(1, 1)[::-1], 1), lambda x: x[:, [0, -1]]),
    ),
    "joined": both(
        lambda x, y: torch.cat((row(x), row(y)), 1),
        lambda x, y: torch.stack((row(x), row(x) * 2), 1),
        lambda x, y: torch.cat((x, y, x), 1) if x.shape == y.shape else torch.cat((x, x), -1),
        lambda x, y: row(x)[:, :6, None] * row(y)[:, None, :6],
        lambda x, y: torch.einsum("bi,bj->bij", row(x)[:, :6], row(y)[:, :6]),
    ),
    "product": [
        *of(lambda x: torch.bmm(series(x), series(x).transpose(1, 2))),
        *of(lambda x: F.scaled_dot_product_attention(series(x), series(x), series(x))),
        partial(attending, dropout=0.0),
        partial(attending, dropout=0.1),
        *map(recurrent, (nn.LSTM, nn.GRU, nn.RNN)),
    ],
    "picked": of(
        *(lambda x: row(x).sort(1).values, lambda x: row(x).topk(1, 1)[0]),
        *(lambda x: (x > 0).to(x.dtype), lambda x: x.sign().long().to(x.dtype) * x),
    ),
    "constant": of(
        *(lambda x: x + torch.zeros_like(x), lambda x: x + x.new_ones(x.shape[-1])),
        *(lambda x: x + torch.arange(x.shape[-1], dtype=x.dtype),),
        *(lambda x: x * torch.tensor(0.5, dtype=x.dtype), lambda x: x / x.shape[-1] ** 0.5),
    ),
    "gradient": of(lambda x: x.detach() * x, lambda x: x.detach(), detached),
    "kept": [
        *(lambda m, n, x, y: x * m.seen, lambda m, n, x, y: x + m.table[n % 8]),
        *(lambda m, n, x, y: x * m.free[n % 5], lambda m, n, x, y: x * m.frozen[n % 3]),
        *(lambda m, n, x, y: x + m.frozen.sum() * m.free.mean(),),
        *(lambda m, n, x, y: x * (2 if m.training else 2.5),),
        *map(remembers, range(4)),
        counts,
    ],
}


# ---------------------------------------------------------------------- what is drawn

_instructions = st.tuples(
    st.sampled_from(sorted(OPERATIONS)),
    st.one_of(st.just(-1), st.just(-1), st.integers(0, 20)),  # Mostly the last value.
    st.integers(0, 20),
    st.integers(0, 400),
)


@st.composite
def members(draw: Any) -> list[list[Instruction]]:
    """Programs that are one program but in some places."""
    program = draw(st.lists(_instructions, min_size=1, max_size=12))
    places = st.dictionaries(st.integers(0, len(program) - 1), _instructions, max_size=2)
    others = draw(st.lists(places, min_size=1, max_size=3))
    return [program] + [
        [changed.get(place, instruction) for place, instruction in enumerate(program)]
        for changed in others
    ]
