"""A built model is the hand-written one: names, weights, random state, outputs, types."""

from __future__ import annotations

import copy
import io
import pickle
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import numpy as np
import pytest
import torch
from nas_core.testing.references import REFERENCES, Reference

plain = torch.nn
SEED = 3


def outputs(model: torch.nn.Module, inputs: tuple[Any, ...]) -> list[torch.Tensor]:
    found = model(*inputs)
    if isinstance(found, dict):
        found = list(found.values())
    return list(found) if isinstance(found, (list, tuple)) else [found]


def assert_same_construction(
    build: Callable[[], torch.nn.Module], by_hand: Callable[[], torch.nn.Module]
) -> tuple[torch.nn.Module, torch.nn.Module]:
    torch.manual_seed(SEED)
    hand = by_hand()
    state = torch.get_rng_state()
    torch.manual_seed(SEED)
    built = build()
    assert list(built.state_dict()) == list(hand.state_dict())
    for (name, a), (_, b) in zip(
        built.state_dict().items(), hand.state_dict().items(), strict=True
    ):
        assert (a.dtype, a.device, a.shape) == (b.dtype, b.device, b.shape), name
        assert a.device.type == "meta" or torch.equal(a, b), name
    assert torch.equal(torch.get_rng_state(), state), "the random state differs"
    return built, hand


CASES = [
    pytest.param(reference, seed, id=f"{reference.name}-{seed}")
    for reference in REFERENCES
    for seed in range(3)
]


def _built(reference: Reference, seed: int) -> tuple[torch.nn.Module, nas.Architecture]:
    open_model = reference.model()
    arch = nas.Space.of(open_model).sample(seed)
    return open_model, arch


@pytest.mark.parametrize(("reference", "seed"), CASES)
def test_built_is_the_hand_written(reference: Reference, seed: int) -> None:
    open_model, arch = _built(reference, seed)
    made, hand = assert_same_construction(
        lambda: nas.build(open_model, arch), lambda: reference.by_hand(arch)
    )
    torch.manual_seed(0)
    ours = outputs(made, reference.inputs())
    torch.manual_seed(0)
    theirs = outputs(hand, reference.inputs())
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for found in (ours, theirs):
        if found[0].requires_grad:
            sum(x.sum() for x in found).backward()
    for (name, a), (_, b) in zip(made.named_parameters(), hand.named_parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        assert a.grad is None or torch.equal(a.grad, b.grad), name


@pytest.mark.parametrize(("reference", "seed"), CASES)
def test_built_is_torchs_own_and_can_be_copied_and_stored(reference: Reference, seed: int) -> None:
    open_model, arch = _built(reference, seed)
    made = nas.build(open_model, arch)
    for module in made.modules():
        own = type(module).__module__.startswith("nas_core.")
        library = type(module).__module__.startswith("nas_core.testing")
        assert not own or library or isinstance(module, nn.ChosenInputs), type(module)
        assert not isinstance(module, (nn.LayerChoice, nn.InputChoice, nn.Repeat))
    stored = io.BytesIO()
    torch.save(made, stored)
    stored.seek(0)
    made.eval()
    expected = outputs(made, reference.inputs())
    again: list[torch.nn.Module] = [
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(made)),
        torch.load(stored, weights_only=False).eval(),
    ]
    for copied in again:
        found = outputs(copied, reference.inputs())
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.name)
def test_open_models_run_as_their_default_and_keep_their_space_in_copies(
    reference: Reference,
) -> None:
    model = reference.model().eval()
    space = nas.Space.of(model)
    made = nas.build(model, space.default()).eval()
    own = model.state_dict()
    if set(made.state_dict()) <= set(own):
        assert len(outputs(model, reference.inputs())) == len(outputs(made, reference.inputs()))
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        again = nas.Space.of(copied)
        assert again.digest == space.digest
        assert list(again.enumerate()) == list(space.enumerate())
        assert_same_construction(
            lambda copied=copied: nas.build(copied, space.sample(1)),
            lambda: nas.build(model, space.sample(1)),
        )


class ScriptedSpace(plain.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.LayerChoice({"a": nn.Linear(4, 4), "b": nn.Identity()}, label="one")
        self.join = nn.InputChoice(2, None, reduction="mean", label="join")
        self.chain = nn.Repeat(lambda i: nn.Linear(4, 4), (0, 2), label="depth")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.chain(self.join([x, self.one(x)]))


nas.model_wrapper(ScriptedSpace)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_built_models_are_scriptable() -> None:
    model, x = ScriptedSpace(), torch.randn(2, 4)
    for arch in nas.Space.of(model).enumerate():
        made = nas.build(model, arch)
        assert torch.equal(torch.jit.script(made)(x), made(x))


# Constructors that disturb the order in which deferred layers could draw.


def both(make: Callable[[Any], Callable[[plain.Module], None]]) -> tuple[type, type]:
    """One constructor with ``nas_core.nn``, and with ``torch.nn`` and the choice done by hand."""

    def space_init(self: Any) -> None:
        plain.Module.__init__(self)
        make(nn)(self)

    def hand_init(self: Any) -> None:
        plain.Module.__init__(self)
        make(plain)(self)

    space = nas.model_wrapper(type("Space", (plain.Module,), {"__init__": space_init}))
    return space, type("Hand", (plain.Module,), {"__init__": hand_init})


def chosen(lib: Any, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """A choice of which the second is taken: by hand, nothing but that is made."""
    return nn.LayerChoice([first(), second()], label="c") if lib is nn else second()


def random_between(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        self.noise = plain.Parameter(torch.randn(3))
        self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        self.register_buffer("late", torch.randn(2))
        self.c = lib.Linear(3, 3)

    return init


def init_at_once(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        plain.init.xavier_normal_(self.a.weight)
        self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        for parameter in self.b.parameters():
            plain.init.normal_(parameter)
        self.c = lib.Linear(3, 3)

    return init


def init_by_type(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        self.b = chosen(lib, lambda: lib.Conv2d(3, 3, 1), lambda: lib.Linear(3, 4))
        for child in self.children():
            if type(child) == lib.Linear:  # noqa: E721  The idiom that is to work.
                plain.init.normal_(child.weight)
        self.apply(lambda m: plain.init.ones_(m.bias) if type(m) in {lib.Linear, lib.GRU} else None)

    return init


def mixed_libraries(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        self.b = plain.Linear(3, 3)
        self.c = chosen(lib, lambda: lib.Linear(9, 9), lambda: lib.Conv1d(1, 2, 3))
        self.d = plain.Linear(3, 3)
        self.e = lib.Linear(3, 3)

    return init


def seed_inside(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        torch.manual_seed(7)
        self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        self.c = lib.Linear(3, 3)

    return init


def forked_seed(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        self.c = lib.Linear(3, 3)

    return init


def meta_device(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        with torch.device("meta"):
            self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        self.c = lib.Linear(3, 3)

    return init


def default_dtype(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        torch.set_default_dtype(torch.float64)
        try:
            self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        finally:
            torch.set_default_dtype(torch.float32)
        self.c = lib.Linear(3, 3)

    return init


def shared_layer(lib: Any) -> Any:
    def init(self: Any) -> None:
        shared = lib.Linear(3, 3)
        self.b = chosen(lib, lambda: shared, lambda: lib.Linear(3, 4))
        self.d = lib.Linear(3, 3)
        self.shared = shared
        self.twice = lib.Sequential(shared, lib.ReLU(), shared)

    return init


def shared_between_candidates(lib: Any) -> Any:
    def init(self: Any) -> None:
        shared = lib.Linear(3, 3)
        self.b = chosen(
            lib,
            lambda: lib.Sequential(shared, lib.Linear(3, 3)),
            lambda: lib.Sequential(lib.ReLU(), shared),
        )
        self.d = lib.Linear(3, 3)

    return init


def python_list(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        for layer in [lib.Linear(3, 3), lib.Linear(3, 2)]:
            self.add_module(f"x{layer.out_features}", layer)
        self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        self.e = copy.deepcopy(self.a)
        self.f = lib.Linear(3, 3)

    return init


def transformer(lib: Any) -> Any:
    def init(self: Any) -> None:
        def encoder(width: int) -> Any:
            return lib.TransformerEncoder(
                lib.TransformerEncoderLayer(width, 2, 8, batch_first=True), 2
            )

        self.a = lib.Linear(4, 4)
        self.b = chosen(lib, lambda: encoder(4), lambda: encoder(6))
        self.c = lib.Linear(4, 4)

    return init


def weight_tying(lib: Any) -> Any:
    def init(self: Any) -> None:
        self.embedding = lib.Embedding(5, 3)
        self.b = chosen(lib, lambda: lib.Linear(3, 3), lambda: lib.Linear(3, 4))
        self.head = lib.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight

    return init


def containers_touched(lib: Any) -> Any:
    """The candidate that is dropped does to its containers what constructors do."""

    def first() -> Any:
        layers = lib.Sequential(lib.Linear(3, 3), lib.ReLU())
        layers.append(lib.Linear(3, 5))
        assert (len(layers), layers[-1].out_features) == (3, 5)
        assert [type(x) for x in layers] == [plain.Linear, plain.ReLU, plain.Linear]
        layers.apply(lambda m: plain.init.normal_(m.weight) if hasattr(m, "weight") else None)
        assert repr(copy.deepcopy(layers)) == repr(layers)
        rows = lib.ModuleList(lib.Linear(3, i) for i in range(1, 4))
        rows += [lib.Linear(3, 3)]
        assert [row.out_features for row in rows] == [1, 2, 3, 3]
        named = lib.ModuleDict({"a": lib.Linear(3, 3)})
        named["b"] = rows[0]
        assert list(named) == ["a", "b"]
        ordered = lib.Sequential(OrderedDict(x=lib.Linear(3, 3), y=lib.ReLU()))
        assert ordered.x.weight.shape == (3, 3)
        return lib.ModuleList([layers, rows, named, ordered, lib.Sequential(*layers)])

    def init(self: Any) -> None:
        self.a = lib.Linear(3, 3)
        self.b = chosen(lib, first, lambda: lib.Linear(3, 4))
        self.c = lib.Linear(3, 3)

    return init


def containers_of_any_kind(lib: Any) -> Any:
    def init(self: Any) -> None:
        layers = [lib.Linear(3, 3)]
        self.a = lib.Sequential(*layers, lib.ReLU())
        self.rows = chosen(
            lib,
            lambda: lib.ModuleList(lib.Linear(3, i) for i in range(1, 4)),
            lambda: lib.ModuleList(lib.Linear(3, i) for i in range(1, 3)),
        )
        layers.append(lib.Linear(3, 3))
        self.all = lib.ModuleList([*layers, lib.Linear(3, 3)])
        self.named = lib.ModuleDict(modules={"x": lib.Linear(3, 3), "y": self.a})
        self.noise = plain.Parameter(torch.randn(3))
        self.empty = lib.ModuleList()
        self.empty.append(lib.Sequential(OrderedDict(x=lib.Linear(3, 3))))

    return init


def randomness_after_a_container(lib: Any) -> Any:
    def first() -> Any:
        return lib.Sequential(lib.Linear(3, 3), lib.Sequential())

    def init(self: Any) -> None:
        dropped = first() if lib is nn else [None, None]
        assert len(dropped) == 2  # A touch that draws nothing: what follows is drawn by hand, too.
        self.noise = plain.Parameter(torch.randn(3))
        self.b = chosen(lib, lambda: dropped, lambda: lib.Linear(3, 4))
        self.c = lib.Linear(3, 3)

    return init


DISTURBED = [
    containers_touched, containers_of_any_kind, randomness_after_a_container,
    random_between, init_at_once, init_by_type, mixed_libraries, seed_inside, forked_seed,
    meta_device, default_dtype, shared_layer, shared_between_candidates, python_list, transformer,
    weight_tying,
]  # fmt: skip


@pytest.mark.parametrize("make", DISTURBED, ids=lambda f: f.__name__)
def test_disturbed_orders_draw_as_by_hand(make: Any) -> None:
    space, hand = both(make)
    model = space()
    built, by_hand = assert_same_construction(lambda: nas.build(model, {"c": 1}), hand)
    kinds = [[type(m) for m in x.modules()][1:] for x in (built, by_hand)]
    assert kinds[0] == kinds[1]


def test_building_leaves_other_generators_as_one_run_of_the_constructor() -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.drawn = random.random(), float(np.random.rand())
            self.noise = plain.Parameter(torch.randn(2))

    def seed() -> None:
        random.seed(1)
        np.random.seed(1)

    model = Net()
    seed()
    expected, following = [(random.random(), float(np.random.rand())) for _ in range(2)]
    seed()
    assert nas.build(model, {}).drawn == expected
    assert (random.random(), float(np.random.rand())) == following
