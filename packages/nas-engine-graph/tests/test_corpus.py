"""Law 3 on every module of the corpus."""

import importlib
import pkgutil

import corpus
import pytest
from corpus.case import CASES, Case

from nas_engine_graph.testing import assert_round_trip

for _module in pkgutil.iter_modules(corpus.__path__):
    importlib.import_module(f"corpus.{_module.name}")


# People write what is deprecated, too.
@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_conversion_changes_nothing(case: Case) -> None:
    assert_round_trip(case.make, *case.inputs, **case.keywords)


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 150
