"""Conversion that remembers gives what conversion gives, for whole spaces."""

from __future__ import annotations

import itertools
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import lookers
import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core.model import recipe
from nas_core.testing import REFERENCES, Reference
from test_cells import Activated, Darts, NasBench101, NasBench201
from test_engine import Net

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.backend import source_of
from nas_engine_graph.memory import Memory
from nas_engine_graph.mutate.inline import with_known_values

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "digits"))
ARCHITECTURES = 50


def models(base: torch.nn.Module) -> Any:
    """Candidates spread over the space of a model, and their architectures."""
    space, made = nas.Space.of(base), recipe(base)
    seen = dict.fromkeys(space.sample(seed=i) for i in range(4 * ARCHITECTURES))
    for architecture in itertools.islice(seen, ARCHITECTURES):
        torch.manual_seed(0)
        yield architecture, with_known_values(made.build(architecture))


def assert_same_as_conversion(base: torch.nn.Module) -> Memory:
    memory = Memory()
    for architecture, model in models(base):
        try:
            expected = convert(model)
        except UnsupportedModuleError as error:
            with pytest.raises(UnsupportedModuleError, match=re.escape(str(error))):
                memory.convert(model)
            continue
        found = memory.convert(model)
        assert found == expected, architecture
        assert str(found) == str(expected), architecture
        assert source_of(found) == source_of(expected), architecture
        again = memory.compiled
        assert memory.convert(model) == expected
        assert memory.compiled == again, f"{architecture} was not remembered"
    return memory


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.name)
def test_references(reference: Reference) -> None:
    assert_same_as_conversion(reference.model())


@pytest.mark.parametrize("kind", [NasBench201, NasBench101, Darts, Activated, Net])
def test_cells(kind: type[torch.nn.Module]) -> None:
    memory = assert_same_as_conversion(kind())
    assert memory.compiled < ARCHITECTURES


@nas.model_wrapper
class Recurrent(nn.Module):
    """Layers whose forward has overloads, each with a state that is left out or not."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([2, 3, 4], label="width")
        self.first = nn.LayerChoice(
            {"lstm": nn.LSTM(5, width, batch_first=True), "gru": nn.GRU(5, width, 2)}, label="kind"
        )
        self.second = nn.LSTM(width, width)
        self.head = nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made, _ = self.first(x)
        again, state = self.second(made)
        last, _ = self.second(again, state)
        return self.head(last)


def test_layers_with_overloads() -> None:
    assert_same_as_conversion(Recurrent())


def test_digits() -> None:
    from space import Net as Digits

    memory = assert_same_as_conversion(Digits())
    assert memory.compiled < 10


def outcome(convert_it: Any, module: torch.nn.Module) -> str:
    try:
        return str(convert_it(module))
    except UnsupportedModuleError:
        # A second reading of what is refused may be of a piece: what counts is that it is refused.
        return "refused"


def made(looker: type[torch.nn.Module], make: Any) -> torch.nn.Module | None:
    """A looker with what it looks at; None if that has no such attribute to begin with."""
    torch.manual_seed(0)
    try:
        return looker(*make())
    except AttributeError:
        return None


@pytest.mark.parametrize("looker", lookers.LOOKERS)
def test_whatever_a_method_learns_of_others_counts(looker: type[torch.nn.Module]) -> None:
    """All variants one after the other, in both orders, by one memory."""
    makes = [make for make in lookers.VARIANTS if made(looker, make) is not None]
    expected = {make: outcome(convert, made(looker, make)) for make in makes}
    for variants in (makes, makes[::-1]):
        memory = Memory()
        for make in (*variants, *variants):
            assert outcome(memory.convert, made(looker, make)) == expected[make]


def test_the_value_of_a_global_variable_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, module = Memory(), lookers.Global(lookers.Op())
    for value in (2, 3, 2.5):
        monkeypatch.setattr(lookers, "SCALE", value)
        assert str(memory.convert(module)) == str(convert(module))
    assert str(value) in str(memory.convert(module))


def test_an_attribute_that_another_module_sets_is_no_constant() -> None:
    memory, seen = Memory(), lookers.Counted(lookers.Op())
    for module in (seen, torch.nn.Sequential(seen, lookers.Sets()), seen):
        assert str(memory.convert(module)) == str(convert(module))


def test_two_functions_of_one_name_are_told_apart() -> None:
    memory = Memory()
    first, second = first_scope(), second_scope()
    for module in (first, second, torch.nn.Sequential(first, second), second):
        assert str(memory.convert(module)) == str(convert(module))


def first_scope() -> torch.nn.Module:
    def act(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    class Acts(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return act(x)

    return Acts()


def second_scope() -> torch.nn.Module:
    def act(x: torch.Tensor) -> torch.Tensor:
        return x * 3

    class Acts(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return act(x)

    return Acts()


def result(x: torch.Tensor) -> torch.Tensor:
    """It has the name of a variable in `Named`."""
    return x.relu()


class Named(torch.nn.Module):
    """A method that other models have, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result = self.layer(x)
        return result * result


class Calls(torch.nn.Module):
    """It calls a function."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return result(x)


def test_the_text_of_a_method_depends_on_the_names_around_it() -> None:
    memory, nets = Memory(), [[Named()], [Calls(), Named()], [Named(), Calls()], [Named()]]
    texts = []
    for net in nets:
        model = torch.nn.Sequential(*net)
        texts.append(source_of(memory.convert(model)).text)
        assert texts[-1] == source_of(convert(model)).text
    assert "result = self.layer(x)" in texts[0] == texts[3]
    assert "result_1 = self.layer(x)" in texts[1]


def test_what_is_in_a_layer_is_read_from_the_layer_at_hand() -> None:
    memory = Memory()
    layers = [
        torch.nn.Conv2d(2, 2, 3),
        torch.nn.Conv2d(2, 2, 5),
        torch.nn.Conv2d(2, 2, (3, 1), bias=False),
        torch.nn.Conv2d(2, 2, 3).requires_grad_(False),
        torch.nn.Conv2d(2, 2, 3, dtype=torch.float64),
        torch.nn.Conv2d(2, 2, 3).eval(),
        torch.nn.Dropout(1),
        torch.nn.Dropout(1.0),
    ]
    for layer in layers:
        net = torch.nn.Sequential(torch.nn.Identity(), layer)
        assert str(memory.convert(net)) == str(convert(net))
    assert memory.compiled == 2


def test_hooks_are_refused_however_often_the_model_was_seen() -> None:
    memory, net = Memory(), torch.nn.Sequential(torch.nn.Linear(2, 2))
    memory.convert(net)
    net[0].register_forward_hook(lambda *_: None)
    with pytest.raises(UnsupportedModuleError, match="hook"):
        memory.convert(net)


class Dynamic(lookers.Holder):
    def __getattr__(self, name: str) -> Any:
        return 3 if name == "made_up" else super().__getattr__(name)


def test_what_can_not_be_read_is_compiled_each_time() -> None:
    memory = Memory()
    memory.convert(lookers.Holder(lookers.Op()))
    for size in (1, 2):
        module = Dynamic(lookers.Op(size=size))
        before = memory.compiled
        assert str(memory.convert(module)) == str(convert(module))
        assert memory.compiled > before


class Loops(torch.nn.Module):
    more: list[torch.Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.more = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for found in self.more:
            x = x + found
        return x * 2


class Fills(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Loops()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inner.more.append(x)
        return self.inner(x)  # type: ignore[no-any-return]


def test_a_list_that_another_module_fills_is_gone_through() -> None:
    memory = Memory()
    for module in (Loops(), Fills(), torch.nn.Sequential(Loops()), Fills()):
        assert outcome(memory.convert, module) == outcome(convert, module)
    assert "more" in outcome(convert, Fills()) and "more" not in outcome(convert, Loops())


def scripted_inside(module: torch.nn.Module) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.Sequential(torch.jit.script(module))


def test_modules_that_were_compiled_before_are_not_taken_for_each_other() -> None:
    memory = Memory()
    for module in (lookers.Op(size=1), torch.nn.Linear(2, 2), torch.nn.ReLU()):
        held = scripted_inside(module)
        assert str(memory.convert(held)) == str(convert(held))
