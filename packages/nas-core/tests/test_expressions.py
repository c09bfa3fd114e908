"""Expressions of choices are Python's own arithmetic, late."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import operator
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_core.errors import InvalidArchitectureError, OpenChoiceError

OPTIONS = {"a": [1, 2, 3], "b": [0, 5], "c": [-2, 7, 4]}
NAMES = {
    "min": min, "max": max, "abs": abs, "round": round, "divmod": divmod, "int": int,
    "float": float, "floor": math.floor, "ceil": math.ceil, "trunc": math.trunc,
}  # fmt: skip
BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
    operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift, operator.pow,
]  # fmt: skip
UNARY = [operator.neg, operator.pos, operator.invert, abs, math.floor, math.ceil, math.trunc, round]

Pair = tuple[Any, Callable[[dict[str, Any]], Any]]
"""An expression, and the same in plain Python."""


def _leaf(label: str) -> Pair:
    return nn.ValueChoice(OPTIONS[label], label=label), lambda values: values[label]


def _binary(function: Callable[..., Any], x: Pair, y: Pair) -> Pair:
    return function(x[0], y[0]), lambda values: function(x[1](values), y[1](values))


def _reflected(function: Callable[..., Any], constant: float, x: Pair) -> Pair:
    return function(constant, x[0]), lambda values: function(constant, x[1](values))


def _unary(function: Callable[..., Any], x: Pair) -> Pair:
    return function(x[0]), lambda values: function(x[1](values))


def _call(public: Callable[..., Any], plain: Callable[..., Any], x: Pair, y: Pair) -> Pair:
    return public(x[0], y[0]), lambda values: plain(x[1](values), y[1](values))


def _condition(x: Pair, y: Pair, z: Pair) -> Pair:
    return (
        nn.ValueChoice.condition(x[0], y[0], z[0]),
        lambda values: y[1](values) if x[1](values) else z[1](values),
    )


def _divmod(x: Pair, y: Pair, i: int) -> Pair:
    return divmod(x[0], y[0])[i], lambda values: divmod(x[1](values), y[1](values))[i]


leaves = st.builds(_leaf, st.sampled_from("abc"))
pairs = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(_binary, st.sampled_from(BINARY), inner, inner),
        st.builds(_reflected, st.sampled_from(BINARY), st.integers(-3, 3), inner),
        st.builds(_unary, st.sampled_from(UNARY), inner),
        st.builds(_call, st.just(nn.ValueChoice.min), st.just(min), inner, inner),
        st.builds(_call, st.just(nn.ValueChoice.max), st.just(max), inner, inner),
        st.builds(_condition, inner, inner, inner),
        st.builds(_divmod, inner, inner, st.sampled_from([0, 1])),
    ),
    max_leaves=5,
)
values = st.fixed_dictionaries({label: st.sampled_from(x) for label, x in OPTIONS.items()})


def _outcome(function: Callable[[], Any]) -> Any:
    """The value with its type, or the kind of error."""
    try:
        value = function()
    except (ArithmeticError, ValueError, TypeError) as error:
        return type(error)
    return repr(value), type(value)


def _reasonable(pair: Pair, chosen: dict[str, Any]) -> bool:
    # Towers of powers and shifts take Python itself for ever.
    return str(pair[0]).count("**") + str(pair[0]).count("<<") <= 1


@settings(max_examples=400, deadline=None, derandomize=True)
@given(pairs.filter(lambda pair: _reasonable(pair, {})), values)
def test_expressions_mean_what_python_means(pair: Pair, chosen: dict[str, Any]) -> None:
    expression, plain = pair
    expected = _outcome(lambda: plain(chosen))
    assert _outcome(lambda: nas.resolve([expression], chosen)[0]) == expected
    assert _outcome(lambda: eval(repr(expression), NAMES | chosen)) == expected, repr(expression)
    copied = pickle.loads(pickle.dumps(copy.deepcopy(expression)))
    assert _outcome(lambda: nas.resolve([copied], chosen)[0]) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pairs.filter(lambda pair: _reasonable(pair, {})))
def test_open_expressions_have_no_truth_and_say_so(pair: Pair) -> None:
    with pytest.raises(OpenChoiceError, match=r"is an open choice and has no truth value .*\.py:"):
        bool(pair[0])


@pytest.mark.parametrize("use", [int, float, operator.index, list, range, math.sqrt])
def test_uses_of_an_open_choice_are_refused(use: Callable[[Any], Any]) -> None:
    with pytest.raises(OpenChoiceError, match="width is an open choice"):
        use(nn.ValueChoice([1, 2], label="width"))


@pytest.mark.parametrize(
    ("use", "instead"), [(int, "to_int"), (float, "to_float"), (bool, "condition")]
)
def test_the_error_names_what_there_is_instead(use: type, instead: str) -> None:
    with pytest.raises(OpenChoiceError, match=rf": use ValueChoice\.{instead}, pass it"):
        use(nn.ValueChoice([1, 2]))


def test_the_error_names_the_users_line_even_below_torch() -> None:
    with pytest.raises(OpenChoiceError, match="test_expressions.py:"):
        torch.nn.Dropout(nn.ValueChoice([0.1, 0.2], label="rate"))


def test_indexing_tuples_dicts_and_rounding_to_digits() -> None:
    kernel = nn.ValueChoice([(1, 3), (3, 1)], label="k")
    which = nn.ValueChoice({"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}, label="act")
    rate = nn.ValueChoice([0.125, 0.25], label="rate")
    found = nas.resolve(
        [
            kernel,
            kernel[0] + kernel[-1],
            which,
            round(rate, 2),
            kernel[::-1],
            which == torch.nn.ReLU,
        ],
        {"k": [3, 1], "act": "tanh", "rate": 0.125},
    )
    assert found == [(3, 1), 4, torch.nn.Tanh, 0.12, (1, 3), False]
    assert which.candidates == [torch.nn.ReLU, torch.nn.Tanh]
    assert nas.Space.of([which]).options == {"act": ("relu", "tanh")}


def test_min_and_max_of_one_sequence_and_casts() -> None:
    a = nn.ValueChoice([4, 8], label="a")
    found = nas.resolve(
        [nn.ValueChoice.min([a, 6]), nn.ValueChoice.max((a, 6)), nn.ValueChoice.to_float(a),
         nn.ValueChoice.to_int(a / 3)],
        {"a": 8},
    )  # fmt: skip
    assert found == [6, 8, 8.0, 2]
    assert type(found[2]) is float
    assert type(found[3]) is int


class Pair2(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Config:
    width: Any
    rest: Any = ()


class Plain:
    def __init__(self, rate: Any) -> None:
        self.rate = rate
        self.other = object()


def test_resolve_follows_structures_and_shares_what_stays() -> None:
    a = nn.ValueChoice([1, 2], label="a")
    untouched = [1, {"x": (2,)}]
    assert nas.resolve(untouched, {}) is untouched
    plain = Plain({"lr": [a * 10]})
    found = nas.resolve(plain, {"a": 2})
    assert found is not plain
    assert (found.rate, found.other) == ({"lr": [20]}, plain.other)
    assert isinstance(plain.rate["lr"][0], type(a * 10))
    assert nas.resolve(Pair2(a, 1), {"a": 2}) == Pair2(2, 1)
    assert nas.resolve(Config(a, (a, a)), {"a": 1}) == Config(1, (1, 1))
    assert nas.resolve(OrderedDict(x=a), {"a": 1}) == OrderedDict(x=1)
    counts = nas.resolve(defaultdict(list, x=a), {"a": 1})
    assert counts == {"x": 1}
    assert counts["missing"] == []
    partial = nas.resolve(functools.partial(pow, a), {"a": 2})
    assert partial(3) == 8


def test_resolve_names_what_is_undecided() -> None:
    with pytest.raises(InvalidArchitectureError, match="no value for 'rate'"):
        nas.resolve([nn.ValueChoice([0.1, 0.2], label="rate")], {"lr": 1})


def test_a_condition_asks_only_for_the_side_that_counts() -> None:
    deep = nn.ValueChoice([1, 5], label="depth") > 3
    drop = nn.ValueChoice.condition(deep, nn.ValueChoice([0.1, 0.2], label="rate"), 0.0)
    assert [dict(a) for a in nas.Space.of([drop]).enumerate()] == [
        {"depth": 1},
        {"depth": 5, "rate": 0.1},
        {"depth": 5, "rate": 0.2},
    ]


def test_labels_that_look_like_places_of_operands() -> None:
    a = nn.ValueChoice([1, 2], label="{1}")
    assert repr(a + 3) == "{1} + 3"
    assert nas.resolve([a + 3], {"{1}": 2}) == [5]
