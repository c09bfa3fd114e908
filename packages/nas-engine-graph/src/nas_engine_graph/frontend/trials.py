"""Copies of modules on which methods of the user's are tried out."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_graph.frontend.overrides import resets_of

__all__ = ["attributes_of", "loads_what_it_saves", "twin_of"]


def twin_of(module: nn.Module, made: dict[int, nn.Module] | None = None) -> nn.Module:
    """A copy of a tree of modules that has the same tensors."""
    made = {} if made is None else made
    if id(module) not in made:
        twin = made[id(module)] = copy.copy(module)
        for name in resets_of({type(module)}) & vars(module).keys():
            twin.__dict__[name] = copy.copy(vars(module)[name])  # It may be emptied.
        for name in ("_parameters", "_buffers"):
            twin.__dict__[name] = dict(vars(module)[name])
        twin.__dict__["_modules"] = {
            name: None if child is None else twin_of(child, made)
            for name, child in module._modules.items()
        }
    return made[id(module)]


def attributes_of(module: nn.Module) -> list[dict[str, int]]:
    """Which objects the attributes are, but for the mode, and for those that are set anew."""
    found = []
    for child in module.modules():
        changing = {"training", "_modules", *resets_of({type(child)})}
        inside = {**child._parameters, **child._buffers, **child._modules}
        facts = {**vars(child), **{f"{name}: registered": item for name, item in inside.items()}}
        found.append({name: id(value) for name, value in facts.items() if name not in changing})
    return found


def loads_what_it_saves(module: nn.Module) -> bool:
    """Whether loading the weights that a module has changes nothing of it, tried out on a copy."""
    twin, clones = twin_of(module), dict[int, Tensor | None]()
    with torch.no_grad():
        for child in twin.modules():
            for kind in ("_parameters", "_buffers"):
                tensors: dict[str, Tensor | None] = vars(child)[kind]
                for name, tensor in tensors.items():
                    if tensor is not None and id(tensor) not in clones:
                        clones[id(tensor)] = _cloned(tensor)
                    tensors[name] = clones.get(id(tensor))
    _draw(tensor for tensor in clones.values() if tensor is not None)
    before, saved = attributes_of(twin), copy.deepcopy(twin.state_dict())
    try:
        twin.load_state_dict(copy.deepcopy(saved))  # An override may change it in place.
    except Exception:
        # The user's method runs here: whatever it raises means that it does something else.
        return False
    after = twin.state_dict()
    same = list(after) == list(saved) and all(_same(saved[name], after[name]) for name in saved)
    return same and attributes_of(twin) == before


@torch.no_grad()
def _draw(tensors: Iterable[Tensor]) -> None:
    """Other weights: of zeros it does not show what is done to them."""
    generator = torch.Generator().manual_seed(0)
    for tensor in tensors:
        if tensor.is_floating_point() and not tensor.is_meta:
            tensor.copy_(torch.rand(tensor.shape, generator=generator))


def _cloned(tensor: Tensor) -> Tensor:
    made = tensor.detach().clone()
    needed = tensor.requires_grad
    return nn.Parameter(made, needed) if isinstance(tensor, nn.Parameter) else made


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        a, b = torch.nan_to_num(a), torch.nan_to_num(b)
        return a.dtype == b.dtype and torch.equal(a, b)
    return type(a) is type(b)
