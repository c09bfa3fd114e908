"""Tests that every engine inherits, and what they are made of; needs pytest.

A complete test file of an engine::

    from nas_core.testing import EngineContract

    class TestMyEngine(EngineContract):
        engine_name = "mine"
"""

from nas_core.testing.contract import EngineContract
from nas_core.testing.evaluators import CountParameters, Fit, Misbehaving, Recording
from nas_core.testing.references import REFERENCES, Reference

__all__ = [
    "REFERENCES",
    "CountParameters",
    "EngineContract",
    "Fit",
    "Misbehaving",
    "Recording",
    "Reference",
]
