"""Convolutions, products and normalisations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from torch import Tensor, nn

from models.case import IMAGE, ROW, ROWS, SIGNAL, VOLUME, Case, Do, function, layer


def convolutions() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for d, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        kind, turned = getattr(nn, f"Conv{d}d"), getattr(nn, f"ConvTranspose{d}d")
        name, other = f"conv{d}d", f"conv_transpose{d}d"
        options: dict[str, tuple[int, int, dict[str, Any]]] = {
            "": (6, 3, {}),
            "1x1": (6, 1, {"bias": False}),
            "1x1 stride": (6, 1, {"stride": (2,)}),  # In each dimension.
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


def products() -> dict[str, Case]:
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
        "matmul with a vector": function(lambda m, x: x @ m.w, ROWS, "matmul", w=(8,)),
        "matrix with a vector": function(lambda m, x: x @ m.w, ROW, "matmul", w=(8,)),
        "vector from the left": function(lambda m, x: m.w @ x, ROWS, "", w=(5,)),
        "matmul from the left": function(lambda m, x: m.w @ x, ROWS, "matmul", w=(3, 5)),
        "bmm": function(lambda m, x: x.bmm(x.transpose(1, 2)), ROWS, "bmm"),
        "matmul of heads": function(
            lambda m, x: (h := x.unflatten(-1, (2, 4)).transpose(1, 2)) @ h.mT @ h, ROWS, "matmul"
        ),
        "baddbmm": function(lambda m, x: torch.baddbmm(m.w, x, x.mT), ROWS, "baddbmm", w=(1, 5, 5)),
        "baddbmm of samples": function(
            lambda m, x: torch.baddbmm(x[:, :1, :5], x, x.mT), ROWS, "baddbmm"
        ),
        "baddbmm with numbers": function(
            lambda m, x: torch.baddbmm(m.w, x, x.mT, alpha=0.5), ROWS, "", w=(1, 5, 5)
        ),
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


def normalisations() -> dict[str, Case]:
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
