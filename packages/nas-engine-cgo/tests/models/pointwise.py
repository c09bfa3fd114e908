"""Activations, arithmetic and dropout."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from torch import Tensor, nn

from models.case import IMAGE, ROW, ROWS, SIGNAL, VOLUME, Case, Do, function, layer


def activations() -> dict[str, Case]:
    modules = {
        "ReLU": {}, "ReLU6": {}, "ELU": {"alpha": 0.7}, "SELU": {}, "CELU": {"alpha": 1.3},
        "GELU": {"approximate": "tanh"}, "SiLU": {}, "Mish": {}, "Hardswish": {},
        "Hardsigmoid": {}, "Hardtanh": {"min_val": -0.4}, "LeakyReLU": {"negative_slope": 0.2},
        "Softplus": {"beta": 2}, "Softsign": {}, "Tanh": {}, "Sigmoid": {}, "LogSigmoid": {},
        "Softshrink": {"lambd": 0.3}, "Hardshrink": {}, "Tanhshrink": {},
        "Threshold": {"threshold": 0.1, "value": 0.5}, "Identity": {},
    }  # fmt: skip
    cases = {
        name: layer(partial(getattr(nn, name), **more), IMAGE) for name, more in modules.items()
    }
    for kind in (nn.ReLU, nn.ELU, nn.SiLU, nn.Hardswish, nn.LeakyReLU):
        cases[f"{kind.__name__} in place"] = layer(
            lambda k=kind: Do(lambda m, x: m.act(x * 1.0), act=k(inplace=True)), IMAGE
        )
    return cases | {
        "PReLU": layer(nn.PReLU, IMAGE, "prelu"),
        "PReLU by channel": layer(lambda: nn.PReLU(4), IMAGE, "prelu"),
        "PReLU of rows": layer(lambda: nn.PReLU(8), ROW, "prelu"),
        "RReLU": layer(nn.RReLU, IMAGE),
        "Softmax": layer(lambda: nn.Softmax(dim=1), IMAGE, "softmax"),
        "LogSoftmax": layer(lambda: nn.LogSoftmax(dim=-1), IMAGE, "log_softmax"),
        "Softmax2d": layer(nn.Softmax2d, IMAGE, "softmax"),
        "Softmin": layer(lambda: nn.Softmin(dim=-1), ROW),
        "GLU": layer(lambda: nn.GLU(dim=1), IMAGE, "glu"),
        "glu at the end": function(lambda m, x: F.glu(x), ROW, "glu"),
        "gumbel": function(lambda m, x: F.gumbel_softmax(x, hard=True), ROW, ""),
    }


def elementwise() -> dict[str, Case]:
    return {
        "scale": function(lambda m, x: x * m.s + m.b, ROWS, "", s=(8,), b=(5, 8)),
        "scale of channels": function(lambda m, x: x * m.s, IMAGE, "", s=(4, 1, 1)),
        "scale of images": function(lambda m, x: x * m.s, IMAGE, "", s=(1, 4, 6, 7)),
        "scale by one number": function(lambda m, x: m.s * x - m.s, IMAGE, "mul", s=()),
        "broadcast over channels": function(
            lambda m, x: x * x.mean(1, keepdim=True).sigmoid(), IMAGE, "mul"
        ),
        "broadcast over pixels": function(
            lambda m, x: x * x.mean((2, 3), keepdim=True).sigmoid(), IMAGE, "mul"
        ),
        "broadcast over samples": function(lambda m, x: x - x.mean(0), IMAGE, "sub"),
        "broadcast up": function(lambda m, x: x[:, :, None] * m.s, ROW, "mul", s=(3,)),
        "clamp": function(lambda m, x: x.clamp(-0.5, 0.7), IMAGE, "clamp"),
        "clamp by tensors": function(lambda m, x: torch.clamp(x, min=m.s), ROW, "clamp", s=(8,)),
        "where": function(lambda m, x: torch.where(x > 0, x, m.s * x), ROW, "where", s=(8,)),
        "masked_fill": function(lambda m, x: x.masked_fill(x[:, :1] > 0, 0.25), ROW, "masked_fill"),
        "masked_fill by a tensor": function(
            lambda m, x: x.masked_fill(x > 0, m.value[0]), ROW, "", value=(1,)
        ),
        "lerp": function(lambda m, x: torch.lerp(x, m.s, 0.3), ROW, "lerp", s=(8,)),
        "addcmul": function(
            lambda m, x: torch.addcmul(x, x, m.s, value=0.5), ROW, "addcmul", s=(8,)
        ),
        "maximum": function(lambda m, x: torch.maximum(x, m.s), ROW, "maximum", s=(8,)),
        "pow": function(lambda m, x: x.abs() ** 1.5 + 2**x, ROW, "pow"),
        "reversed": function(lambda m, x: 1 / (2 - x.sigmoid()), ROW, ""),
        "in-place sum": function(lambda m, x: (x * 2).add_(m.s).mul_(0.5), ROW, "", s=(8,)),
        "residual in place": layer(
            lambda: Do(_residual_in_place, body=nn.Conv2d(4, 4, 3, padding=1)), IMAGE, "conv2d"
        ),
        "into a view": function(_into_a_view, ROW, ""),
        "into a part": function(_into_a_part, ROW, ""),
        "contiguous": function(lambda m, x: x.transpose(1, 2).contiguous() * 2, IMAGE, ""),
        "channels last": function(
            lambda m, x: (x * 2).contiguous(memory_format=torch.channels_last) * 3, IMAGE, ""
        ),
        "type_as": function(lambda m, x: m.s.type_as(x)[0] * x, ROW, "", s=(3, 8)),
        "comparison": function(lambda m, x: x * (x > m.s).to(x.dtype), ROW, "", s=(8,)),
        "float of a mask": function(lambda m, x: x * (x > 0).double(), ROW, "double"),
        "sign": function(lambda m, x: x.sign() * m.s, ROW, "", s=(8,)),
        "detach": function(lambda m, x: x * m.s + (x * m.t).detach(), ROW, "", s=(8,), t=(8,)),
        "no_grad": function(_without_gradient, ROW, "", s=(8,), t=(8,)),
        "zeros_like": function(
            lambda m, x: x * m.s + torch.zeros_like(x * m.t), ROW, "", s=(8,), t=(8,)
        ),
        "only its shape": function(
            lambda m, x: (x * m.s)[:, :1].expand_as(x * m.t), ROW, "", s=(8,), t=(8,)
        ),
        "unused": function(lambda m, x: x * m.s, ROW, "", s=(8,), t=(8,)),
        "unused branch": layer(
            lambda: Do(_unused_branch, used=nn.Linear(8, 3), unused=nn.Linear(8, 3)), ROW, "linear"
        ),
        "straight through": function(
            lambda m, x: x * m.s + ((x * m.s).round() - x * m.s).detach(), ROW, "", s=(8,)
        ),
    }


def _residual_in_place(m: Any, x: Tensor) -> Tensor:
    out = m.body(x)
    out += x
    return F.relu_(out)


def _into_a_view(m: Any, x: Tensor) -> Tensor:
    y = x * 2
    y.view(-1).mul_(3)
    return y


def _into_a_part(m: Any, x: Tensor) -> Tensor:
    y = x * 2
    y[:, 0] = 1.5
    return y


def _without_gradient(m: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        fixed = x * m.t
    return x * m.s + fixed


def _unused_branch(m: Any, x: Tensor) -> Tensor:
    m.unused(x)
    return m.used(x)


def dropouts() -> dict[str, Case]:
    return {
        "dropout": layer(lambda: nn.Dropout(0.4), IMAGE, "dropout"),
        "dropout in place": layer(
            lambda: Do(lambda m, x: m.drop(x * 1.0), drop=nn.Dropout(0.4, inplace=True)),
            ROW,
            "dropout",
        ),
        "dropout of nothing": layer(lambda: nn.Dropout(0.0), IMAGE),
        "dropout of everything": layer(lambda: nn.Dropout(1.0), IMAGE),
        "dropout always": function(lambda m, x: F.dropout(x, 0.3), ROW, "dropout"),
        "dropout after transpose": function(
            lambda m, x: F.dropout(x.transpose(1, 2), 0.3, m.training).transpose(1, 2),
            ROWS,
            "dropout",
        ),
        "dropout with samples inside": function(
            lambda m, x: F.dropout(x.transpose(0, 1), 0.3, m.training).transpose(0, 1),
            ROWS,
            "dropout",
        ),
        "dropout after permute": function(
            lambda m, x: F.dropout(x.permute(0, 2, 3, 1) * 2, 0.3, m.training), IMAGE, "dropout"
        ),
        "dropout of an expanded": function(
            lambda m, x: F.dropout(x[:, :1].expand(-1, 5, -1), 0.3, m.training), ROWS, "dropout"
        ),
        "dropout of a part": function(
            lambda m, x: F.dropout(x[:, ::2, 1:], 0.3, m.training), ROWS, "dropout"
        ),
        "dropout of a vector": function(
            lambda m, x: F.dropout(x.sum(1), 0.3, m.training), ROW, "dropout"
        ),
        "dropout1d": layer(lambda: nn.Dropout1d(0.4), SIGNAL, "dropout1d"),
        "dropout2d": layer(lambda: nn.Dropout2d(0.4), IMAGE, "dropout2d"),
        "dropout3d": layer(lambda: nn.Dropout3d(0.4), VOLUME, "dropout3d"),
        "dropout1d unbatched": layer(lambda: nn.Dropout1d(0.4), ROW),
        "dropout3d unbatched": layer(lambda: nn.Dropout3d(0.4), IMAGE),
        "dropouts": layer(
            lambda: nn.Sequential(
                nn.Dropout(0.2), nn.Linear(8, 8), nn.Dropout1d(0.5), nn.Dropout(0.3)
            ),
            ROWS,
            "dropout",
        ),
        "alpha dropout": layer(lambda: nn.AlphaDropout(0.4), ROW),
        "feature alpha dropout": layer(lambda: nn.FeatureAlphaDropout(0.4), IMAGE),
        "stochastic depth": function(_stochastic_depth, ROW, ""),
        "noise": function(lambda m, x: x + torch.randn_like(x) * 0.1, ROW, ""),
    }


def _stochastic_depth(m: Any, x: Tensor) -> Tensor:
    if not m.training:
        return x
    kept = torch.rand(x.shape[0], 1, dtype=x.dtype, device=x.device) < 0.7
    return x * kept / 0.7
