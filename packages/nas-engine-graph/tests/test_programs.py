"""Law 3 on random programs; NAS_GRAPH_PROGRAMS sets how many."""

import os

import torch
from hypothesis import HealthCheck, given, settings
from programs import load, programs

from nas_engine_graph import convert
from nas_engine_graph.testing import assert_same_behaviour

_COUNT = int(os.environ.get("NAS_GRAPH_PROGRAMS", "25"))


@settings(
    max_examples=_COUNT, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(programs())
def test_random_programs_keep_their_meaning(source: str) -> None:
    module = load(source)()
    twin = convert(module).instantiate()
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    assert_same_behaviour(module, twin, x, x.flip(0))
