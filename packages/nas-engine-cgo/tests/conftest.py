"""What all tests share: one thread, the type of numbers set back, and how many examples."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import nas_engine_cgo.engine
import nas_engine_cgo.job
import pytest
import torch
from hypothesis import settings
from nas_engine_cgo.cost import apart
from nas_engine_cgo.job import _Once
from nas_engine_cgo.train.taped import Tapes
from nas_search.evaluators import SupervisedEvaluator

sys.path.insert(0, str(Path(__file__).parent))  # alone.py and models, which tests share
# pytest --hypothesis-profile=thorough: many more examples, and every combination.
settings.register_profile("thorough", max_examples=2000)


@pytest.fixture(scope="session")
def thorough() -> bool:
    return bool(settings.get_current_profile_name() == "thorough")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)


@pytest.fixture(autouse=True)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where recipes that do not say it train: bits and times are those of CPUs."""
    chosen: str = getattr(request, "param", "cpu")
    defaults = SupervisedEvaluator.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "device", chosen)
    return chosen


@pytest.fixture(autouse=True)
def nothing_known_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What other runs have found out decides nothing here, and nothing is left to them."""
    for module in (nas_engine_cgo.job, nas_engine_cgo.engine):
        monkeypatch.setattr(module, "CACHE", tmp_path / "found out" / "cgo.json")


@pytest.fixture(autouse=True)
def steps_are_soon_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few tests have as many steps as it takes otherwise until one is recorded."""
    for name, steps in {"patience": 1, "worth": 0, "worth_recurrent": 0}.items():
        monkeypatch.setattr(Tapes, name, steps)


@pytest.fixture(autouse=True)
def short_trainings_are_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests have fewer steps than would repay that."""
    for module in (apart, sys.modules["nas_engine_cgo.cost.choose"]):
        monkeypatch.setattr(module, "gains_anyway", lambda members, options: True)


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What only merging raises; it begins anew and ends as it should, and would not be seen."""
    heard: list[str] = []
    note = _Once.note

    def noting(self: _Once, text: str) -> None:
        if "merging is at fault" in text:
            heard.append(text)
        note(self, text)

    monkeypatch.setattr(_Once, "note", noting)
    yield heard
    assert heard == []
