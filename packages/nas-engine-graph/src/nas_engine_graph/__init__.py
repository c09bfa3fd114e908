"""The graph engine: a PyTorch module in, a graph of it to look at and edit, PyTorch source out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nas_engine_graph.errors import (
    InvalidGraphError,
    InvalidInputsError,
    UnsupportedModuleError,
)

if TYPE_CHECKING:
    from nas_engine_graph.frontend import convert as convert
    from nas_engine_graph.ir import Graph as Graph
    from nas_engine_graph.mutate import Mutator as Mutator
    from nas_engine_graph.mutate import MutatorError as MutatorError
    from nas_engine_graph.mutate import mutated as mutated

__version__ = "0.1.0"

_HOMES = {
    "Graph": "ir",
    "Mutator": "mutate",
    "MutatorError": "mutate",
    "convert": "frontend",
    "mutated": "mutate",
}

__all__ = [  # noqa: PLE0604
    "InvalidGraphError",
    "InvalidInputsError",
    "UnsupportedModuleError",
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    # Torch is imported when it is needed: listing engines must stay fast.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"nas_engine_graph.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
