"""The states of the global generators: as they tell them, and set back as they were."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nas_core import generators
from nas_core.generators import random_states

DRAWS = {
    "torch": lambda: torch.rand(3).tolist(),
    "python": random.random,
    "python bits": lambda: random.getrandbits(40),
    "python normal": lambda: random.gauss(0, 1),
    "numpy": np.random.rand,
    "numpy normal": np.random.randn,  # draws two, and gives the other one the next time
    "numpy normals": lambda: np.random.randn(700).tolist(),
}


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Leave the generators as they were."""
    states = random.getstate(), np.random.get_state(), np.random.get_bit_generator()
    yield
    random.setstate(states[0])
    np.random.set_bit_generator(states[2])
    np.random.set_state(states[1])


draws = st.lists(st.sampled_from(sorted(DRAWS)), max_size=6)


@given(seed=st.integers(0, 99), before=draws, between=draws, after=draws)
def test_what_is_set_back_draws_the_same_again(
    seed: int, before: list[str], between: list[str], after: list[str]
) -> None:
    torch.manual_seed(seed), random.seed(seed), np.random.seed(seed)

    def draw(names: list[str]) -> list[Any]:
        return [DRAWS[name]() for name in names]

    draw(before)
    rewind = random_states()
    told = random.getstate(), np.random.get_state(legacy=False)
    first = draw(after)
    draw(between)
    rewind()
    assert random.getstate() == told[0]
    np.testing.assert_equal(np.random.get_state(legacy=False), told[1])
    assert draw(after) == first
    rewind()
    assert draw(after) == first


def test_the_places_are_known_here() -> None:
    """Else each build asks for all numbers, which is as right, and slower."""
    assert generators._place_in_pythons()
    assert generators._place_in_numpys(np.random)


def test_another_bit_generator_is_asked_and_nothing_is_warned() -> None:
    np.random.set_bit_generator(np.random.PCG64(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rewind = random_states()
        first = np.random.randn(3).tolist()
        rewind()
        assert np.random.randn(3).tolist() == first


@pytest.mark.parametrize("place", ["_place_in_pythons", "_place_in_numpys"])
def test_without_a_place_the_generator_is_asked(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generators, place, lambda *_: None)
    rewind = random_states()
    first = random.gauss(0, 1), np.random.randn()
    rewind()
    assert (random.gauss(0, 1), np.random.randn()) == first


class Own(random.Random):
    """Another generator in the place of the module's own."""


def test_a_generator_in_the_place_of_pythons_own_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Own(5)
    for name in ("getstate", "setstate", "random"):
        monkeypatch.setattr(random, name, getattr(own, name))
    rewind = random_states()
    first = random.random()
    rewind()
    assert random.random() == first


def test_generators_that_others_have_taken_the_place_of_keep_their_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was noted is told to those that draw now."""
    rewind = random_states()
    first = random.random(), np.random.rand()
    own = random.Random(5)
    for name in ("getstate", "setstate", "random"):
        monkeypatch.setattr(random, name, getattr(own, name))
    np.random.set_bit_generator(np.random.MT19937(3))
    rewind()
    assert (random.random(), np.random.rand()) == first
