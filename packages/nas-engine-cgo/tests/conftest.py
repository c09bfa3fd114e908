"""What all tests share: one thread, the type of numbers set back, and how many examples."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nas_engine_cgo.engine
import nas_engine_cgo.job
import nas_engine_cgo.train.taped
import pytest
import torch
from hypothesis import settings
from nas_engine_cgo.tape import Tape
from nas_engine_cgo.train.taped import Tapes

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
def nothing_known_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What other runs have found out decides nothing here, and nothing is left to them."""
    for module in (nas_engine_cgo.job, nas_engine_cgo.engine):
        monkeypatch.setattr(module, "CACHE", tmp_path / "found out" / "cgo.json")


@pytest.fixture(autouse=True)
def steps_are_soon_repeated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few tests have as many steps as it takes otherwise until one is recorded.

    What raises while it is repeated would begin anew, member by member, and end as it should.
    """
    raised: list[Exception] = []
    write = nas_engine_cgo.train.taped.written

    def written(tape: Tape) -> Callable[..., list[torch.Tensor]]:
        run = write(tape)

        def noting(*inputs: torch.Tensor) -> list[torch.Tensor]:
            try:
                return run(*inputs)
            except Exception as error:
                raised.append(error)
                raise

        return noting

    monkeypatch.setattr(nas_engine_cgo.train.taped, "written", written)
    monkeypatch.setattr(Tapes, "patience", 1)
    yield
    assert raised == []
