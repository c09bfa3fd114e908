"""Merged code as a function that can be called, with the lines of it in tracebacks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as functional
from nas_engine_graph.defined import defined
from torch import nn

from nas_engine_cgo.members import Call, refs_in
from nas_engine_cgo.packs import Need
from nas_engine_cgo.train.vocabulary import VOCABULARY
from nas_engine_cgo.write import Function

__all__ = ["Compiled", "callable_of"]

_NAME = "nas_engine_cgo.merged"
# The weights of several members lie as they are merged.
warnings.filterwarnings("ignore", "RNN module weights are not part of single", module=_NAME)


@dataclass(frozen=True, eq=False)
class Compiled:
    """Merged code that can be called.

    Attributes:
        function: what it is.
        training: whether it trains, or measures.
        members: for whom.
        needs: the parameters and buffers that it is given, by (member, path).
        written: those that it changes in place.
        call: calls it.
    """

    function: Function
    training: bool
    members: tuple[int, ...]
    needs: tuple[Need, ...]
    written: frozenset[tuple[int, str]]
    call: FunctionType

    @cached_property
    def changes_if_noted(self) -> bool:
        """Whether torch computes a gradient in another way while its operators are noted."""
        return any(_reads_numbers(call) for each in self.function.programs for call in each.calls)


def _reads_numbers(call: Call) -> bool:
    """Whether the gradient of a function is computed by what its numbers are.

    Torch has another way for when somebody looks on: for products of which some factors are zero,
    and for the value that is filled in where a mask is true.
    """
    filled = (call.args[2:], call.kwargs.get("value")) if call.name == "masked_fill" else ()
    return call.name == "prod" or bool(tuple(refs_in(filled)))


def callable_of(function: Function, modules: Sequence[nn.Module]) -> FunctionType:
    """The merged code as a function of ``(inputs, tensors, streams)``."""
    names: dict[str, Any] = {
        "__name__": _NAME,
        "torch": torch,
        "F": functional,
        "device": next((p.device for m in modules for p in m.parameters()), torch.device("cpu")),
        **VOCABULARY,
        **function.constants,
    }
    for number, module in enumerate(modules):
        names[f"m{number}"] = module.get_submodule
    return defined("forward", function.source, names, "merged")
