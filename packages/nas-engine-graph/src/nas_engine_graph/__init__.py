"""The graph engine: a PyTorch module in, a graph of it to look at and edit, PyTorch source out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas_engine_graph.errors import (
    InvalidGraphError,
    InvalidInputsError,
    UnsupportedModuleError,
)

if TYPE_CHECKING:
    from nas_engine_graph.frontend import convert
    from nas_engine_graph.ir import Graph

__version__ = "0.1.0"
__all__ = ["Graph", "InvalidGraphError", "InvalidInputsError", "UnsupportedModuleError", "convert"]


def __getattr__(name: str) -> Any:
    # Torch is imported when it is needed: listing engines must stay fast.
    if name == "convert":
        from nas_engine_graph.frontend import convert

        return convert
    if name == "Graph":
        from nas_engine_graph.ir import Graph

        return Graph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
