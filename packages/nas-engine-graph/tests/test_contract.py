"""The graph engine keeps the contract of all engines."""

from nas_core.testing import EngineContract


class TestGraphEngine(EngineContract):
    engine_name = "graph"
