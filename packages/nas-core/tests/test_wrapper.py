"""``model_wrapper`` changes nothing about a class but that its models can be made again."""

from __future__ import annotations

import dataclasses
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core.model import is_basic_unit


@nas.model_wrapper
class Base(torch.nn.Module):
    """What it is for."""

    def __init__(self, classes: int, *more: int, width: Any = 4, **options: Any) -> None:
        super(Base, self).__init__()  # noqa: UP008  The form that is to work, too.
        self.more, self.options = more, options
        self.stem = nn.Linear(2, width)
        self.head = nn.Linear(width, classes)


class Plain(Base):
    """A subclass without a decorator."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.early = 1
        super().__init__(*args, **kwargs)
        self.extra = nn.Linear(nn.ValueChoice([1, 2], label="extra"), 1)


@nas.model_wrapper
class Decorated(Plain):
    """A subclass that is decorated again."""

    def __init__(self) -> None:
        super().__init__(3, 4, 5, width=nn.ValueChoice([6, 7], label="w"), a=1)


class WithoutInit(Decorated):
    """A subclass with the constructor of its parent."""


def test_the_class_looks_as_before() -> None:
    assert (Base.__name__, Base.__qualname__, Base.__module__) == ("Base", "Base", __name__)
    assert Base.__doc__ == "What it is for."
    assert str(inspect.signature(Base)).startswith(
        "(classes: 'int', *more: 'int', width: 'Any' = 4"
    )
    assert isinstance(Base(3), Base)
    assert issubclass(Base, torch.nn.Module)
    assert repr(Base(3)).startswith("Base(\n  (stem): Linear(in_features=2, out_features=4")
    assert type(Base(3)).__mro__[1] is torch.nn.Module


@pytest.mark.parametrize("cls", [Decorated, WithoutInit])
def test_subclasses_are_made_again_as_themselves(cls: type[Decorated]) -> None:
    model = cls()
    assert nas.Space.of(model).options == {"w": (6, 7), "extra": (1, 2)}
    made = nas.build(model, {"w": 7, "extra": 2})
    assert type(made) is cls
    assert (made.more, made.options, made.early) == ((4, 5), {"a": 1}, 1)
    assert (made.stem.out_features, made.extra.in_features) == (7, 2)
    assert "_nas_record" not in made.__dict__


def test_arguments_positional_keyword_and_default() -> None:
    made = nas.build(Plain(3, 9, width=5, b=2), {"extra": 1})
    assert (made.head.out_features, made.more, made.options) == (3, (9,), {"b": 2})
    assert nas.build(Base(2), {}).stem.out_features == 4


def test_a_class_with_its_own_init_subclass() -> None:
    seen: list[tuple[str, str]] = []

    @nas.model_wrapper
    class Registered(torch.nn.Module):
        def __init_subclass__(cls, tag: str = "none", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            seen.append((cls.__name__, tag))

    class Sub(Registered, tag="x"):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, nn.ValueChoice([1, 2], label="w"))

    assert seen == [("Sub", "x")]
    assert nas.build(Sub(), {"w": 2}).layer.out_features == 2


def test_wrapped_in_wrapped() -> None:
    @nas.model_wrapper
    class Inner(torch.nn.Module):
        def __init__(self, width: Any) -> None:
            super().__init__()
            self.layer = nn.Linear(width, nn.ValueChoice([2, 3]))

    @nas.model_wrapper
    class Outer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = Inner(nn.ValueChoice([4, 5]))
            self.second = nn.LayerChoice([Inner(1), nn.Identity()])

    model = Outer()
    arch = {"first.layer.in_features": 5, "first.layer.out_features": 3, "second": 1}
    made = nas.build(model, arch)
    assert (made.first.layer.in_features, made.first.layer.out_features) == (5, 3)
    assert type(made.second) is torch.nn.Identity
    assert type(model.second) is nn.LayerChoice


@dataclasses.dataclass(frozen=True)
class Config:
    width: Any
    depth: Any = 1


def test_a_dataclass_of_choices_as_argument() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self, config: Config) -> None:
            super().__init__()
            self.body = nn.Repeat(lambda i: nn.Linear(config.width, config.width), config.depth)

    model = Net(Config(nn.ValueChoice([2, 3], label="w"), nn.ValueChoice([0, 2], label="d")))
    assert nas.Space.of(model).size() == 3
    made = nas.build(model, {"d": 2, "w": 3})
    assert [x.in_features for x in made.body] == [3, 3]
    assert len(nas.build(model, {"d": 0}).body) == 0


def test_module_and_tensor_arguments_share_no_weights() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self, backbone: torch.nn.Module, table: torch.Tensor) -> None:
            super().__init__()
            self.backbone, self.table = backbone, torch.nn.Parameter(table)

    given, table = torch.nn.Linear(2, 2), torch.ones(2)
    model = Net(given, table)
    made = nas.build(model, {})
    assert torch.equal(made.backbone.weight, given.weight)
    with torch.no_grad():
        made.backbone.weight.zero_()
        made.table.zero_()
    assert given.weight.abs().sum() > 0
    assert table.sum() == 2


@pytest.mark.parametrize("decorator", [nas.model_wrapper, nas.basic_unit])
def test_decorators_refuse_other_things(decorator: Any) -> None:
    with pytest.raises(TypeError, match="torch.nn.Module, not"):
        decorator(dict)
    with pytest.raises(TypeError, match="torch.nn.Module, not"):
        decorator(lambda: None)


@nas.basic_unit
class Unit(torch.nn.Module):
    runs = 0

    def __init__(self, factor: int, *, bias: Any = 0) -> None:
        super().__init__()
        Unit.runs += 1
        self.factor, self.bias = factor, bias
        self.inner = nn.Linear(2, nn.ValueChoice([2, 3]))


class SubUnit(Unit):
    def __init__(self, factor: int) -> None:
        super().__init__(factor, bias=1)
        self.tail = nn.Linear(1, 1)


def test_basic_units_see_values_and_keep_choices_inside() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            factor = nn.ValueChoice([5, 6], label="f")
            self.unit = nn.LayerChoice(
                {"u": Unit(factor, bias=factor + 1), "s": SubUnit(factor)}, "u"
            )
            self.last = nn.Linear(1, nn.ValueChoice([1, 2]))

    model = Net()
    assert type(model.unit.candidates()["u"].factor) is int
    space = nas.Space.of(model)
    assert space.labels == ("u", "f", "unit.u.inner.out_features", "unit.s.inner.out_features",
                            "last.out_features")  # fmt: skip
    Unit.runs = 0
    made = nas.build(
        model, {"u": "u", "f": 6, "unit.u.inner.out_features": 3, "last.out_features": 2}
    )
    assert (made.unit.factor, made.unit.bias, made.unit.inner.out_features) == (6, 7, 3)
    assert made.last.out_features == 2
    for arch in space.enumerate():
        found = nas.build(model, arch).unit
        assert type(found) is (Unit if arch["u"] == "u" else SubUnit)
        assert found.factor == arch["f"]
        assert is_basic_unit(found)


# Labels that are generated.


@nas.model_wrapper
class Nameless(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(2, nn.ValueChoice([2, 3]))
        self.body = nn.Repeat(
            lambda i: nn.LayerChoice([nn.Linear(2, nn.ValueChoice([2, 4])), nn.Identity()]), (0, 2)
        )
        self.tied = nn.Repeat(nn.Linear(2, nn.ValueChoice([2, 5])), 2)
        self.skip = nn.InputChoice(3, 2)
        self.given = nn.ValueChoice([1, 2], label="skip")
        self.scale = nn.ValueChoice([1, 2, 3])


def test_labels_are_positions_and_avoid_those_given() -> None:
    space = nas.Space.of(Nameless())
    assert space.labels == (
        "skip", "scale", "stem.out_features", "body", "body.0", "body.0.0.out_features", "body.1",
        "body.1.0.out_features", "tied.0.out_features", "skip_2",
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_generated_labels_mean_the_same_when_depths_vary(seed: int) -> None:
    model = Nameless()
    arch = nas.Space.of(model).sample(seed)
    made = nas.build(model, arch)
    assert made.stem.out_features == arch["stem.out_features"]
    assert len(made.body) == arch["body"]
    for i, block in enumerate(made.body):
        assert isinstance(block, torch.nn.Identity) == (arch[f"body.{i}"] == 1)
        if arch[f"body.{i}"] == 0:
            assert block.out_features == arch[f"body.{i}.0.out_features"]
    assert [x.out_features for x in made.tied] == [arch["tied.0.out_features"]] * 2
    assert made.skip.indices == arch["skip_2"]
    assert (made.given(), made.scale()) == (arch["skip"], arch["scale"])


SCRIPT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("subject", {path!r})
subject = importlib.util.module_from_spec(spec)
sys.modules["subject"] = subject
spec.loader.exec_module(subject)
import nas_core as nas
for cls in (subject.Nameless, subject.Decorated):
    space = nas.Space.of(cls())
    print(space.digest, space.labels, [space.sample(i).digest for i in range(5)])
"""


def test_labels_and_digests_are_equal_in_every_process() -> None:
    script = SCRIPT.format(path=str(Path(__file__).resolve()))
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]  # fmt: skip
    assert outputs[0] == outputs[1]
    assert nas.Space.of(Nameless()).digest in outputs[0]


def test_a_label_for_two_things_names_both_places() -> None:
    with pytest.raises(nas.NasError) as conflict:
        nas.Space.of(
            torch.nn.Sequential(
                nn.Linear(1, nn.ValueChoice([1, 2], label="w")),
                nn.LayerChoice([nn.ReLU(), nn.Tanh()], label="w"),
            )
        )
    first = inspect.currentframe().f_lineno - 4  # type: ignore[union-attr]
    assert f"{Path(__file__).name}:{first}" in str(conflict.value)
    assert f"{Path(__file__).name}:{first + 1}" in str(conflict.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda width: torch.nn.Linear(4, width),
        lambda width: torch.nn.LSTM(4, width * 2),
        lambda width: torch.nn.Parameter(torch.zeros(width)),
    ],
)
def test_where_a_choice_is_not_taken_it_is_said_what_takes_it(make: Any) -> None:
    @nas.model_wrapper
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = make(nn.ValueChoice([2, 3], label="width"))

    with pytest.raises(TypeError) as raised:
        Net()
    assert "layers of nas_core.nn take choices" in raised.value.__notes__[0]


def test_another_type_error_is_left_alone() -> None:
    @nas.model_wrapper
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Linear(4)  # type: ignore[call-arg]

    with pytest.raises(TypeError) as raised:
        Net()
    assert not hasattr(raised.value, "__notes__")
