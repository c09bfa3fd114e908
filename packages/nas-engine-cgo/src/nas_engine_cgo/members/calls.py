"""What there is to know of a call while it runs: its name, its other form, what it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_cgo.members.ghosts import tensors_in

__all__ = [
    "autocast_state",
    "hooks_of",
    "keeps_type",
    "name_of",
    "named_tensors",
    "origin_of",
    "out_of_place",
    "parameters_of",
    "storage_of",
    "version_of",
    "with_item",
    "wrapped",
]


_OF_VIEWS = frozenset({slice, int, type(None), type(...)})
"""What is indexed by these is a view."""


@cache
def parameters_of(function: Callable[..., Any] | None) -> tuple[str, ...]:
    """The names of the parameters of a function that is written in Python."""
    code = getattr(function, "__code__", None)
    return () if code is None else tuple(code.co_varnames[: code.co_argcount])


def out_of_place(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The form of a function that leaves its arguments alone."""
    if name == "__setitem__":
        return with_item
    if not getattr(function, "__name__", "").endswith("_") or name.startswith("__"):
        return function
    found: Callable[..., Any] = getattr(torch.Tensor, name, None) or getattr(torch, name)
    return found


def with_item(x: Tensor, index: Any, value: Any) -> Tensor:
    """The tensor with a value at some places.

    >>> with_item(torch.zeros(3), slice(1, None), 2.0)
    tensor([0., 2., 2.])
    """
    made = x.clone()
    places = index if isinstance(index, tuple) else (index,)
    if isinstance(value, (int, float)) and all(type(place) in _OF_VIEWS for place in places):
        made[index].fill_(value)  # Without a tensor that is made of the number.
    else:
        made[index] = value
    return made


def keeps_type(target: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether the form that is not in place gives the target's type."""
    others = [tensor.dtype for tensor in tensors_in((args, kwargs)) if tensor.dtype != torch.bool]
    return target.dtype.is_floating_point and all(dtype == target.dtype for dtype in others)


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function, without the underscore of its in-place form."""
    name = str(getattr(function, "__name__", type(function).__name__))
    if name == "__get__":
        name = str(getattr(getattr(function, "__self__", None), "__name__", name))
    name = name.partition(".")[0]  # an overload of an operator
    if name.endswith("_") and not name.endswith("__"):
        return name[:-1]
    if name.startswith("__i") and name.endswith("__") and name != "__invert__":
        return f"__{name[3:]}"
    return name


def hooks_of(tensor: Tensor) -> tuple[Any, ...]:
    """What is done with the gradient of a tensor as soon as it is there."""
    kinds = (tensor._backward_hooks, getattr(tensor, "_post_accumulate_grad_hooks", None))  # noqa: SLF001  There is no public way.
    return tuple(hook for hooks in kinds for hook in (hooks or {}).values())


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a module by their names."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def origin_of(tensor: Tensor) -> Any:
    """Where the gradient of a tensor goes: a node of autograd's graph, or the tensor; or None."""
    return tensor.grad_fn or (tensor if tensor.requires_grad else None)


def autocast_state() -> tuple[bool, ...]:
    """For which devices types are chosen by torch."""
    return tuple(torch.is_autocast_enabled(device) for device in ("cpu", "cuda"))


def version_of(tensor: Tensor) -> int:
    """How often the storage was written."""
    return int(tensor._version)  # noqa: SLF001  There is no public way.


def storage_of(tensor: Tensor) -> int:
    """What is equal for views of one tensor."""
    # There is no address on this device.
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001


class wrapped:  # noqa: N801  A context manager.
    """Lets a call of the module go through ``around(original, ...)``."""

    def __init__(self, module: nn.Module, around: Callable[..., Any]) -> None:
        self._module, self._around = module, around

    def __enter__(self) -> None:
        self._module.__dict__["forward"] = partial(self._around, self._module.forward)

    def __exit__(self, *_: object) -> None:
        del self._module.__dict__["forward"]
