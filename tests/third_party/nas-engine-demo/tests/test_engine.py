"""The engine keeps the contract, and its models know their architecture."""

import nas_core as nas
from nas_core.testing import REFERENCES, EngineContract


class TestDemoEngine(EngineContract):
    engine_name = "demo"


def test_a_model_knows_its_architecture() -> None:
    model = REFERENCES[0].model()
    architecture = nas.Space.of(model).sample(seed=0)
    assert nas.engine("demo").build(model, architecture).architecture == dict(architecture)
