"""TorchScript in: the only place that imports it."""

from nas_engine_graph.frontend.conversion import convert

__all__ = ["convert"]
