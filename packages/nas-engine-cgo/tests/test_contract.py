"""The laws that hold for every engine."""

from nas_core.testing import EngineContract


class TestCgoEngine(EngineContract):
    engine_name = "cgo"
