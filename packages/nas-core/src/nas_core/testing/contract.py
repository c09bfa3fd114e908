"""The contract of an engine: inherit ``EngineContract`` in a pytest file, and name your engine."""

from __future__ import annotations

from nas_core.testing.building import BuildingContract
from nas_core.testing.drawing import DrawingContract
from nas_core.testing.explaining import ExplainingContract
from nas_core.testing.exporting import ExportingContract
from nas_core.testing.running import RunningContract

__all__ = ["EngineContract"]


class EngineContract(
    BuildingContract, RunningContract, ExportingContract, DrawingContract, ExplainingContract
):
    """Everything that must hold for an engine, as pytest tests.

    ``class TestMine(EngineContract): engine_name = "mine"`` is a complete test of an installed
    engine. Where an engine lacks a capability, the tests ask instead that it says so: by
    ``problems`` for a model, by ``UnsupportedFormatError`` for a format. Nothing is skipped.

    Attributes:
        engine_name: the engine's name.
        initial_weights_as_written: whether a built model has, under the same seed, the initial
            weights of the model written by hand. False only for an engine that can't do so.

    An engine that is not installed is given by a fixture of the same name as the one it replaces:
    ``@pytest.fixture def info(self): return EngineInfo(...)``.
    """
