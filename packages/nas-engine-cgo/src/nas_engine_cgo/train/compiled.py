"""Merged code as a function that can be called, with the lines of it in tracebacks."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from nas_engine_cgo.exact.convolution import member_convolution
from nas_engine_cgo.exact.fan_out import fan_out
from nas_engine_cgo.exact.linear import member_linear
from nas_engine_cgo.exact.order import cat_in_order, in_order
from nas_engine_cgo.exact.values import with_values
from nas_engine_cgo.kernels import FASTER, in_layout, pointwise
from nas_engine_cgo.packs import Need
from nas_engine_cgo.state import drawing, dropout_masks, ordered
from nas_engine_cgo.write import Function

__all__ = ["Compiled", "callable_of"]

_COUNTER = itertools.count()


@dataclass(frozen=True, eq=False)
class Compiled:
    """Merged code that can be called, for these members."""

    function: Function
    training: bool
    members: tuple[int, ...]
    needs: tuple[Need, ...]
    call: FunctionType


def callable_of(function: Function, modules: Sequence[nn.Module]) -> FunctionType:
    """The merged code as a function of ``(inputs, tensors, streams)``."""
    file = f"<merged {next(_COUNTER)}>"
    linecache.cache[file] = (len(function.source), None, function.source.splitlines(True), file)
    names: dict[str, Any] = {
        "torch": torch,
        "F": functional,
        "drawing": drawing,
        "dropout_masks": dropout_masks,
        "fan_out": fan_out,
        "cat_in_order": cat_in_order,
        "in_layout": in_layout,
        "in_order": in_order,
        "member_convolution": member_convolution,
        "member_linear": member_linear,
        "ordered": ordered,
        "pointwise": pointwise,
        "with_values": with_values,
        "device": next((p.device for m in modules for p in m.parameters()), torch.device("cpu")),
        **FASTER,
        **function.constants,
    }
    for number, module in enumerate(modules):
        names[f"m{number}"] = module.get_submodule
    exec(compile(function.source, file, "exec", dont_inherit=True), names)  # noqa: S102
    made: FunctionType = names["forward"]
    return made
