"""Constructor calls of layers, recovered once for all layers that look the same."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from nas_core.model import is_basic_unit
from torch import Tensor, nn

from nas_engine_graph.frontend.layers.hooks import hooks
from nas_engine_graph.frontend.layers.layers import recover
from nas_engine_graph.frontend.layers.parametrizations import has_parametrization
from nas_engine_graph.ir import Layer
from nas_engine_graph.memory.structure import Key, exact

__all__ = ["Layers"]

_MOST = 50_000
_TORCH_OWN = frozenset(vars(nn.Module()))


class Layers:
    """Remembers what ``recover`` has found."""

    def __init__(self) -> None:
        self._known: dict[Key, Layer] = {}

    def recover(self, module: nn.Module) -> Layer:
        """The constructor call of a module that stays whole.

        Raises:
            UnrecoverableError: the call can't be known, or does not make such a module.
        """
        if has_parametrization(module) or (is_basic_unit(module) and any(hooks(module))):
            return recover(module)
        seen: dict[int, int] = {}
        try:
            look = (torch.get_default_dtype(), *_look(module, seen))
        except _ObjectError:
            return recover(module)
        if len(self._known) > _MOST:
            self._known.clear()
        if look not in self._known:
            self._known[look] = recover(module)
        return self._known[look]


def _look(module: nn.Module, seen: dict[int, int]) -> Iterator[Key]:
    """Everything that tells two layers apart but the elements of their tensors."""
    yield type(module)
    for name, value in vars(module).items():
        if name not in _TORCH_OWN and name != "_nas_label":
            yield name, exact(value, _refuse)
    for kind, tensors in (("parameter", module._parameters), ("buffer", module._buffers)):
        for name, tensor in tensors.items():
            yield kind, name, _tensor(tensor, seen), name in module._non_persistent_buffers_set
    for name, child in module._modules.items():
        yield name, child and tuple(_look(child, seen))


def _tensor(tensor: Tensor | None, seen: dict[int, int]) -> Key:
    if tensor is None:
        return None
    number = seen.setdefault(id(tensor), len(seen))
    look = (tensor.shape, tensor.stride(), tensor.dtype, tensor.requires_grad)
    return (type(tensor), *look, number)


class _ObjectError(ValueError):
    """An attribute is an object whose content may change."""


def _refuse(value: object) -> Key:
    raise _ObjectError(value)
