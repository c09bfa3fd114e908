"""Copies of modules: without storage, for a forward to run without computing anything, or whole."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from nas_engine_cgo.members.program import Source

__all__ = [
    "duplicate",
    "ghost_module",
    "ghostly",
    "sources_of",
    "tensors_in",
]

_ATOMS = frozenset({bool, int, float, str, type(None)})
_TORCH_OWN = frozenset(vars(nn.Module()))
_COPYING = (
    "__new__",
    "__deepcopy__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
)

_PLAIN_COPYING = {name: [getattr(nn.Module, name, None)] for name in _COPYING}
"""How attributes are copied one by one: convolutions only mend what old files lack."""
_PLAIN_COPYING["__setstate__"].append(nn.Conv2d.__setstate__)


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
    return _copied(module, dict(ghosts))


def duplicate(module: nn.Module) -> nn.Module:
    """What ``copy.deepcopy`` makes of a module without gradients, in a fraction of the time.

    >>> made = duplicate(module := nn.Linear(2, 1))
    >>> torch.equal(made.weight, module.weight), made.weight is module.weight
    (True, False)
    """
    tensors = [*module.parameters(), *module.buffers()]
    if len(set(map(_storage, tensors))) < len(tensors):
        return copy.deepcopy(module)  # Some are views of others, and stay so.
    return _copied(module, {id(tensor): _cloned(tensor) for tensor in tensors})


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() or id(tensor)


def _cloned(tensor: Tensor) -> Tensor:
    if type(tensor) is nn.Parameter:
        return nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
    return tensor.detach().clone() if type(tensor) is Tensor else copy.deepcopy(tensor)


def _copied(module: nn.Module, known: dict[int, Any]) -> nn.Module:
    """What ``copy.deepcopy`` makes, without asking each attribute how it is copied."""
    if (made := known.get(id(module))) is not None:
        return cast("nn.Module", made)
    kind = type(module)
    if _is_copied_in_its_own_way(kind):
        return copy.deepcopy(module, known)
    known[id(module)] = copied = kind.__new__(kind)
    for name, value in vars(module).items():
        copied.__dict__[name] = _copied_value(name, value, known)
    return copied


def _copied_value(name: str, value: Any, known: dict[int, Any]) -> Any:
    if type(value) in _ATOMS or (type(value) is tuple and _ATOMS.issuperset(map(type, value))):
        return value
    if type(value) is dict and name in ("_parameters", "_buffers"):
        return {key: None if item is None else known[id(item)] for key, item in value.items()}
    if type(value) is dict and name == "_modules":
        return {key: None if item is None else _copied(item, known) for key, item in value.items()}
    if name in _TORCH_OWN and not value:
        return type(value)()  # Most modules have no hooks.
    return copy.deepcopy(value, known)


def _is_copied_in_its_own_way(kind: type[nn.Module]) -> bool:
    own = (getattr(kind, name, None) not in _PLAIN_COPYING[name] for name in _COPYING)
    return any(own) or any("__slots__" in vars(base) for base in kind.__mro__)


def tensors_in(structure: Any) -> list[Tensor]:
    """The tensors in a structure of tuples, lists and dictionaries.

    >>> tensors_in((1, [torch.tensor(2)], {"a": torch.tensor(3)}))
    [tensor(2), tensor(3)]
    """
    found: list[Tensor] = []
    left = [structure]
    while left:
        item = left.pop()
        if type(item) in _ATOMS:
            continue
        if isinstance(item, Tensor):
            found.append(item)
        elif isinstance(item, (tuple, list)):
            left += reversed(item)
        elif isinstance(item, dict):
            left += reversed(item.values())
    return found
