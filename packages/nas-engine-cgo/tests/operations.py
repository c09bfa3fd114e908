"""The operations of random modules, as models write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from forms import Form, both, each, even, heads, image, layers, lower, of, row, series
from torch import Tensor, nn
from torch.nn.utils import parametrizations

if TYPE_CHECKING:
    from machines import Machine

__all__ = ["OPERATIONS"]


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


class Pair(nn.Module):
    """Rows multiplied by themselves, the other way round."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Bilinear(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x.flip(1))


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


def masked(m: Machine, n: int, x: Tensor, y: Tensor, dropout: float) -> Tensor:
    """Attention to what comes before; the first row of some sees nothing."""
    mask = lower(heads(x)) & (torch.arange(heads(x).shape[-2]) >= n % 2)[:, None]
    p = dropout if m.training else 0.0
    return F.scaled_dot_product_attention(heads(x), heads(x), heads(x), mask, p).nan_to_num()


def attending_to_before(m: Machine, n: int, x: Tensor, y: Tensor, weights: bool) -> Tensor:
    x = even(x)
    made = m.layer(n, lambda: nn.MultiheadAttention(x.shape[-1], 2, 0.1, batch_first=True))
    return made(x, x, x, attn_mask=~lower(x), need_weights=weights)[0]


def cell(kind: type[nn.RNNCellBase]) -> Form:
    """A few steps of a cell, which hands on what it holds."""

    def run(m: Machine, n: int, x: Tensor, y: Tensor) -> Any:
        x = series(x)[:, :3, :6]
        made: Any = m.layer(n, lambda: kind(x.shape[-1], 4))
        held: Any = None
        for each_row in x.unbind(1):
            held = made(each_row, held)
        return held[0] if isinstance(held, tuple) else held

    return run


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


def put(x: Tensor) -> Tensor:
    """A copy of which some is overwritten."""
    x = row(x).clone()
    x[:, :1] = x[:, -1:] * 2
    return x


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
        lambda x: F.unfold(image(x)[:, :2], 2),
        lambda x: F.pixel_unshuffle(image(x)[:, :, :2, :2], 2),
        lambda x: F.local_response_norm(image(x), 2),
        lambda x: F.lp_pool2d(image(x).abs() + 0.1, 2, 2),
        lambda x: F.adaptive_max_pool2d(image(x), 2),
        lambda x: F.max_pool1d(F.pad(series(x), (1, 1)), 2, 1),
        lambda x: F.avg_pool1d(series(x), 1),
    ),
    "dropout": [
        *layers(lambda x: x, lambda _: nn.Dropout(0.4), lambda _: nn.AlphaDropout(0.2)),
        *layers(image, lambda _: nn.Dropout2d(0.4)),
        lambda m, n, x, y: F.dropout(x, 0.3, m.training),
        lambda m, n, x, y: F.dropout1d(series(x), 0.3, m.training),
        lambda m, n, x, y: F.feature_alpha_dropout(x, 0.2, m.training),
        lambda m, n, x, y: F.rrelu(x, 0.1, 0.3, m.training),
        lambda m, n, x, y: x * torch.bernoulli(torch.full_like(x, 0.8)) if m.training else x,
        noisy,
    ],
    "reduction": of(
        *(lambda x: F.softmax(x, -1), lambda x: F.log_softmax(x, 1), lambda x: x.sum(1)),
        *(lambda x: x.mean(-1, keepdim=True), lambda x: row(x).amax(1), lambda x: x.mean()),
        *(lambda x: row(x).logsumexp(1, keepdim=True), lambda x: row(x).max(1).values),
        *(lambda x: row(x).var(1, unbiased=False), lambda x: row(x).cumsum(1)),
        *(lambda x: x.mean(0, keepdim=True) + x, lambda x: F.glu(torch.cat((x, x), 1), 1)),
        *(lambda x: (row(x).sigmoid() + 0.5).cumprod(1), lambda x: row(x).cummax(1).values),
        *(lambda x: row(x).logcumsumexp(1), lambda x: row(x).median(1).values),
        *(
            lambda x: torch.linalg.vector_norm(row(x) + 2, dim=1),
            lambda x: (row(x) + 2).norm(dim=1),
        ),
        *(lambda x: torch.cat(torch.var_mean(row(x), 1, correction=0, keepdim=True), 1),),
        *(lambda x: row(x).amin(1), lambda x: row(x).aminmax(dim=1)[1], lambda x: F.softmin(x, 1)),
    ),
    "shape": of(
        *(row, lambda x: x.unsqueeze(1), lambda x: x.transpose(1, -1), lambda x: x.flip(-1)),
        *(lambda x: x.roll(1, -1), lambda x: x.reshape(len(x), -1), lambda x: x.contiguous()),
        *(lambda x: x.permute(0, *_rest(x)), lambda x: x.repeat(1, 2, *[1] * (x.dim() - 2))),
        *(lambda x: x.movedim(1, -1), lambda x: x.unflatten(1, (1, -1)), lambda x: x.clone()),
        *(lambda x: x[:, :2], lambda x: x[..., ::2], lambda x: x.chunk(2, 1)[0]),
        *(lambda x: x.narrow(1, 0, 1), lambda x: x[:, 0], lambda x: x.unbind(-1)[0]),
        *(lambda x: torch.cat(x.split(1, 1)[::-1], 1), lambda x: x[:, [0, -1]]),
        *(lambda x: series(x).tril(), lambda x: series(x).triu(1) + 1, lambda x: series(x).mT),
        *(lambda x: torch.bmm(series(x), series(x).mT).diagonal(dim1=1, dim2=2),),
        *(lambda x: row(x)[:, :4].diag_embed(), lambda x: F.pad(row(x), (0, 1)).diff(dim=1)),
        *(lambda x: F.pad(row(x), (1, 1)).unfold(1, 2, 1), lambda x: x.tile(1, 1)),
        *(lambda x: x.swapaxes(1, -1), lambda x: x.expand_as(x), lambda x: x.view_as(x)),
        *(put, lambda x: torch.rot90(series(x), 1, (1, 2))),
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
        *of(
            lambda x: heads(x) @ heads(x).mT @ heads(x),
            lambda x: torch.baddbmm(series(x)[:, :1, :1], series(x), series(x).mT),
            lambda x: torch.cdist(series(x), series(x) * 0.5 + 1),
            lambda x: F.cosine_similarity(series(x)[:, :1], series(x) + 2, dim=-1),
        ),
        lambda m, n, x, y: series(x) @ m.free[:1].expand(series(x).shape[-1]),
        *layers(lambda x: row(x)[:, :8], lambda x: Pair(x.shape[1])),
    ],
    "attention": [
        partial(masked, dropout=0.0),
        partial(masked, dropout=0.2),
        partial(attending_to_before, weights=True),
        partial(attending_to_before, weights=False),
        *layers(
            even,
            lambda x: nn.TransformerEncoderLayer(x.shape[-1], 2, 6, 0.1, batch_first=True),
            lambda x: nn.TransformerEncoderLayer(
                x.shape[-1], 2, 6, 0.0, "gelu", batch_first=True, norm_first=True
            ),
        ),
    ],
    "cell": [*map(cell, (nn.LSTMCell, nn.GRUCell, nn.RNNCell))],
    "looked up": [
        *layers(
            lambda x: (row(x)[:, :5].detach() * 3).long().remainder(7),
            lambda x: nn.Embedding(7, 4),
            lambda x: nn.Embedding(7, 4, padding_idx=2),
            lambda x: nn.EmbeddingBag(7, 3),
        ),
        *of(
            lambda x: F.one_hot((row(x)[:, 0] > 0).long(), 3).to(x.dtype),
            lambda x: row(x).gather(1, row(x).detach().argsort(1)),
            lambda x: row(x).index_select(1, torch.tensor([0, 0])),
            lambda x: torch.zeros_like(row(x)).scatter(1, row(x).argmax(1, keepdim=True), 1.5),
            lambda x: row(x).index_add(1, torch.tensor([0, 0]), row(x)[:, :1].repeat(1, 2)),
            lambda x: row(x).take_along_dim(row(x).detach().argmin(1, keepdim=True), 1),
        ),
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
