"""Law 3 on random programs; NAS_GRAPH_PROGRAMS sets how many."""

import os
import warnings

import torch
from hypothesis import HealthCheck, assume, given, settings
from programs import load, programs
from torch.jit.frontend import FrontendError

from nas_engine_graph import UnsupportedModuleError
from nas_engine_graph.testing import assert_round_trip

_COUNT = int(os.environ.get("NAS_GRAPH_PROGRAMS", "25"))


@settings(
    max_examples=_COUNT, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(programs())
def test_random_programs_keep_their_meaning_and_their_graph(source: str) -> None:
    cls = load(source)
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    try:
        assert_round_trip(cls, x, x.flip(0))
    except UnsupportedModuleError:
        assume(_is_scriptable(cls))  # Such as a variable that is None, and something else later.
        raise


def _is_scriptable(cls: type[torch.nn.Module]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is deprecated.
        try:
            torch.jit.script(cls())
        except (RuntimeError, FrontendError):
            return False
    return True
