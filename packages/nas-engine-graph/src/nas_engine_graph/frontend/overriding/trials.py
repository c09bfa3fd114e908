"""Copies of modules on which methods of the user's are tried out."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_graph.frontend.overriding.overrides import resets_of

__all__ = ["Trials", "attributes_of", "saves_as_usual", "twin_of"]

_INSIDE = frozenset({"_parameters", "_buffers", "_modules"})
_MANY = 4093
"""Numbers that are drawn for one tensor: a prime, so that neither rows nor columns are alike."""


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


class Trials:
    """What has been tried out: of modules that are made alike, once."""

    def __init__(self) -> None:
        self._found: dict[Hashable, bool] = {}

    def loads_what_it_saves(self, module: nn.Module) -> bool:
        """Whether loading the weights that a module has changes nothing of it."""
        facts = _facts(module)
        if facts not in self._found:
            self._found[facts] = _loads_what_it_saves(module)
        return self._found[facts]


def _facts(module: nn.Module) -> Hashable:
    """All that a tree of modules is made of, but for the values of its tensors."""
    found, seen = list[Hashable](), dict[int, int]()
    for name, child in module.named_modules(remove_duplicate=False):
        own = [(key, _fact(v)) for key, v in vars(child).items() if key not in _INSIDE]
        tensors = [
            (kind, key, seen.setdefault(id(t), len(seen)), t if t is None else _like(t))
            for kind in ("_parameters", "_buffers")
            for key, t in vars(child)[kind].items()
        ]
        found.append((name, type(child), *own, *tensors))
    return tuple(found)


def _fact(value: Any) -> Hashable:
    """What is known to be equal for equal attributes; for others, which one it is."""
    if value is None or isinstance(value, bool | int | float | str | torch.Size):
        return type(value), value
    if type(value) is tuple:
        return tuple(map(_fact, value))
    is_empty = isinstance(value, list | dict | set) and not value
    return (type(value), ()) if is_empty else id(value)


def _like(tensor: Tensor) -> Hashable:
    strides = tensor.stride() if tensor.layout is torch.strided else None
    return type(tensor), tensor.shape, strides, tensor.dtype, tensor.device, tensor.requires_grad


def _loads_what_it_saves(module: nn.Module) -> bool:
    """Whether loading the weights that a module has changes nothing of it, tried out on a copy."""
    twin, drawn = twin_of(module), dict[int, Tensor]()
    generator = torch.Generator().manual_seed(0)
    for child in twin.modules():
        for kind in ("_parameters", "_buffers"):
            tensors: dict[str, Tensor | None] = vars(child)[kind]
            for name, tensor in tensors.items():
                if tensor is not None:
                    if id(tensor) not in drawn:
                        drawn[id(tensor)] = _drawn(tensor, generator)
                    tensors[name] = drawn[id(tensor)]
    before, saved = attributes_of(twin), copy.deepcopy(twin.state_dict())
    try:
        # No copy: what an override does to it in place is done to the twin.
        twin.load_state_dict(twin.state_dict())
    except Exception:
        # The user's method runs here: whatever it raises means that it does something else.
        return False
    after = twin.state_dict()
    same = list(after) == list(saved) and all(_same(saved[name], after[name]) for name in saved)
    return same and attributes_of(twin) == before


@torch.no_grad()
def _drawn(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """One like it, of other weights: of zeros it does not show what is done to them."""
    if not tensor.is_floating_point() or tensor.is_meta:
        made = tensor.detach().clone()
    else:
        made = torch.empty_like(tensor.detach())
        elements = made.as_strided((made.numel(),), (1,))
        # As many as show that rows or columns change places, and then the same again.
        numbers = torch.rand(_MANY, generator=generator)
        whole = made.numel() // _MANY * _MANY
        elements[:whole].view(-1, _MANY).copy_(numbers)
        elements[whole:].copy_(numbers[: made.numel() - whole])
    needed = tensor.requires_grad
    return nn.Parameter(made, needed) if isinstance(tensor, nn.Parameter) else made


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.dtype != b.dtype:
            return False
        return torch.equal(a, b) or torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    return type(a) is type(b)


def saves_as_usual(module: nn.Module) -> bool:
    """Whether a module saves what it would without its override, tried out on a copy."""
    twin = twin_of(module)
    before = attributes_of(twin)
    usual: Any = nn.Module._save_to_state_dict
    for keeps in (False, True):
        ours: dict[str, Any] = {}
        theirs: dict[str, Any] = {}
        try:
            twin._save_to_state_dict(theirs, "prefix.", keeps)
        except Exception:
            # The user's method runs here: whatever it raises means that it does something else.
            return False
        usual(twin, ours, "prefix.", keeps)
        if list(ours) != list(theirs) or not all(_is_one(ours[n], theirs[n]) for n in ours):
            return False
    return attributes_of(twin) == before


def _is_one(ours: Any, theirs: Any) -> bool:
    """Whether two are one tensor, or two of one memory."""
    if not isinstance(ours, Tensor) or type(ours) is not type(theirs):
        return ours is theirs
    return _kept(ours) == _kept(theirs)


def _kept(tensor: Tensor) -> tuple[Any, ...]:
    place = None if tensor.is_meta else tensor.data_ptr()
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.requires_grad, place
