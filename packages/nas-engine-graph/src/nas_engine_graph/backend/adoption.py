"""A model put together: classes of generated source, layers and tensors of another model.

The model that a graph was read from has all that the generated constructor would make once more,
and nobody needs it any longer.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nas_engine_graph.backend.source import Source
from nas_engine_graph.importable import resolve

__all__ = ["adopted"]

_CONTAINERS: dict[str, type[nn.Module]] = {
    f"torch.nn.{cls.__name__}": cls for cls in (nn.Sequential, nn.ModuleList, nn.ModuleDict)
}


def adopted(source: Source, model: nn.Module) -> nn.Module | None:
    """The model of the source, with the layers, parameters and buffers of another one.

    Args:
        source: made of the graph of ``model``.
        model: what it consists of is part of the result, so that it is not to be used any more.

    Returns:
        None if the source makes something else of the model than classes and its parts.
    """
    modules = dict(model.named_modules())
    fits = (
        path in modules and (not _is_layer(kind) or _is_of(modules[path], resolve(kind)))
        for path, kind in source.modules
    )
    if not source.modules or not all(fits):
        return None
    classes = _CONTAINERS | source.classes()
    made: dict[int, nn.Module] = {}
    for path, kind in reversed(source.modules):  # Children before those who hold them.
        module = modules[path]
        if not _is_layer(kind):
            made[id(module)] = _twin(module, classes[kind], made)
    return made[id(model)]


def _is_layer(kind: str) -> bool:
    return "." in kind and kind not in _CONTAINERS


def _is_of(layer: nn.Module, cls: type[nn.Module]) -> bool:
    own, base, *_ = type(layer).__mro__
    return cls is (base if "parametrizations" in layer._modules else own)


def _twin(module: nn.Module, cls: type[nn.Module], made: Mapping[int, nn.Module]) -> nn.Module:
    twin: nn.Module = object.__new__(cls)
    nn.Module.__init__(twin)
    twin.training = module.training
    twin._parameters.update(module._parameters)
    twin._buffers.update(module._buffers)
    twin._non_persistent_buffers_set.update(module._non_persistent_buffers_set)
    for name, child in module._modules.items():
        twin._modules[name] = made.get(id(child), child)
    return twin
