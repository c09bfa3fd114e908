"""Law 3 on every module of the corpus."""

import importlib
import pkgutil

import corpus
import pytest
import torch
from corpus.case import CASES, Case
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from nas_engine_graph.frontend import convert
from nas_engine_graph.testing import assert_round_trip, assert_same_behaviour

for _module in pkgutil.iter_modules(corpus.__path__):
    importlib.import_module(f"corpus.{_module.name}")


# People write what is deprecated, too.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_conversion_changes_nothing(case: Case) -> None:
    assert_round_trip(case.make, *case.inputs, **case.keywords)


@pytest.mark.parametrize(
    "case", CASES if torch.cuda.is_available() else [], ids=lambda case: case.name
)
def test_what_is_moved_to_a_gpu_does_there_what_the_module_does(case: Case) -> None:
    """Also where it fails there, since a tensor that it makes is left on the CPU."""
    if case.name == "layers.Pools":
        pytest.skip("places out of range end the use of CUDA in this process")
    inputs, keywords = tree_map_only(Tensor, _on_gpu, (case.inputs, case.keywords))
    try:
        assert_same_behaviour(_made(case).cuda(), _made(case).cuda(), *inputs, **keywords)
    except (AssertionError, TypeError) as error:
        pytest.skip(f"it can't be moved, or does not do the same again: {error}")
    module = _made(case)
    twin = convert(module).instantiate()
    twin.load_state_dict(module.state_dict())  # What shares memory does so no longer there.
    assert_same_behaviour(module.cuda(), twin.cuda(), *inputs, **keywords)


def _made(case: Case) -> nn.Module:
    torch.manual_seed(0)
    return case.make()


def _on_gpu(tensor: Tensor) -> Tensor:
    return tensor.detach().cuda().requires_grad_(tensor.requires_grad)


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 150
