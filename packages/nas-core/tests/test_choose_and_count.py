"""``choose`` in any Python, exact counting, architectures, InputChoice and Repeat, declarations."""

from __future__ import annotations

import enum
import itertools
import json
import pickle
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nas_core.errors import (
    ExhaustedSpaceError,
    InvalidArchitectureError,
    LabelConflictError,
    OpenChoiceError,
    SpaceTooLargeError,
)


@nas.model_wrapper
class Chosen(torch.nn.Module):
    def __init__(self, most: int) -> None:
        super().__init__()
        width, layers = 2, []
        for i in range(nas.choose(list(range(1, most + 1)), label="depth")):
            following = nas.choose([2, 3], label=f"width{i}")
            layers.append(nn.Linear(width, following))
            width = following
        self.layers = nn.Sequential(*layers)
        if nas.choose({"yes": True, "no": False}, label="norm"):
            self.norm = nn.LayerChoice(
                {"batch": nn.BatchNorm1d(width), "layer": nn.LayerNorm(width)}, label="kind"
            )
        self.act = nas.choose({"relu": nn.ReLU, "tanh": nn.Tanh}, label="act")()


def test_choose_in_loops_conditions_and_dicts() -> None:
    model = Chosen(2)
    space = nas.Space.of(model)
    every = list(space.enumerate())
    assert space.size() == len(every) == len(set(every)) == (2 + 4) * (2 + 1) * 2
    for arch in every:
        assert space.validate(arch) == arch
        made = nas.build(model, arch)
        assert [x.out_features for x in made.layers] == [
            arch[f"width{i}"] for i in range(arch["depth"])
        ]
        assert hasattr(made, "norm") == (arch["norm"] == "yes") == ("kind" in arch)
        if "kind" in arch:
            kinds = {"batch": torch.nn.BatchNorm1d, "layer": torch.nn.LayerNorm}
            assert type(made.norm) is kinds[arch["kind"]]
        assert type(made.act) is {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[arch["act"]]
    assert set(space.conditions["width1"][0]) == {"depth"}


def test_an_unchosen_layer_of_choose_draws_nothing() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nas.choose({"x": nn.Linear(2, 3), "y": nn.Linear(2, 2)}, label="a")

    model = Net()
    torch.manual_seed(0)
    made = nas.build(model, {"a": "y"})
    state = torch.get_rng_state()
    torch.manual_seed(0)
    assert torch.equal(made.a.weight, torch.nn.Linear(2, 2).weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_choose_is_answered_alike_under_one_label() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self, second: list[int]) -> None:
            super().__init__()
            self.pair = nas.choose([1, 2], label="x"), nas.choose(second, label="x")

    assert nas.build(Net([1, 2]), {"x": 2}).pair == (2, 2)
    with pytest.raises(LabelConflictError, match="'x' is used for two different choices"):
        Net([1, 3])


def test_choose_where_no_model_is_built() -> None:
    with pytest.raises(OpenChoiceError, match=r"runs while no model is being built: call it in"):
        nas.choose([1, 2], label="x")

    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            nas.choose([1, nn.ValueChoice([1, 2], label="y")], label="x")

    with pytest.raises(OpenChoiceError, match="use choose for both"):
        Net()


def test_a_constructor_that_decides_otherwise_the_second_time_is_refused() -> None:
    turns = itertools.count()

    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            nas.choose([1, 2], label=f"x{next(turns)}")

    with pytest.raises(RuntimeError, match="makes other decisions when it runs again"):
        list(nas.Space.of(Net()).enumerate())


def test_one_that_asks_for_less_the_second_time_is_refused() -> None:
    turns = itertools.count()

    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if next(turns):
                raise ValueError("not now")
            nas.choose([1, 2], label="x")

    with pytest.raises(RuntimeError, match=r"makes other decisions .* it did not ask for"):
        list(nas.Space.of(Net()).enumerate())


@nas.model_wrapper
class Heads(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        dim, heads = nas.choose([4, 6], label="dim"), nas.choose([2, 3, 4], label="heads")
        if dim % heads:
            raise ValueError(f"{dim} is no multiple of {heads}")
        self.layer = nn.Linear(dim, nn.ValueChoice([1, 2], label="width"))


def test_an_architecture_whose_constructor_raises_fails_when_it_is_built() -> None:
    space = nas.Space.of(Heads())
    found = list(space.enumerate())
    good = [a for a in found if "width" in a]
    assert {(a["dim"], a["heads"]) for a in good} == {(4, 2), (4, 4), (6, 2), (6, 3)}
    assert len(good) == 4 * 2
    assert [dict(a) for a in found if a not in good] == [
        {"dim": 4, "heads": 3},
        {"dim": 6, "heads": 4},
    ]
    assert space.size() == len(found)
    assert {space.sample(seed=i) for i in range(300)} == set(found)
    bad = space.validate({"dim": 6, "heads": 4})
    with pytest.raises(ValueError, match="6 is no multiple of 4"):
        nas.build(Heads(), bad)
    again = nas.build(Heads(), {"dim": 6, "heads": 3, "width": 2})
    assert tuple(again.layer.weight.shape) == (2, 6)


def test_what_a_constructor_may_not_do_is_said_at_once() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if nas.choose([False, True], label="x"):
                nas.choose([1, nn.ValueChoice([1, 2], label="y")], label="z")

    with pytest.raises(OpenChoiceError, match="use choose for both"):
        nas.Space.of(Net()).size()


def test_looking_at_a_choose_space_draws_nothing() -> None:
    model = Chosen(2)
    state = torch.get_rng_state()
    list(nas.Space.of(model).enumerate())
    assert torch.equal(torch.get_rng_state(), state)


# Counting.


def ops(i: int) -> nn.LayerChoice:
    return nn.LayerChoice([nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Identity()], label=f"op{i}")


def test_spaces_too_large_to_enumerate_are_counted() -> None:
    assert nas.Space.of(nn.Sequential(*map(ops, range(12)))).size() == 4**12
    widths = [nn.ValueChoice([8, 16, 24], label=f"w{i}") for i in range(31)]
    chain = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    assert nas.Space.of(chain).size() == 3**31
    total: Any = sum(widths)
    assert nas.Space.of(nn.Linear(total, 1)).size() == 3**31
    assert nas.Space.of(nn.InputChoice(40, None, label="i")).size() == 2**40 - 1
    nested = nn.Repeat(lambda i: nn.Sequential(ops(i), ops(i + 100)), (0, 20), label="d")
    assert nas.Space.of(nested).size() == sum(16**i for i in range(21))


def test_ties_across_branches() -> None:
    def k() -> nn.ValueChoice:
        return nn.ValueChoice([1, 3, 5], label="k")

    space = nas.Space.of(
        nn.Sequential(
            nn.LayerChoice({"a": nn.Linear(k(), 1), "b": nn.Linear(1, 1)}, label="x"),
            nn.LayerChoice({"a": nn.Linear(k(), 1), "b": nn.Linear(1, 1)}, label="y"),
        )
    )
    assert space.size() == 3 * 3 + 1 == len(set(space.enumerate()))


def test_counting_stops_at_its_limit() -> None:
    space = nas.Space.of(nn.Sequential(*map(ops, range(12)))).constrain(lambda arch: True)
    with pytest.raises(SpaceTooLargeError, match="more than 1,000 steps"):
        space.size(limit=1000)
    assert space.constrain(lambda a: a["op3"] > 1, labels=["op3"]) is not space


def test_a_part_is_counted_apart_with_and_without_a_constraint() -> None:
    def block(i: int) -> torch.nn.Module:
        if i == 0:
            return nn.LayerChoice([nn.Linear(2, 2), nn.ReLU()], label="first")
        return nn.Linear(2, nn.ValueChoice([1, 2], label="width"))

    space = nas.Space.of(nn.Repeat(block, (1, 2), label="depth"))
    wide = space.constrain(lambda arch: arch.get("width") == 2, labels=["width"])
    assert wide.size() == len(list(wide.enumerate())) == 2
    either = space.constrain(lambda arch: arch.get("width", 2) == 2, labels=["width"])
    assert either.size() == len(list(either.enumerate())) == 4


def test_constraints_that_allow_nothing() -> None:
    space = nas.Space.of(ops(0)).constrain(lambda arch: False, name="never")
    assert space.size() == 0
    for ask in (space.default, lambda: space.sample(0), lambda: list(space.enumerate())):
        with pytest.raises(ExhaustedSpaceError, match="never"):
            ask()
    with pytest.raises(InvalidArchitectureError, match="constraint 'never' does not hold"):
        space.validate({"op0": 1})
    with pytest.raises(InvalidArchitectureError, match="did you mean 'op0'"):
        space.constrain(lambda arch: True, labels=["op1"])


# Architectures.

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_architectures_survive_json_pickle_and_order(values: dict[str, Any]) -> None:
    arch = nas.Architecture(values)
    assert nas.Architecture.from_json(arch.to_json()) == arch == pickle.loads(pickle.dumps(arch))
    turned = nas.Architecture(dict(reversed(values.items())))
    assert (turned, hash(turned), turned.digest) == (arch, hash(arch), arch.digest)
    assert json.loads(arch.to_json()) == values


def test_equality_is_by_type_and_value() -> None:
    values: list[Any] = [2, 2.0, "2", True, 1, None, [2], [2.0], {"2": 2}]
    made = [nas.Architecture({"x": value}) for value in values]
    assert len(set(made)) == len({a.digest for a in made}) == len(values)
    assert nas.Architecture({"x": (1, 2)}) == {"x": [1, 2]}
    with pytest.raises(InvalidArchitectureError):
        nas.Space.of([nn.ValueChoice([1, 2], label="x")]).validate({"x": True})
    with pytest.raises(InvalidArchitectureError):
        nas.Space.of([nn.ValueChoice([1, 2], label="x")]).validate({"x": 2.0})


@pytest.mark.parametrize("made", [dict, nas.Architecture])
def test_a_valid_architecture_has_the_options_themselves(made: type) -> None:
    class Size(enum.IntEnum):
        SMALL = 2

    space = nas.Space.of([nn.ValueChoice([Size.SMALL, (1, 2)], label="x")])
    assert type(space.validate(made({"x": 2}))["x"]) is Size
    assert space.validate(made({"x": [1, 2]}))["x"] == (1, 2)
    for refused in (2.0, True, "2"):
        with pytest.raises(InvalidArchitectureError):
            space.validate(made({"x": refused}))
    inputs = nas.Space.of(nn.InputChoice(3, None, label="x"))
    assert inputs.validate(made({"x": [0, 2]}))["x"] == [0, 2]
    assert inputs.validate(made({"x": (0, 2)}))["x"] == [0, 2]
    for wrong in ([2, 0], [], [0, 3], [0, True]):
        with pytest.raises(InvalidArchitectureError):
            inputs.validate(made({"x": wrong}))


def test_a_label_that_an_architecture_lacks_is_named_with_the_nearest() -> None:
    found = nas.Architecture({"width": 3, "body": "conv"})
    with pytest.raises(KeyError) as caught:
        found["widht"]
    message = "no 'widht' in this architecture (width, body); did you mean 'width'?"
    assert str(pickle.loads(pickle.dumps(caught.value))) == message
    with pytest.raises(KeyError, match="'rate' in .*; a choice that is not active has no value"):
        found["rate"]
    assert found.get("rate") is None
    assert found.get("rate", 2) == 2
    assert found.get("width", 2) == 3


def test_architectures_can_not_be_changed() -> None:
    given_list = [0, 1]
    arch = nas.Architecture({"x": given_list})
    given_list.append(2)
    arch["x"].append(3)
    assert arch == {"x": [0, 1]}
    assert arch.to_json() == '{"x": [0, 1]}'
    with pytest.raises(TypeError):
        arch["x"] = 1  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "[1]", "3", '{"a": NaN}', b"\xff"])
def test_what_is_no_architecture_in_json(text: str | bytes) -> None:
    with pytest.raises(InvalidArchitectureError):
        nas.Architecture.from_json(text)


# What InputChoice and Repeat build.

TENSORS = [torch.full((2, 2), float(i)) for i in (1, 10, 100)]


@pytest.mark.parametrize(
    ("reduction", "chosen", "expected"),
    [
        ("sum", [0, 2], torch.full((2, 2), 101.0)),
        ("sum", [1], TENSORS[1]),
        ("mean", [0, 1, 2], torch.full((2, 2), 37.0)),
        ("concat", [1, 2], torch.cat(TENSORS[1:], 1)),
        ("concat", [0], TENSORS[0]),
        ("none", [0, 2], [TENSORS[0], TENSORS[2]]),
        ("none", [1], [TENSORS[1]]),
    ],
)
def test_reductions(reduction: Any, chosen: list[int], expected: Any) -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.choice = nn.InputChoice(3, None, reduction=reduction, label="i")

    made = nas.build(Net(), {"i": chosen}).choice
    found = made(TENSORS)
    assert type(found) is type(expected)
    pairs = zip(found, expected, strict=True) if type(found) is list else [(found, expected)]
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(ValueError, match="InputChoice of 3 candidates was given 2 inputs"):
        made(TENSORS[:2])


@pytest.mark.parametrize("reduction", ["sum", "mean", "concat", "none"])
def test_one_input_is_that_tensor_itself(reduction: Any) -> None:
    choice = nn.InputChoice(3, 1, reduction=reduction, label="i")
    assert choice(TENSORS) is TENSORS[0]


@nas.model_wrapper
class Repeats(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        depth = nn.ValueChoice([0, 1], label="d")
        tied = nn.LayerChoice({"l": nn.Linear(2, 2), "r": nn.ReLU()}, label="t")
        self.tied = nn.Repeat(tied, depth * 2)
        self.fixed = nn.Repeat(nn.Linear(2, 2), 2)
        self.none = nn.Repeat(nn.Linear(2, 2), 0)
        self.deep = nn.Repeat(
            lambda i: nn.LayerChoice(
                {"n": nn.Repeat(lambda j: nn.Linear(2, 2), (0, 1), label=f"n{i}"), "i": nn.Tanh()},
                label=f"deep{i}",
            ),
            (1, 2),
            label="o",
        )


def test_repeats_of_all_kinds() -> None:
    model = Repeats()
    space = nas.Space.of(model)
    assert space.size() == len(list(space.enumerate())) == (1 + 2) * (3 + 9)
    for arch in space.enumerate():
        made = nas.build(model, arch)
        assert {type(x) for x in made.children()} == {torch.nn.Sequential}
        kinds = [type(x) for x in made.tied]
        assert kinds == [torch.nn.ReLU if arch.get("t") == "r" else torch.nn.Linear] * (
            arch["d"] * 2
        )
        assert len(made.fixed) == 2
        assert torch.equal(made.fixed[0].weight, made.fixed[1].weight)
        assert made.fixed[0].weight is not made.fixed[1].weight
        assert len(made.none) == 0
        assert len(made.deep) == arch["o"]
        for i, block in enumerate(made.deep):
            if arch[f"deep{i}"] == "n":
                assert len(block) == arch[f"n{i}"]
            else:
                assert type(block) is torch.nn.Tanh
        x = torch.ones(1, 2)
        assert torch.equal(made.none(x), x)


def test_an_empty_block_keeps_its_place() -> None:
    def block(i: int) -> torch.nn.Module:
        return nn.Sequential() if i == 0 else nn.Linear(nn.ValueChoice([1, 2], label="w"), 1)

    space = nas.Space.of(nn.Repeat(block, (0, 2), label="d"))
    assert [dict(a) for a in space.enumerate()] == [
        {"d": 0}, {"d": 1}, {"d": 2, "w": 1}, {"d": 2, "w": 2},
    ]  # fmt: skip


# Declarations that make no sense say so, where.

WRONG = [
    (lambda: nn.ValueChoice([], label="x"), "a choice needs at least one option"),
    (lambda: nn.LayerChoice([], label="x"), "a choice needs at least one option"),
    (lambda: nn.ValueChoice([1, 2, 1], label="x"), "option 1 is given twice"),
    (lambda: nn.ValueChoice([torch.nn.ReLU]), "has no JSON form .*give the options as a dict"),
    (lambda: nn.ValueChoice([float("nan")], label="x"), "option nan has no JSON form"),
    (lambda: nn.LayerChoice({"b": torch.relu}), "candidate 'b' must be a torch.nn.Module"),
    (lambda: nn.LayerChoice({1: nn.ReLU()}), "names must be strings, not 1"),
    (lambda: nn.Repeat(nn.ReLU(), -1), "an integer of at least 0, not -1"),
    (lambda: nn.Repeat(nn.ReLU(), nn.ValueChoice([1, -1], label="d")), "at least 0, not -1"),
    (lambda: nn.Repeat(nn.ReLU(), (3, 1)), r"0 <= min <= max, not \(3, 1\)"),
    (lambda: nn.Repeat(lambda i: None, 1), "block 0 of a Repeat must be a torch.nn.Module"),
    (lambda: nn.InputChoice(2, 3), "n_chosen is 3: with 2 candidates it must be 1 to 2, or None"),
    (lambda: nn.InputChoice(0), "at least one candidate is needed, not 0"),
    (lambda: nn.InputChoice(2.0), "n_candidates must be an integer, not 2.0"),
    (lambda: nn.InputChoice(2, reduction="max"), "'sum', 'mean', 'concat' or 'none', not 'max'"),
    (lambda: nn.ValueChoice([1], label=3), "a label is a non-empty string, not 3"),
    (lambda: nn.ValueChoice([1], label=""), "a label is a non-empty string, not ''"),
]  # fmt: skip


@pytest.mark.parametrize(("declare", "message"), WRONG)
def test_wrong_declarations_say_what_and_where(declare: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as wrong:
        declare()
    assert isinstance(wrong.value, nas.NasError)
    assert f"test_choose_and_count.py:{declare.__code__.co_firstlineno}" in str(wrong.value)


def test_the_space_of_a_class() -> None:
    with pytest.raises(TypeError, match=r"not the class Chosen: call it, Chosen\(\.\.\.\)"):
        nas.Space.of(Chosen)


def test_of_too_many_ways_what_is_known_is_said() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for i in range(12):
                nas.choose([False, True], label=f"layer{i}")

    declared = nn.LayerChoice(
        {"a": nn.Linear(1, nn.ValueChoice([1, 2], label="width")), "b": nn.Identity()}, label="body"
    )
    space = nas.Space.of(Net(), declared)
    assert not space.complete
    assert space.conditions == {"layer0": (), "body": (), "width": ({"body": ("a",)},)}
    lines = str(space).splitlines()
    assert "  layer0   False | True" in lines
    assert "  layer5   False | True  ?" in lines
    assert "  width    1 | 2         if body = a" in lines
    architecture = {**space.default(), "body": "b"}
    with pytest.raises(InvalidArchitectureError, match="inactive here: it needs body = a"):
        space.validate(architecture)
