"""Source out: deterministic, readable, importable on its own."""

from nas_engine_graph.backend.source import Source, instantiate, load, source_of, to_source
from nas_engine_graph.backend.weights import take_over

__all__ = ["Source", "instantiate", "load", "source_of", "take_over", "to_source"]
