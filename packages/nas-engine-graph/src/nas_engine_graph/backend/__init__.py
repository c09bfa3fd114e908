"""Source out: deterministic, readable, importable on its own."""

from nas_engine_graph.backend.source import instantiate, load, to_source

__all__ = ["instantiate", "load", "to_source"]
