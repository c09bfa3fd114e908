"""Calls that draw random numbers: they count, whether their results are used or not."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import torch

from nas_engine_graph.frontend.source.variables import value_of

__all__ = ["draws"]

_NAMES = (
    "alpha_dropout", "bernoulli", "binomial", "dropout", "feature_alpha_dropout", "feature_dropout",
    "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "randperm", "rrelu",
)  # fmt: skip
_FUNCTIONS = [
    *(getattr(torch, name) for name in _NAMES),
    torch.nn.functional.scaled_dot_product_attention,
]
_METHODS = frozenset(
    {"bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_",
     "multinomial", "normal_", "random_", "uniform_"}
)  # fmt: skip


def draws(call: ast.Call, around: Mapping[str, Any]) -> bool:
    """Whether a call is one of an operator that draws, and gives one tensor."""
    called = value_of(call.func, around)
    if called is not None:
        return any(called is function for function in _FUNCTIONS)
    match call.func:
        case ast.Attribute(owner, name):
            return name in _METHODS and not (isinstance(owner, ast.Name) and owner.id == "self")
    return False
