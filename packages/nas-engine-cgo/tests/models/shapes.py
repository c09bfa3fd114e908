"""Pools, views and reductions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from torch import nn

from models.case import IMAGE, ROW, ROWS, SIGNAL, VOLUME, Case, Do, function, layer


def pools() -> dict[str, Case]:
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


def shapes() -> dict[str, Case]:
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


def reductions() -> dict[str, Case]:
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
