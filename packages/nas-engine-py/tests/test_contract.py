"""The laws that hold for every engine."""

from nas_core.testing import EngineContract


class TestPyEngine(EngineContract):
    engine_name = "py"
