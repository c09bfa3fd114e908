"""Laws of spaces, over random nested spaces."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nas_core.architecture import Value, canonical
from nas_core.choice import OneOf
from nas_core.errors import InvalidArchitectureError

LABELS = ("a", "b", "c", "d", "e")
# One domain for each label and kind of choice: that a label used twice is the same decision.
VALUES = {label: list(range(1, 2 + i % 3 + 1)) for i, label in enumerate(LABELS)}


def _value(label: str) -> nn.ValueChoice:
    return nn.ValueChoice(VALUES[label], label=f"v{label}")


def _condition(label: str, other: str, third: str) -> nn.ValueChoice:
    return nn.ValueChoice.condition(_value(label) > 1, _value(other) * 2, _value(third) + 1)


labels = st.sampled_from(LABELS)
linears = st.one_of(
    st.builds(lambda x: nn.Linear(2, _value(x)), labels),
    st.builds(lambda x, y: nn.Linear(_value(x) + _value(y), 2), labels, labels),
    st.builds(lambda x, y, z: nn.Linear(2, _condition(x, y, z)), labels, labels, labels),
    st.builds(
        lambda x, k: nn.InputChoice(3, k, label=f"i{x}{k}"), labels, st.sampled_from([1, 2, None])
    ),
    st.just(nn.Identity()),
)


def _composite(inner: st.SearchStrategy[torch.nn.Module]) -> st.SearchStrategy[torch.nn.Module]:
    return st.one_of(
        st.builds(
            lambda x, p, q: nn.LayerChoice({"p": p, "q": q}, label=f"l{x}"), labels, inner, inner
        ),
        st.builds(lambda x, p, q: nn.LayerChoice([p, q], label=f"n{x}"), labels, inner, inner),
        st.builds(lambda x, p: nn.Repeat(p, (0, 2), label=f"r{x}"), labels, inner),
        st.builds(lambda x, p: nn.Repeat(p, _value(x) - 1), labels, inner),
        st.builds(
            lambda x, p, q: nn.Repeat(lambda i: (p, q)[i], (1, 2), label=f"f{x}"),
            labels,
            inner,
            inner,
        ),
        st.builds(nn.Sequential, inner, inner),
    )


models = st.recursive(linears, _composite, max_leaves=6)


def small(model: torch.nn.Module, most: int = 3000) -> nas.Space | None:
    space = nas.Space.of(model)
    return space if space.size() <= most else None


spaces = models.map(small).filter(lambda space: space is not None)
law = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@law
@given(spaces)
def test_size_counts_what_enumerate_lists_each_once(space: nas.Space) -> None:
    listed = list(space.enumerate())
    assert space.size() == len(listed) == len(set(listed)) == len({a.digest for a in listed})
    assert listed[0] == space.default()


@law
@given(spaces)
def test_every_enumerated_architecture_is_valid_and_survives_json(space: nas.Space) -> None:
    for arch in itertools.islice(space.enumerate(), 200):
        assert space.validate(arch) == arch
        read = nas.Architecture.from_json(arch.to_json())
        turned = nas.Architecture(dict(reversed(list(arch.items()))))
        assert list(space.validate(turned).items()) == list(arch.items())
        assert read == arch
        assert hash(read) == hash(arch)
        assert read.digest == arch.digest == space.validate(read).digest
        assert list(read) == list(arch)


def _all(space: nas.Space) -> set[nas.Architecture]:
    return set(space.enumerate())


@law
@given(spaces, st.integers(0, 2**32))
def test_moves_stay_inside(space: nas.Space, seed: int) -> None:
    every, rng = _all(space), random.Random(seed)
    a, b = space.sample(rng=rng), space.sample(rng=rng)
    assert {a, b} <= every
    child = space.crossover(a, b, rng)
    assert child in every
    for label, value in child.items():
        sources = [x[label] for x in (a, b) if label in x]
        assert not sources or any(canonical(value) == canonical(x) for x in sources)
    neighbours = list(space.neighbours(a))
    assert len(neighbours) == len(set(neighbours))
    assert set(neighbours) <= every - {a}
    if len(every) > 1:
        moved = space.mutate(a, rng)
        assert moved in every
        assert moved != a
    else:
        with pytest.raises(nas.NasError, match="no neighbour"):
            space.mutate(a, rng)


@law
@given(spaces, st.integers(0, 2**32))
def test_sampling_repeats_with_its_seed(space: nas.Space, seed: int) -> None:
    assert space.sample(seed) == space.sample(seed) == space.sample(rng=random.Random(seed))


def _holds(alternatives: Iterable[dict[str, tuple[Value, ...]]], arch: nas.Architecture) -> bool:
    return any(
        all(
            label in arch and canonical(arch[label]) in map(canonical, values)
            for label, values in condition.items()
        )
        for condition in alternatives
    )


@law
@given(spaces)
def test_conditions_say_when_a_choice_is_active(space: nas.Space) -> None:
    assert set(space.conditions) == set(space.labels)
    for arch in itertools.islice(space.enumerate(), 300):
        for label, alternatives in space.conditions.items():
            assert (label in arch) == (not alternatives or _holds(alternatives, arch)), label


@law
@given(spaces)
def test_every_option_is_used_and_every_used_value_is_an_option(space: nas.Space) -> None:
    used: dict[str, set[str]] = {label: set() for label in space.labels}
    for arch in space.enumerate():
        for label, value in arch.items():
            used[label].add(canonical(value))
    for label, options in space.options.items():
        assert used[label] <= set(map(canonical, options))


@law
@given(spaces, st.integers(0, 2**32), st.data())
def test_corrupted_architectures_are_refused_by_name(
    space: nas.Space, seed: int, data: st.DataObject
) -> None:
    arch = dict(space.sample(seed))
    made = data.draw(st.sampled_from([dict, nas.Architecture]))
    with pytest.raises(InvalidArchitectureError, match="unknown label 'nosuch'"):
        space.validate(made({**arch, "nosuch": 1}))
    if not arch:
        return
    label = data.draw(st.sampled_from(sorted(arch)))
    place = f"{space.choices[label].place}"
    with pytest.raises(InvalidArchitectureError) as wrong:
        space.validate(made({**arch, label: "wrong"}))
    assert label in str(wrong.value)
    assert place in str(wrong.value)
    with pytest.raises(InvalidArchitectureError) as missing:
        space.validate(made({k: v for k, v in arch.items() if k != label}))
    assert f"no value for {label!r}" in str(missing.value)
    with pytest.raises(InvalidArchitectureError) as misspelt:
        space.validate(made({(f"{k}x" if k == label else k): v for k, v in arch.items()}))
    assert f"unknown label '{label}x'" in str(misspelt.value)
    for inactive in set(space.labels) - set(arch):
        with pytest.raises(InvalidArchitectureError, match="is inactive here: it needs"):
            space.validate(made({**arch, inactive: space.options[inactive][0]}))


@law
@given(spaces, st.integers(2, 4))
def test_counting_under_a_constraint_is_listing_and_leaving_out(
    space: nas.Space, modulus: int
) -> None:
    def few(arch: dict[str, Value]) -> bool:
        return sum(canonical(v).__len__() + len(k) for k, v in arch.items()) % modulus != 0

    expected = {a for a in space.enumerate() if few(a)}
    constrained = space.constrain(few)
    assert constrained.size() == len(expected)
    if expected:
        assert _all(constrained) == expected
        assert constrained.sample(0) in expected


@law
@given(spaces, st.data())
def test_counting_under_a_constraint_on_labels(space: nas.Space, data: st.DataObject) -> None:
    if not space.labels:
        return
    named = data.draw(st.lists(st.sampled_from(space.labels), min_size=1, max_size=2, unique=True))

    def odd(arch: dict[str, Value]) -> bool:
        return sum(len(canonical(arch.get(label))) for label in named) % 2 == 1

    expected = [a for a in space.enumerate() if odd(a)]
    assert space.constrain(odd, labels=named).size() == len(expected)


@law
@given(spaces)
def test_the_space_of_a_space_is_itself(space: nas.Space) -> None:
    again = nas.Space.of(space)
    assert again.digest == space.digest
    assert again.size() == space.size()
    assert str(again) == str(space)


@pytest.mark.parametrize("value", [1, 1.0, True, 2, 2.0, "2", "a", None, 0, 0.0, -0.0, False, [1]])
def test_an_option_is_had_by_its_type_and_value(value: Any) -> None:
    options = [1, 2.0, True, "a", None, 0.0]
    had = any(type(x) is type(value) and repr(x) == repr(value) for x in options)
    assert OneOf(options).has(value) is had
