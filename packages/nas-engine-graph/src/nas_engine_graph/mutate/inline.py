"""The graphs of a model space without mutators: each made by the constructor, and converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from nas_core import Space, recipe
from nas_core.expression import Expression, expressions_in
from nas_core.structure import map_values

from nas_engine_graph.ir import Graph
from nas_engine_graph.known import Known
from nas_engine_graph.memory import Memory

__all__ = ["InlineGraphs", "with_known_values"]

_TORCH_OWN = frozenset(vars(torch.nn.Module()))
_CONTAINERS = (list, tuple, dict)


class InlineGraphs:
    """The graphs of the architectures of one model; what TorchScript has read is remembered.

    Raises:
        UnsupportedSpaceError: the model can't be made again.
    """

    def __init__(self, base_model: torch.nn.Module) -> None:
        self.recipe = recipe(base_model)
        self.space = Space.of(base_model)
        self._memory = Memory()

    def of(self, architecture: Mapping[str, Any]) -> Graph:
        """The graph of a valid architecture; what its constructor draws nobody sees.

        Raises:
            UnsupportedModuleError: conversion would change what the model means.
            Exception: whatever the constructor raises.
        """
        with torch.random.fork_rng(devices=[]):
            return self.convert(self.recipe.build(architecture))

    def convert(self, model: torch.nn.Module) -> Graph:
        """The graph of a model that the recipe has built; the values that it calls are named in it.

        Raises:
            UnsupportedModuleError: conversion would change what the model means.
        """
        return self._memory.convert(with_known_values(model))


def with_known_values(model: torch.nn.Module) -> torch.nn.Module:
    """The model itself, with modules in the place of the values that ``forward`` calls.

    In lists, tuples and dicts values stand for themselves.
    """
    known: dict[int, Any] = {}  # What several modules have is one object still.
    for module in list(model.modules()):
        for name, value in list(vars(module).items()):
            if name in _TORCH_OWN:
                continue
            if isinstance(value, Expression):
                delattr(module, name)
                module.add_module(name, Known(value()))
            elif type(value) in _CONTAINERS and any(True for _ in expressions_in(value)):
                setattr(module, name, known.setdefault(id(value), map_values(value, _value)))
    return model


def _value(leaf: Any) -> Any:
    return leaf() if isinstance(leaf, Expression) else leaf
