"""The engine keeps the contract of all engines, and does what it adds."""

import nas_core as nas
from nas_core.testing import REFERENCES, EngineContract


class TestStencilEngine(EngineContract):
    engine_name = "stencil"


def test_a_model_knows_its_architecture() -> None:
    model = REFERENCES[0].model()
    architecture = nas.Space.of(model).sample(seed=0)
    built = nas.engine("stencil").build(model, architecture)
    assert built.nas_architecture == dict(architecture)
