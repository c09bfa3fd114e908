"""What a build expects to be unused decides how often the constructor runs, never what it makes."""

from __future__ import annotations

import dataclasses
import pickle
from functools import partial
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core.model import Recipe, recipe
from nas_core.model.scan import reader_of
from nas_core.space import Evaluation
from nas_core.testing.references import REFERENCES, Reference

plain = torch.nn


class Expects:
    """Expects each creation to be unused for which this is true."""

    def __init__(self, guess: Any) -> None:
        self.guess = guess

    def unused(self, values: Any) -> Any:
        return self

    def __contains__(self, key: tuple[int, ...]) -> bool:
        return bool(self.guess(key))


WRONG = {
    "nothing": lambda key: False,
    "everything": lambda key: True,
    "even": lambda key: sum(key) % 2 == 0,
    "odd": lambda key: sum(key) % 2,
}


def weights_and_state(make: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    torch.manual_seed(3)
    return make().state_dict(), torch.get_rng_state()


def assert_equal(build: Any, by_hand: Any) -> None:
    (ours, state), (theirs, expected) = weights_and_state(build), weights_and_state(by_hand)
    assert list(ours) == list(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours.values(), theirs.values(), strict=True))
    assert torch.equal(state, expected)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One item for each run of a constructor that builds."""
    found: list[None] = []
    construct = Recipe._construct

    def counted(self: Recipe, session: Any) -> Any:
        found.append(None)
        return construct(self, session)

    monkeypatch.setattr(Recipe, "_construct", counted)
    return found


@pytest.mark.parametrize("guess", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.name)
def test_a_wrong_expectation_changes_nothing(reference: Reference, guess: Any) -> None:
    model = reference.model()
    for seed in range(3):
        arch = nas.Space.of(model).sample(seed)
        wrong: Any = dataclasses.replace(recipe(model), uses=Expects(guess))
        assert_equal(partial(wrong.build, arch), partial(reference.by_hand, arch))


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.name)
def test_the_constructor_runs_once(reference: Reference, runs: list[None]) -> None:
    model = reference.model()
    made = pickle.loads(pickle.dumps(recipe(model)))
    for seed in range(4):
        made.build(nas.Space.of(model).sample(seed))
    assert len(runs) == 4


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.name)
def test_what_reads_an_architecture_says_what_space_and_uses_say(reference: Reference) -> None:
    model = reference.model()
    if recipe(model).labels is None:
        return
    space, uses = nas.Space.of(model), recipe(model).uses
    reader = reader_of(model, uses)
    if reader is None:
        assert any(isinstance(item, Evaluation) for item in every_item(space.items))
        return
    seen: dict[str, Any] = {}
    for seed in range(12):
        values = dict(space.sample(seed))
        assert reader.unused(values) == uses.unused(values)
        for label in values:
            for other in (seen.get(label), True, 1, 1.0, -0.0, "1", None, [0], (0,), object()):
                changed = {**values, label: other}
                read = reader.unused(changed)
                if read is not None:
                    assert space.validate(changed) == changed
                    assert read == uses.unused(changed)
            assert reader.unused({x: v for x, v in values.items() if x != label}) is None
        assert reader.unused({**values, "more": 1}) is None
        seen |= values


def every_item(items: Any) -> Any:
    for item in items:
        yield item
        for branch in getattr(item, "branches", {}).values():
            yield from every_item(branch)
        for block in getattr(item, "blocks", ()):
            yield from every_item(block)


class Block(plain.Module):
    """A candidate with a choice in it."""

    def __init__(self, lib: Any, width: int, act: Any) -> None:
        super().__init__()
        self.up, self.act, self.down = lib.Linear(4, width), act, lib.Linear(width, 4)
        self.chain = lib.Sequential(self.up, act, lib.Sequential(self.down))
        self.rows = lib.ModuleList(lib.Linear(2, i) for i in (1, 2))


@nas.basic_unit
class Unit(plain.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.noise = plain.Parameter(torch.rand(width))


@nas.model_wrapper
class Nested(plain.Module):
    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([2, 3], label="width")
        shared = nn.Linear(4, 4)
        act = nn.LayerChoice({"prelu": nn.PReLU(3), "unit": Unit(width)}, label="act")
        block = nn.LayerChoice({"block": Block(nn, 5, act), "shared": shared}, label="block")
        self.blocks = nn.Repeat(block, (0, 2), label="depth")
        chain = nn.Sequential(shared, nn.Linear(4, 6))
        self.body = nn.LayerChoice([shared, chain, Unit(width)], label="body")
        self.cell = nn.Cell([nn.Linear(4, 4), nn.Linear(4, 4)], num_nodes=2, label="cell")
        self.last = nn.Linear(4, 4)


def test_layers_that_are_shared_copied_or_nested_are_made_if_one_of_their_places_is_used(
    runs: list[None],
) -> None:
    model = Nested()
    made = recipe(model)
    everything: Any = dataclasses.replace(made, uses=Expects(WRONG["nothing"]))
    for seed in range(40):
        arch = nas.Space.of(model).sample(seed)
        before = len(runs)
        ours = weights_and_state(partial(made.build, arch))
        assert len(runs) == before + 1, arch
        theirs = weights_and_state(partial(everything.build, arch))
        assert list(ours[0]) == list(theirs[0])
        assert all(torch.equal(ours[0][name], theirs[0][name]) for name in ours[0])
        assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("chosen", ["a", "b"])
def test_modules_that_choose_drops_draw_nothing(chosen: str) -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nas.choose({"a": nn.Linear(2, 2), "b": nn.Linear(2, 3)}, label="body")
            self.last = nn.Linear(2, 2)

    class Hand(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = plain.Linear(2, {"a": 2, "b": 3}[chosen])
            self.last = plain.Linear(2, 2)

    model = Net()
    assert_equal(lambda: nas.build(model, {"body": chosen}), Hand)


def test_a_layer_that_could_not_be_made_is_no_error_where_it_is_not_used() -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            width = nn.ValueChoice([4, 3], label="width")
            grouped = nn.Conv2d(4, width, 1, groups=2)  # Raises for 3.
            self.body = nn.LayerChoice([grouped, nn.Linear(width, 2)], label="body")
            self.last = nn.Linear(2, 2)

    class Hand(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.last = plain.Linear(3, 2), plain.Linear(2, 2)

    wrong: Any = dataclasses.replace(recipe(Net()), uses=Expects(WRONG["nothing"]))
    assert_equal(lambda: wrong.build({"width": 3, "body": 1}), Hand)


@nas.basic_unit
class Wide(nn.Linear):
    """A unit whose class has a metaclass."""

    def __init__(self, width: int) -> None:
        super().__init__(2, width)


@pytest.mark.parametrize("chosen", [0, 1])
def test_units_that_inherit_from_layers_are_left_empty_too(chosen: int, runs: list[None]) -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.LayerChoice([nn.Linear(2, 3), Wide(4)], label="body")

    class Hand(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = plain.Linear(2, [3, 4][chosen])

    model = Net()
    assert_equal(lambda: nas.build(model, {"body": chosen}), Hand)
    assert len(runs) == 1
