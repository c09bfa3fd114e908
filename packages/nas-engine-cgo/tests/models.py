"""Small modules that use each function that can be fused, in the ways that models do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from torch import Tensor, nn

__all__ = ["CASES", "Case", "Do", "direct", "normalised", "scaled"]


class Do(nn.Module):
    """A forward from a function, with modules and parameters for it."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self._function = function
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)

    def forward(self, *inputs: Tensor) -> Any:
        return self._function(self, *inputs)


@dataclass(frozen=True)
class Case:
    """A kind of module.

    Attributes:
        make: makes one, with random weights.
        shape: that of its input without the batch.
        fused: the functions of it that have to be fused.
        classes: if its input are indices, how many there are.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    fused: str = ""
    classes: int = 0


def direct(module: nn.Module, case: Case) -> nn.Module:
    """The module at the input of all members."""
    return Do(_gained, gain=torch.rand(()) + 0.5, body=module)


def _gained(m: Any, x: Tensor) -> Any:
    found = m.body(x)
    if not isinstance(found, (tuple, list)):
        return found * m.gain
    return tuple(part * m.gain for part in found if isinstance(part, Tensor))


def scaled(module: nn.Module, case: Case) -> nn.Module:
    """The module behind something that computes for each member its own input, in a stack."""
    size = case.shape[-1] if case.shape else 1
    return Do(lambda m, x: m.body(x * m.scale), scale=torch.rand(size) + 0.5, body=module)


def normalised(module: nn.Module, case: Case) -> nn.Module:
    """The same with channels side by side."""
    kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
    return nn.Sequential(kind[len(case.shape)](case.shape[0]), module)


def function(act: Callable[..., Any], shape: tuple[int, ...], fused: str, **parts: Any) -> Case:
    """A case without modules of its own; parts are the shapes of its parameters."""

    def make() -> nn.Module:
        return Do(act, **{name: torch.randn(size) for name, size in parts.items()})

    return Case(make, shape, fused)


def layer(make: Callable[[], nn.Module], shape: tuple[int, ...], fused: str = "") -> Case:
    return Case(make, shape, fused)


IMAGE, SIGNAL, VOLUME, ROWS, ROW = (4, 6, 7), (4, 9), (4, 5, 4, 6), (5, 8), (8,)


def _convolutions() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for d, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        kind, turned = getattr(nn, f"Conv{d}d"), getattr(nn, f"ConvTranspose{d}d")
        name, other = f"conv{d}d", f"conv_transpose{d}d"
        options: dict[str, tuple[int, int, dict[str, Any]]] = {
            "": (6, 3, {}),
            "1x1": (6, 1, {"bias": False}),
            "stride": (6, 3, {"stride": 2, "padding": 1}),
            "dilation": (6, 2, {"dilation": 2}),
            "groups": (6, 3, {"groups": 2, "padding": 1}),
            "depthwise": (4, 3, {"groups": 4, "padding": "same", "bias": False}),
            "valid": (2, 2, {"padding": "valid"}),
            "reflect": (3, 3, {"padding": 1, "padding_mode": "reflect"}),
            "circular": (3, 3, {"padding": 1, "padding_mode": "circular"}),
            "one channel": (1, 3, {}),
        }
        for what, (width, size, more) in options.items():
            cases[f"{name} {what}"] = layer(
                lambda k=kind, w=width, s=size, m=more: k(4, w, s, **m), shape, name
            )
        for what, more in {
            "": {},
            "stride": {"stride": 2, "padding": 1, "output_padding": 1},
            "groups": {"groups": 2, "bias": False, "dilation": 2},
        }.items():
            cases[f"{other} {what}"] = layer(lambda k=turned, m=more: k(4, 6, 3, **m), shape, other)
    cases["conv2d shared weight"] = layer(
        lambda: Do(lambda m, x: m.conv(m.conv(x).relu()), conv=nn.Conv2d(4, 4, 3, padding=1)),
        IMAGE,
        "conv2d",
    )
    cases["conv2d standardised weight"] = layer(
        lambda: Do(
            lambda m, x: F.conv2d(x, (m.w - m.w.mean((1, 2, 3), keepdim=True)) * 2, m.b),
            w=torch.randn(5, 4, 3, 3),
            b=torch.randn(5),
        ),
        IMAGE,
        "conv2d",
    )
    return cases


def _products() -> dict[str, Case]:
    return {
        "linear": layer(lambda: nn.Linear(8, 3), ROW, "linear"),
        "linear without bias": layer(lambda: nn.Linear(8, 3, bias=False), ROW, "linear"),
        "linear of rows": layer(lambda: nn.Linear(8, 3), ROWS, "linear"),
        "linear of images": layer(lambda: nn.Linear(7, 3), IMAGE, "linear"),
        "linear of a vector": layer(
            lambda: Do(lambda m, x: m.body(x.sum(0)), body=nn.Linear(8, 3)), ROW, "linear"
        ),
        "linear twice": layer(
            lambda: Do(lambda m, x: m.body(m.body(x)), body=nn.Linear(8, 8)), ROW, "linear"
        ),
        "linear transposed weight": function(
            lambda m, x: F.linear(x, m.w.t(), m.b), ROW, "linear", w=(8, 3), b=(3,)
        ),
        "bilinear": layer(
            lambda: Do(lambda m, x: m.body(x, x.flip(-1)), body=nn.Bilinear(8, 8, 3)), ROW
        ),
        "matmul": function(lambda m, x: x @ m.w, ROW, "matmul", w=(8, 3)),
        "matmul of stacks": function(lambda m, x: torch.matmul(x, m.w), ROWS, "matmul", w=(8, 3)),
        "matmul with a vector": function(lambda m, x: x @ m.w, ROWS, "", w=(8,)),
        "matmul from the left": function(lambda m, x: m.w @ x, ROWS, "matmul", w=(3, 5)),
        "bmm": function(lambda m, x: x.bmm(x.transpose(1, 2)), ROWS, "bmm"),
        "mm": function(lambda m, x: torch.mm(x, m.w), ROW, "mm", w=(8, 3)),
        "einsum": function(
            lambda m, x: torch.einsum("bsd,de->bse", x, m.w), ROWS, "einsum", w=(8, 3)
        ),
        "einsum with ellipsis": function(
            lambda m, x: torch.einsum("...d,ed->...e", x, m.w), IMAGE, "einsum", w=(3, 7)
        ),
        "einsum of itself": function(
            lambda m, x: torch.einsum("bid, bjd -> bij", x, x), ROWS, "einsum"
        ),
        "einsum without arrow": function(
            lambda m, x: torch.einsum("bd,de", x, m.w), ROW, "", w=(8, 3)
        ),
        "addmm": function(lambda m, x: torch.addmm(m.b, x, m.w), ROW, "", w=(8, 3), b=(3,)),
    }


class Frozen(nn.Module):
    """Batch normalisation that never learns its statistics."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Any:
        return self.norm(x)


def _normalisations() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for d, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        for what, more in {
            "": {},
            "plain": {"affine": False},
            "without statistics": {"track_running_stats": False},
            "with statistics": {"track_running_stats": True, "affine": True},
            "momentum": {"momentum": 0.3, "eps": 1e-3},
        }.items():
            batch, instance = getattr(nn, f"BatchNorm{d}d"), getattr(nn, f"InstanceNorm{d}d")
            cases[f"batch_norm {d} {what}"] = layer(
                lambda k=batch, m=more: k(4, **m), shape, "batch_norm"
            )
            cases[f"instance_norm {d} {what}"] = layer(
                lambda k=instance, m=more: k(4, **m), shape, "instance_norm"
            )
    return cases | {
        "batch_norm of rows": layer(lambda: nn.BatchNorm1d(8), ROW, "batch_norm"),
        "batch_norm cumulative": layer(lambda: nn.BatchNorm2d(4, momentum=None), IMAGE),
        "batch_norm frozen": layer(lambda: Frozen(nn.BatchNorm2d(4)), IMAGE, "batch_norm"),
        "batch_norm twice": layer(
            lambda: Do(lambda m, x: m.norm(m.norm(x).relu()), norm=nn.BatchNorm2d(4)), IMAGE
        ),
        "group_norm": layer(lambda: nn.GroupNorm(2, 4), IMAGE, "group_norm"),
        "group_norm plain": layer(lambda: nn.GroupNorm(1, 4, affine=False), SIGNAL, "group_norm"),
        "group_norm of rows": layer(lambda: nn.GroupNorm(4, 8, eps=1e-3), ROW, "group_norm"),
        "layer_norm": layer(lambda: nn.LayerNorm(8), ROWS, "layer_norm"),
        "layer_norm of images": layer(lambda: nn.LayerNorm((6, 7), eps=1e-3), IMAGE, "layer_norm"),
        "layer_norm without bias": layer(lambda: nn.LayerNorm(8, bias=False), ROW, "layer_norm"),
        "layer_norm plain": layer(
            lambda: nn.LayerNorm(8, elementwise_affine=False), ROW, "layer_norm"
        ),
        "rms_norm": layer(lambda: nn.RMSNorm(8), ROWS, "rms_norm"),
        "rms_norm of images": layer(lambda: nn.RMSNorm((6, 7), eps=1e-3), IMAGE, "rms_norm"),
        "rms_norm plain": layer(lambda: nn.RMSNorm(8, elementwise_affine=False), ROW, "rms_norm"),
        "normalize": function(lambda m, x: F.normalize(x, dim=1), IMAGE, ""),
        "local response": layer(lambda: nn.LocalResponseNorm(2), IMAGE),
        "weight norm": layer(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 3)), ROW),
        "spectral norm": layer(
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3)), ROW
        ),
    }


def _activations() -> dict[str, Case]:
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


def _elementwise() -> dict[str, Case]:
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


def _dropouts() -> dict[str, Case]:
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


def _pools() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for d, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        kinds = {
            f"MaxPool{d}d": {"kernel_size": 3, "stride": 2, "ceil_mode": True, "padding": 1},
            f"AvgPool{d}d": {"kernel_size": 2, "ceil_mode": True, "count_include_pad": False},
            f"AdaptiveAvgPool{d}d": {"output_size": 2},
            f"AdaptiveMaxPool{d}d": {"output_size": 3},
        }
        for name, more in kinds.items():
            cases[name] = layer(partial(getattr(nn, name), **more), shape)
    return cases | {
        "adaptive with None": layer(lambda: nn.AdaptiveAvgPool2d((None, 2)), IMAGE),
        "adaptive to one": layer(
            lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            IMAGE,
            "adaptive_avg_pool2d",
        ),
        "max_pool2d dilation": function(
            lambda m, x: F.max_pool2d(x, 2, 1, 0, 2), IMAGE, "max_pool2d"
        ),
        "pool and unpool": layer(
            lambda: Do(
                lambda m, x: m.back(*m.pool(x)),
                pool=nn.MaxPool2d(2, return_indices=True),
                back=nn.MaxUnpool2d(2),
            ),
            (4, 6, 6),
        ),
        "LPPool2d": layer(lambda: nn.LPPool2d(2, 2), IMAGE),
        "FractionalMaxPool2d": layer(lambda: nn.FractionalMaxPool2d(2, output_ratio=0.5), IMAGE),
        "interpolate": layer(lambda: nn.Upsample(scale_factor=2), IMAGE, "interpolate"),
        "bilinear upsample": function(
            lambda m, x: F.interpolate(x, size=(5, 9), mode="bilinear", align_corners=True),
            IMAGE,
            "interpolate",
        ),
        "linear upsample": function(
            lambda m, x: F.interpolate(x, scale_factor=1.5, mode="linear"), SIGNAL, "interpolate"
        ),
        "bicubic": function(
            lambda m, x: F.interpolate(x, size=8, mode="bicubic", antialias=True),
            IMAGE,
            "interpolate",
        ),
        "pixel_shuffle": layer(lambda: nn.PixelShuffle(2), (8, 3, 4), "pixel_shuffle"),
        "pixel_unshuffle": layer(lambda: nn.PixelUnshuffle(2), (3, 4, 6), "pixel_unshuffle"),
        "channel_shuffle": layer(lambda: nn.ChannelShuffle(2), IMAGE),
        "pad": function(lambda m, x: F.pad(x, (1, 2, 0, 1), value=0.5), IMAGE, "pad"),
        "pad channels": function(lambda m, x: F.pad(x, (0, 0, 0, 0, 1, 1)), IMAGE, ""),
        "reflection pad": layer(lambda: nn.ReflectionPad2d(2), IMAGE, "pad"),
        "replication pad": layer(lambda: nn.ReplicationPad1d(2), SIGNAL, "pad"),
        "circular pad": layer(lambda: nn.CircularPad2d(1), IMAGE, "pad"),
        "unfold": layer(lambda: nn.Unfold(2), IMAGE),
    }


def _shapes() -> dict[str, Case]:
    acts: dict[str, tuple[Callable[..., Any], tuple[int, ...], str]] = {
        "flatten": (lambda m, x: x.flatten(1), IMAGE, "flatten"),
        "flatten all": (lambda m, x: torch.flatten(x), IMAGE, "flatten"),
        "flatten pixels": (lambda m, x: x.flatten(2, -1), IMAGE, "flatten"),
        "flatten samples": (lambda m, x: x.flatten(0, 1), IMAGE, "flatten"),
        "view by size": (lambda m, x: x.view(x.size(0), -1), IMAGE, "view"),
        "view": (lambda m, x: x.view(-1, 4 * 6 * 7), IMAGE, "view"),
        "view as a tuple": (lambda m, x: x.view((x.shape[0], 2, 2, -1)), IMAGE, "view"),
        "view_as": (lambda m, x: (x * 2).view_as(x), IMAGE, ""),
        "reshape": (lambda m, x: torch.reshape(x, (-1, 6, 7)), IMAGE, "reshape"),
        "channel mixing": (lambda m, x: x.reshape(-1, 2, 2, 42).transpose(1, 2), IMAGE, ""),
        "unflatten": (lambda m, x: x.unflatten(1, (2, -1)), IMAGE, "unflatten"),
        "permute": (lambda m, x: x.permute(0, 2, 3, 1), IMAGE, "permute"),
        "permute negative": (lambda m, x: torch.permute(x, (0, -1, 1, 2)), IMAGE, "permute"),
        "transpose": (lambda m, x: x.transpose(1, -1), IMAGE, "transpose"),
        "swapaxes": (lambda m, x: x.swapaxes(0, 1), IMAGE, "swapaxes"),
        "movedim": (lambda m, x: x.movedim(1, -1), IMAGE, "movedim"),
        "moveaxis": (lambda m, x: torch.moveaxis(x, (1, 2), (-1, 0)), IMAGE, "moveaxis"),
        "t": (lambda m, x: x.t(), ROW, "t"),
        "T": (lambda m, x: x.T, ROW, "T"),
        "mT": (lambda m, x: x.mT, IMAGE, ""),
        "squeeze": (lambda m, x: x.mean(2, keepdim=True).squeeze(), IMAGE, "squeeze"),
        "squeeze one": (lambda m, x: x[:, :1].squeeze(1), IMAGE, "squeeze"),
        "squeeze none": (lambda m, x: x.squeeze(1), IMAGE, "squeeze"),
        "squeeze some": (
            lambda m, x: x.mean((2, 3), keepdim=True).squeeze((-1, 2)), IMAGE, "squeeze",
        ),
        "unsqueeze": (lambda m, x: x.unsqueeze(-1) + x.unsqueeze(2), SIGNAL, "unsqueeze"),
        "unsqueeze channels": (lambda m, x: x.unsqueeze(1), SIGNAL, "unsqueeze"),
        "expand": (lambda m, x: x.unsqueeze(1).expand(-1, 3, -1), ROW, "expand"),
        "expand up": (lambda m, x: x.expand(3, -1, 8), ROW, "expand"),
        "broadcast_to": (
            lambda m, x: torch.broadcast_to(x[:, :1], (x.shape[0], 8)), ROW, "broadcast_to",
        ),
        "repeat": (lambda m, x: x.repeat(1, 2) + x.repeat(2, 1, 1).sum(0).repeat(1, 2), ROW,
                   "repeat"),
        "repeat_interleave": (lambda m, x: x.repeat_interleave(2, dim=1), ROW, ""),
        "chunk": (lambda m, x: torch.mul(*x.chunk(2, 1)), IMAGE, "chunk"),
        "uneven chunk": (
            lambda m, x: torch.cat([p.exp() for p in torch.chunk(x, 3, dim=-1)], 1), ROW, "chunk",
        ),
        "one chunk": (lambda m, x: x.chunk(1, 1)[0] * 2, ROW, "chunk"),
        "split": (lambda m, x: x.split(3, -1)[2], ROW, "split"),
        "several outputs": (lambda m, x: x.split(3, -1), ROW, "split"),
        "split sections": (lambda m, x: torch.split(x, [1, 3], dim=1)[1], IMAGE, "split"),
        "tensor_split": (lambda m, x: x.tensor_split(3, dim=1)[1], ROW, "tensor_split"),
        "unbind": (lambda m, x: x.unbind(1)[2] * x.unbind(dim=-1)[0].sum(), ROWS, "unbind"),
        "narrow": (lambda m, x: x.narrow(1, 1, 2), IMAGE, "narrow"),
        "select": (lambda m, x: x.select(1, 2) + torch.select(x, dim=1, index=-1), IMAGE, "select"),
        "flip": (lambda m, x: x.flip(1) + torch.flip(x, (-1, 2)), IMAGE, "flip"),
        "roll": (lambda m, x: x.roll(2, 1), IMAGE, ""),
        "slice": (lambda m, x: x[:, 1:3, ::2, -2:], IMAGE, "__getitem__"),
        "index": (lambda m, x: x[:, -1], IMAGE, "__getitem__"),
        "index with dots": (lambda m, x: x[..., 0, None], IMAGE, "__getitem__"),
        "first sample": (lambda m, x: x[0], IMAGE, "__getitem__"),
        "index by a list": (lambda m, x: x[:, [2, 0]], IMAGE, ""),
        "index_select": (
            lambda m, x: x.index_select(1, torch.tensor([2, 0])), IMAGE, "",
        ),
        "cat": (lambda m, x: torch.cat([x, x * 2], 1), IMAGE, "cat"),
        "cat pixels": (lambda m, x: torch.cat((x, x * 2, x.abs()), dim=-1), IMAGE, "cat"),
        "cat samples": (lambda m, x: torch.cat([x, x * 2]), IMAGE, "cat"),
        "stack": (lambda m, x: torch.stack([x, x * 2], 1), IMAGE, "stack"),
        "stack at the end": (lambda m, x: torch.stack([x, x * 2], dim=-1), ROW, "stack"),
        "triu": (lambda m, x: x.triu(), IMAGE, ""),
        "gather": (lambda m, x: x.gather(1, x.argsort(1)), ROW, ""),
        "sort": (lambda m, x: x.sort(dim=1)[0], ROW, ""),
        "topk": (lambda m, x: x.topk(3, dim=1).values, ROW, ""),
        "outer": (lambda m, x: x[:, :, None] * x[:, None], ROW, "mul"),
    }  # fmt: skip
    return {name: function(act, shape, fused) for name, (act, shape, fused) in acts.items()}


def _reductions() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for name in ("mean", "sum", "amax", "amin", "std", "var", "logsumexp"):
        for dim, keep in (((2, 3), False), ((2, 3), True), (1, True), (-1, False), (0, False)):
            cases[f"{name} {dim} {keep}"] = function(
                lambda m, x, n=name, d=dim, k=keep: getattr(x, n)(dim=d, keepdim=k), IMAGE, name
            )
    for name in ("max", "min"):
        cases[f"{name} along"] = function(lambda m, x, n=name: getattr(x, n)(1).values, IMAGE, name)
        cases[f"{name} of pixels"] = function(
            lambda m, x, n=name: getattr(torch, n)(x, -1, keepdim=True)[0], IMAGE, name
        )
    for name in ("mean", "sum", "amax", "max", "prod", "std", "var"):
        cases[f"{name} of all"] = function(
            lambda m, x, n=name: getattr(x.sigmoid(), n)() * x, ROW, name
        )
    return cases | {
        "mean list": function(lambda m, x: x.mean([-1, -2]), IMAGE, "mean"),
        "mean of nothing": function(lambda m, x: x.mean(()) * x, ROW, "mean"),
        "mean of nothing kept": function(lambda m, x: x.mean((), keepdim=True) * x, ROW, ""),
        "sum axis": function(lambda m, x: x.sum(axis=1), IMAGE, ""),
        "sum type": function(lambda m, x: x.sum(1, dtype=torch.float64), IMAGE, "sum"),
        "biased var": function(
            lambda m, x: x.var((2, 3), unbiased=False) + x.var(1, correction=0).mean(), IMAGE, "var"
        ),
        "biased var of all": function(lambda m, x: x.var(unbiased=False) * x, ROW, ""),
        "prod": function(lambda m, x: x.prod(1, keepdim=True), ROW, "prod"),
        "cumsum": function(lambda m, x: x.cumsum(2), IMAGE, "cumsum"),
        "argmax": function(lambda m, x: x * x.argmax(1, keepdim=True), ROW, "argmax"),
        "argmax of all": function(lambda m, x: x * x.argmax(), ROW, "argmax"),
        "softmax of rows": function(lambda m, x: F.softmax(x, dim=-1), ROWS, "softmax"),
        "softmax of samples": function(lambda m, x: x.softmax(0), ROWS, "softmax"),
        "norm": function(lambda m, x: x / x.norm(dim=1, keepdim=True), ROW, ""),
        "median": function(lambda m, x: x.median(1).values, ROW, ""),
        "cosine": function(lambda m, x: F.cosine_similarity(x, m.w), ROW, "", w=(1, 8)),
        "any": function(lambda m, x: x * (x > 1).any(1, keepdim=True), ROW, ""),
    }


def _attention(**more: Any) -> Callable[..., Any]:
    def act(m: Any, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
        drop = more.get("dropout_p", 0.0) if m.training else 0.0
        return F.scaled_dot_product_attention(
            heads * m.q, heads * m.k, heads, **{**more, "dropout_p": drop}
        )

    return act


class Heads(nn.Module):
    """Multi-head attention in one of its ways of use."""

    def __init__(self, way: str, **more: Any) -> None:
        super().__init__()
        self.body = nn.MultiheadAttention(8, 2, **more)
        self.way = way

    def forward(self, x: Tensor) -> Any:
        length = x.shape[1] if self.body.batch_first else x.shape[0]
        match self.way:
            case "self":
                return self.body(x, x, x)[0]
            case "no weights":
                return self.body(x, x, x, need_weights=False)[0]
            case "every head":
                return self.body(x, x, x, average_attn_weights=False)[1]
            case "cross":
                other = x * 0.5
                return self.body(x, other, other, need_weights=False)[0]
            case "causal":
                mask = nn.Transformer.generate_square_subsequent_mask(length, dtype=x.dtype)
                return self.body(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0]
            case "mask":
                mask = torch.ones(length, length, dtype=torch.bool).triu(1)
                return self.body(x, x, x, attn_mask=mask)[1]
            case "mask of heads":
                mask = (x @ x.transpose(1, 2)).detach().repeat_interleave(2, 0)
                return self.body(x, x, x, attn_mask=mask, need_weights=False)[0]
            case "padding":
                padding = torch.arange(length).expand(x.shape[0], -1) > length - 2
                return self.body(x, x, x, key_padding_mask=padding, need_weights=False)[0]
            case _:
                padding = torch.arange(length).expand(x.shape[0], -1) > length - 2
                mask = torch.ones(length, length, dtype=torch.bool).triu(2)
                return self.body(x, x, x, key_padding_mask=padding, attn_mask=mask)[0]


class Padded(nn.Module):
    """An encoder whose last places are padding."""

    def __init__(self, **more: Any) -> None:
        super().__init__()
        self.body = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 8, 0.1, batch_first=True), 2, **more
        )

    def forward(self, x: Tensor) -> Any:
        padding = torch.arange(5).expand(x.shape[0], -1) > 3
        return self.body(x, src_key_padding_mask=padding)


class Positions(nn.Module):
    """An embedding with positions, a mask in a buffer, and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(11, 8, padding_idx=0), nn.Embedding(5, 8)
        self.register_buffer("mask", torch.ones(5, 5).tril().bool())
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x) + self.places(torch.arange(x.shape[1], device=x.device))
        h = F.scaled_dot_product_attention(h[:, None], h[:, None], h[:, None], self.mask)[:, 0]
        return self.head(h)


def _sequences() -> dict[str, Case]:
    sdpa = "scaled_dot_product_attention"
    parts = {"q": (4,), "k": (4,)}
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    first = {"batch_first": True}
    cases = {
        "attention": function(_attention(), ROWS, sdpa, **parts),
        "attention causal": function(_attention(is_causal=True, scale=0.3), ROWS, sdpa, **parts),
        "attention mask": function(_attention(attn_mask=causal), ROWS, sdpa, **parts),
        "attention dropout": function(_attention(dropout_p=0.3), ROWS, "dropout", **parts),
        "attention dropout mask": function(
            _attention(dropout_p=0.3, attn_mask=causal), ROWS, "dropout", **parts
        ),
        "attention dropout causal": function(
            _attention(dropout_p=0.3, is_causal=True), ROWS, "dropout", **parts
        ),
        "attention own mask": function(
            lambda m, x: F.scaled_dot_product_attention(
                x[:, None], x[:, None], x[:, None], attn_mask=m.bias
            ),
            ROWS,
            sdpa,
            bias=(1, 5, 5),
        ),
        "attention sample mask": function(
            lambda m, x: F.scaled_dot_product_attention(
                x[:, None], x[:, None], x[:, None], attn_mask=(x @ x.mT)[:, None]
            ),
            ROWS,
            sdpa,
        ),
        "attention of three": function(
            lambda m, x: F.scaled_dot_product_attention(x, x, x), ROWS, ""
        ),
        "heads": layer(lambda: Heads("self", **first), ROWS, "linear chunk softmax"),
        "heads with dropout": layer(lambda: Heads("self", dropout=0.3, **first), ROWS, "dropout"),
        "heads dropout no weights": layer(
            lambda: Heads("no weights", dropout=0.3, **first), ROWS, "dropout"
        ),
        "heads without bias": layer(lambda: Heads("self", bias=False, **first), ROWS, "linear"),
        "heads length first": layer(lambda: Heads("no weights"), ROWS, sdpa),
        "heads with more keys": layer(
            lambda: Heads("self", add_bias_kv=True, add_zero_attn=True, **first), ROWS
        ),
        "heads of other sizes": layer(lambda: Heads("cross", kdim=8, vdim=8, **first), ROWS),
        "transformer layer": layer(
            lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.2, batch_first=True), ROWS, "layer_norm"
        ),
        "transformer layer norm first": layer(
            lambda: nn.TransformerEncoderLayer(
                8, 2, 16, 0.0, activation="gelu", norm_first=True, batch_first=True
            ),
            ROWS,
            sdpa,
        ),
        "transformer encoder": layer(
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, 0.1), 2), ROWS,
            "linear",
        ),
        "transformer encoder padded": layer(
            lambda: Padded(enable_nested_tensor=False), ROWS, "linear dropout"
        ),
        "transformer encoder nested": layer(Padded, ROWS),
        "transformer decoder": layer(
            lambda: Do(
                lambda m, x: m.body(x, x * 0.5),
                body=nn.TransformerDecoderLayer(8, 2, 8, 0.1, batch_first=True),
            ),
            ROWS,
            "linear",
        ),
        "lstm": layer(
            lambda: Do(lambda m, x: m.body(x)[0], body=nn.LSTM(8, 3, batch_first=True)), ROWS
        ),
        "lstm of two": layer(
            lambda: Do(
                lambda m, x: m.body(x)[1][0],
                body=nn.LSTM(8, 3, 2, dropout=0.3, bidirectional=True),
            ),
            ROWS,
        ),
        "gru": layer(lambda: Do(lambda m, x: m.body(x)[1], body=nn.GRU(8, 3)), ROWS),
        "rnn cell": layer(
            lambda: Do(lambda m, x: m.body(x[:, 0], m.body(x[:, 1])), body=nn.GRUCell(8, 4)), ROWS
        ),
        "embedding": Case(lambda: nn.Embedding(11, 8), (5,), "embedding", 11),
        "embedding padding": Case(
            lambda: nn.Embedding(11, 8, padding_idx=-2), (5,), "embedding", 11
        ),
        "embedding norm": Case(lambda: nn.Embedding(11, 8, max_norm=1.0), (5,), "", 11),
        "embedding bag": Case(lambda: nn.EmbeddingBag(11, 8), (5,), "", 11),
        "embeddings tied": Case(Positions, (5,), "embedding", 11),
        "one_hot": Case(
            lambda: Do(
                lambda m, x: m.body(F.one_hot(x, 11).double()), body=nn.Linear(11, 3)
            ),
            (5,),
            "linear",
            11,
        ),
    }  # fmt: skip
    for way in ("no weights", "every head", "cross", "causal", "mask", "mask of heads", "padding",
                "both"):  # fmt: skip
        cases[f"heads {way}"] = layer(lambda w=way: Heads(w, **first), ROWS, "linear")
    return cases


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return -3 * grad


class Averaged(nn.Module):
    """A buffer that follows the input."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.register_buffer("average", torch.zeros(8))
        self.steps, self.kept, self.last = 0, torch.ones(8, dtype=torch.float64), None

    def forward(self, x: Tensor) -> Tensor:
        new = x.detach().mean(0)
        match self.way:
            case "in place":
                self.average.mul_(0.9).add_(new, alpha=0.1)
            case "assigned":
                self.average = 0.9 * self.average + 0.1 * new
            case "copied":
                self.average.copy_(0.9 * self.average + 0.1 * new)
            case "data":
                self.average.data.mul_(0.5)
            case "attribute":
                self.kept = self.kept * 0.9
            case "attribute in place":
                self.kept.mul_(0.9)
            case "counted":
                self.steps += 1
            case "remembered":
                x = x if self.last is None else x + self.last[:1].detach()
                self.last = x
            case _:
                self.average.normal_()
        return x * self.average + self.kept + self.steps


def _awkward() -> dict[str, Case]:
    cases = {
        f"buffer {way}": layer(lambda w=way: Averaged(w), ROW)
        for way in (
            "in place", "assigned", "copied", "data", "attribute", "attribute in place", "counted",
            "remembered", "drawn",
        )
    }  # fmt: skip
    return cases | {
        "custom gradient": layer(
            lambda: Do(
                lambda m, x: m.b(Reversed.apply(m.a(x))), a=nn.Linear(8, 8), b=nn.Linear(8, 3)
            ),
            ROW,
        ),
        "custom gradient inside": layer(
            lambda: nn.Sequential(
                nn.Linear(8, 8), Do(lambda m, x: Reversed.apply(x)), nn.Linear(8, 3)
            ),
            ROW,
            "linear",
        ),
        "decided by data": layer(
            lambda: Do(lambda m, x: m.body(x if x.sum() > 0 else -x), body=nn.Linear(8, 3)), ROW
        ),
        "decided by data inside": layer(
            lambda: nn.Sequential(
                nn.Linear(8, 8), Do(lambda m, x: x if x.sum() > 0 else -x), nn.Linear(8, 3)
            ),
            ROW,
        ),
        "decided by the batch": layer(
            lambda: Do(lambda m, x: m.body(x * x.shape[0]), body=nn.Linear(8, 3)), ROW, "linear"
        ),
        "item": function(lambda m, x: x * x.detach().abs().max().item(), ROW, ""),
        "constant": layer(_with_constant, ROW),
        "scalar parameter": layer(
            lambda: Do(
                lambda m, x: m.a(x) * m.gate.sigmoid() + m.b(x) * (1 - m.gate.sigmoid()),
                a=nn.Linear(8, 3), b=nn.Linear(8, 3), gate=torch.tensor(0.3),
            ),
            ROW,
            "linear",
        ),
        "frozen": layer(_frozen, ROW, "linear"),
        "tied": layer(_tied, ROW),
        "tied to a recurrence": layer(_tied_to_recurrence, ROWS),
        "checkpoint": layer(
            lambda: Do(
                lambda m, x: torch.utils.checkpoint.checkpoint(m.body, x, use_reentrant=False),
                body=nn.Linear(8, 3),
            ),
            ROW,
        ),
        "autocast inside": layer(lambda: Do(_autocast, body=nn.Linear(8, 3).float()), ROW),
        "random generator": layer(
            lambda: Do(_own_generator, draws=torch.Generator().manual_seed(3), s=torch.randn(8)),
            ROW,
        ),
        "squeeze and excite": layer(
            lambda: Do(
                lambda m, x: x * m.up(F.relu(m.down(x.mean((2, 3), keepdim=True)))).sigmoid(),
                down=nn.Conv2d(4, 2, 1), up=nn.Conv2d(2, 4, 1),
            ),
            IMAGE,
            "conv2d mul",
        ),
    }  # fmt: skip


def _with_constant() -> nn.Module:
    made = Do(lambda m, x: m.body(x * m.constant), body=nn.Linear(8, 3))
    made.__dict__["constant"] = torch.rand(8, dtype=torch.float64)
    return made


def _frozen() -> nn.Module:
    made = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3))
    made[0].requires_grad_(False)
    return made


def _tied() -> nn.Module:
    made = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    made[2].weight = made[0].weight
    return made


def _tied_to_recurrence() -> nn.Module:
    made = Do(
        lambda m, x: m.out(m.body(x)[0]) * 2, body=nn.GRU(8, 8), out=nn.Linear(8, 8, bias=False)
    )
    made.body.weight_hh_l0 = nn.Parameter(torch.randn(24, 8))
    made.out.weight = made.body.weight_hh_l0
    return made


def _autocast(m: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return torch.relu(m.body(x)).double()


def _own_generator(m: Any, x: Tensor) -> Tensor:
    return x * m.s + torch.rand(8, generator=m.draws, dtype=torch.float64)


def _layouts() -> dict[str, Case]:
    """Dropout of what lies in memory in an order of its own: masks are drawn in that order."""

    def heads(m: Any, x: Tensor) -> Tensor:
        parts = x.unflatten(-1, (2, 4)).transpose(1, 2)
        return F.scaled_dot_product_attention(parts * m.q, parts, parts)

    last = {"memory_format": torch.channels_last}
    acts: dict[str, tuple[Callable[..., Any], tuple[int, ...], dict[str, Any]]] = {
        "attention": (heads, ROWS, {"q": torch.randn(4)}),
        "conv2d": (lambda m, x: m.f(x.contiguous(**last)), IMAGE, {"f": nn.Conv2d(4, 5, 3)}),
        "max_pool2d": (lambda m, x: F.max_pool2d(x.contiguous(**last), 2), IMAGE, {}),
        "conv1d": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.Conv1d(8, 5, 3)}),
        "einsum": (
            lambda m, x: torch.einsum("bsd,de->bes", x, m.w), ROWS, {"w": torch.randn(8, 3)},
        ),
        "matmul": (lambda m, x: m.w @ x.transpose(1, 2), ROWS, {"w": torch.randn(3, 8)}),
        "mean": (lambda m, x: x.transpose(1, 3).mean(1), IMAGE, {}),
        "cat": (lambda m, x: torch.cat([x.transpose(1, 3)] * 2, 1), IMAGE, {}),
        "sum": (lambda m, x: x.transpose(1, 3) + x.transpose(1, 3), IMAGE, {}),
        "softmax": (lambda m, x: x.transpose(1, 2).softmax(-1), ROWS, {}),
        "linear": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.Linear(5, 3)}),
        "layer_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.LayerNorm(5)}),
        "batch_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.BatchNorm1d(8)}),
        "instance_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.InstanceNorm1d(8)}),
        "group_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.GroupNorm(2, 8)}),
        "pad": (lambda m, x: F.pad(x.transpose(2, 3), (1, 1)), IMAGE, {}),
        "lstm": (lambda m, x: m.f(x)[0], ROWS, {"f": nn.LSTM(8, 3, batch_first=True)}),
        "logsigmoid": (lambda m, x: F.logsigmoid(x.transpose(1, 2)), ROWS, {}),
        "noise": (lambda m, x: torch.rand_like(x.mT) + (x @ m.w).mT, ROWS, {"w": torch.randn(8, 8)}),
    }  # fmt: skip
    return {
        f"dropout after {name}": layer(
            lambda a=act, p=parts: Do(
                lambda m, x: F.dropout(a(m, x), 0.4, m.training), **copy.deepcopy(p)
            ),
            shape,
        )
        for name, (act, shape, parts) in acts.items()
    }


CASES: dict[str, Case] = {
    **_convolutions(), **_products(), **_normalisations(), **_activations(), **_elementwise(),
    **_dropouts(), **_pools(), **_shapes(), **_reductions(), **_sequences(), **_awkward(),
    **_layouts(),
}  # fmt: skip
