"""Modules and tensors without storage, on which a forward runs without computing anything."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_cgo.members.program import Source

__all__ = ["attributes", "changed_attribute", "ghost_module", "ghostly", "sources_of", "tensors_in"]


def ghostly(tensor: Tensor) -> Tensor:
    """A tensor of the same shape, order in memory and type without storage.

    >>> ghostly(torch.zeros(2, 3).T).stride()
    (1, 3)
    """
    ghost = torch.empty_strided(
        tuple(tensor.shape), tuple(tensor.stride()), dtype=tensor.dtype, device="meta"
    )
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(ghost, tensor.requires_grad)
    return ghost


def sources_of(module: nn.Module) -> Iterator[tuple[Tensor, Source]]:
    """The tensors that belong to a module: parameters, buffers, and plain attributes."""
    seen: set[int] = set()
    for path, parameter in module.named_parameters():
        seen.add(id(parameter))
        yield parameter, Source("parameter", path, trained=parameter.requires_grad)
    for path, buffer in module.named_buffers():
        if id(buffer) not in seen:
            seen.add(id(buffer))
            yield buffer, Source("buffer", path)
    for child in module.modules():
        for value in vars(child).values():
            if isinstance(value, Tensor) and id(value) not in seen:
                seen.add(id(value))
                yield value, Source("constant", constant=value)


def ghost_module(module: nn.Module, ghosts: Mapping[int, Tensor]) -> nn.Module:
    """A copy of a module that has these tensors, by the identity of those that they stand for."""
    return copy.deepcopy(module, dict(ghosts))


def tensors_in(structure: Any) -> Iterator[Tensor]:
    """The tensors in a structure of tuples, lists and dictionaries."""
    match structure:
        case Tensor():
            yield structure
        case tuple() | list():
            for item in structure:
                yield from tensors_in(item)
        case dict():
            for item in structure.values():
                yield from tensors_in(item)


def attributes(module: nn.Module) -> dict[str, Any]:
    """What a module holds, so that a change can be seen."""
    own = {name: _seen(value) for name, value in vars(module).items()}
    for kind in ("_parameters", "_buffers", "_modules"):
        own |= {f"{kind}.{name}": id(value) for name, value in vars(module)[kind].items()}
    return own


def changed_attribute(module: nn.Module, before: Mapping[str, Any]) -> str | None:
    """The name of something that a module holds otherwise than before; None if nothing is."""
    now = attributes(module)
    for name in {**before, **now}:
        if name not in now or name not in before or now[name] != before[name]:
            return name
    return None


def _seen(value: Any) -> Any:
    match value:
        case bool() | int() | float() | str() | None:
            return (type(value), value)
        case list() | tuple() | set():
            return (id(value), *map(id, value))
        case dict():
            return (id(value), *value, *map(id, value.values()))
        case _:
            return id(value)
