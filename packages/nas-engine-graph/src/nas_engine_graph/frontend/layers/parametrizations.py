"""Parametrized layers: which function of torch registers the parametrization that a layer has."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from nas_engine_graph.frontend.encode import encode, symbol_of
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import Layer, Parametrization, Symbol

__all__ = [
    "apply_parametrizations",
    "has_parametrization",
    "parametrizations_of",
    "plain_class",
    "register",
]

_LEGACY = (WeightNorm, SpectralNorm)


def plain_class(module: nn.Module) -> type[nn.Module]:
    """The class without what ``torch.nn.utils.parametrize`` has put before it."""
    return type(module).__mro__[1] if _is_parametrized(module) else type(module)


def has_parametrization(module: nn.Module) -> bool:
    """Whether the layer computes a tensor first: by parametrization or by an old hook."""
    return _is_parametrized(module) or any(
        isinstance(hook, _LEGACY) for hook in module._forward_pre_hooks.values()
    )


def _is_parametrized(module: nn.Module) -> bool:
    # Most are not, and torch takes its time to say so.
    return "parametrizations" in module._modules and parametrize.is_parametrized(module)


def _arguments(module: nn.Module) -> tuple[Any, ...]:
    """Constructor arguments of a parametrization of the user's own, by attribute names."""
    names = list(inspect.signature(type(module).__init__).parameters.values())[1:]
    return tuple(
        encode(getattr(module, p.name))
        for p in names
        if p.kind is p.POSITIONAL_OR_KEYWORD and hasattr(module, p.name)
    )


def _one(tensor: str, part: Any) -> Parametrization:
    home = "torch.nn.utils.parametrizations"
    match type(part).__name__:
        case "_WeightNorm" if isinstance(part, parametrizations._WeightNorm):
            return Parametrization(f"{home}.weight_norm", tensor, (), (("dim", part.dim),))
        case "_SpectralNorm" if isinstance(part, parametrizations._SpectralNorm):
            power = getattr(part, "n_power_iterations", 1)
            kwargs: tuple[tuple[str, Any], ...] = (
                ("n_power_iterations", power),
                ("eps", part.eps),
                ("dim", part.dim),
            )
            return Parametrization(f"{home}.spectral_norm", tensor, (), kwargs)
        case "_Orthogonal":
            kwargs = (
                ("orthogonal_map", part.orthogonal_map.name),
                ("use_trivialization", hasattr(part, "base")),
            )
            return Parametrization(f"{home}.orthogonal", tensor, (), kwargs)
        case _:
            made = Layer(symbol_of(type(part)).name, _arguments(part))
            return Parametrization(
                "torch.nn.utils.parametrize.register_parametrization", tensor, (made,)
            )


def parametrizations_of(module: nn.Module) -> tuple[Parametrization, ...]:
    """The calls that give a plain layer the parametrizations of ``module``, in order."""
    found = [
        Parametrization("torch.nn.utils.weight_norm", hook.name, (), (("dim", hook.dim),))
        if isinstance(hook, WeightNorm)
        else Parametrization(
            "torch.nn.utils.spectral_norm",
            hook.name,
            (),
            (("n_power_iterations", hook.n_power_iterations), ("eps", hook.eps), ("dim", hook.dim)),
        )
        for hook in module._forward_pre_hooks.values()
        if isinstance(hook, WeightNorm | SpectralNorm)
    ]
    if parametrize.is_parametrized(module):
        lists: Any = module.parametrizations
        found += [_one(name, part) for name, parts in lists.items() for part in parts]
    return tuple(found)


def register(layer: nn.Module, call: Parametrization) -> None:
    """Does what the call says."""
    args = [
        resolve(a.target)(*a.args)
        if isinstance(a, Layer)
        else resolve(a.name)
        if isinstance(a, Symbol)
        else a
        for a in call.args
    ]
    resolve(call.function)(layer, call.tensor, *args, **dict(call.kwargs))


def apply_parametrizations(module: nn.Module, twin: nn.Module) -> nn.Module:
    """Gives the twin what the module has."""
    calls = parametrizations_of(module)
    if calls and any(p.is_meta for p in twin.parameters()):
        twin = twin.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in twin.parameters():
                tensor.normal_()
    for call in calls:
        register(twin, call)
    return twin
