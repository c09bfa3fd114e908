"""Conversion that remembers: TorchScript reads each kind of piece once, not each candidate."""

from nas_engine_graph.memory.memory import Memory

__all__ = ["Memory"]
