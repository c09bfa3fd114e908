"""Source out: deterministic, readable, importable on its own."""

from nas_engine_graph.backend.adoption import adopted
from nas_engine_graph.backend.source import Source, instantiate, load, source_of, to_source

__all__ = ["Source", "adopted", "instantiate", "load", "source_of", "to_source"]
