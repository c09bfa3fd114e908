"""Overrides of what saves weights that save what they would be without: those are left out."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

from torch import nn

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.overriding.trials import saves_as_usual as tried
from nas_engine_graph.frontend.source.methods import assigned
from nas_engine_graph.frontend.source.presence import asks_what_there_is
from nas_engine_graph.frontend.source.sources import nodes_of, readable
from nas_engine_graph.frontend.source.variables import variables_of

__all__ = ["saves_as_usual"]

_SAVING = "_save_to_state_dict"


def saves_as_usual(module: nn.Module) -> bool:
    """Whether a module saves what it would without its override, whatever its weights are."""
    cls: Any = type(module)
    if not (written := _overrides(cls)):
        return True
    changing = assigned({cls}) - {*module._parameters, *module._buffers}
    return all(_is_steady(function, changing) for function in written) and tried(module)


@lru_cache(maxsize=4096)
def _overrides(cls: Any) -> tuple[Any, ...]:
    found = (vars(base)[_SAVING] for base in cls.__mro__ if _SAVING in vars(base))
    return tuple(function for function in found if not is_of_torch(function))


def _is_steady(function: Any, changing: frozenset[str]) -> bool:
    """Whether it does the same in each call: what is not seen in a trial does not count."""
    if (tree := readable(function)) is None:
        return False
    for node in nodes_of(tree):
        match node:
            case ast.Attribute(_, _, ast.Store() | ast.Del()) | ast.Global() | ast.Nonlocal():
                return False
            case ast.Attribute(_, name) if name in changing:
                return False
    return asks_what_there_is(tree, variables_of(function, tree).around)
