"""Building at its edges: what is never made, what is refused, threads, values held anywhere."""

from __future__ import annotations

import gc
import pickle
import threading
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core.errors import InvalidArchitectureError, OpenChoiceError, UnsupportedSpaceError
from nas_core.model import Recipe

plain = torch.nn


def test_unchosen_layers_are_never_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    class Block(plain.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(4, width), nn.Linear(width, 4)

    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(4, 4)
            candidates = {f"b{i}": Block(i) for i in range(1, 6)}
            self.body = nn.LayerChoice({**candidates, "huge": nn.Linear(4, 9)}, label="body")
            self.none = nn.Repeat(Block(7), (0, 1), label="depth")

    made: list[tuple[int, int]] = []
    reset = plain.Linear.reset_parameters

    def counting(self: plain.Linear) -> None:
        made.append((self.in_features, self.out_features))
        reset(self)

    model = Net()
    space = nas.Space.of(model)
    arch = space.validate({"body": "b2", "depth": 0})
    monkeypatch.setattr(plain.Linear, "reset_parameters", counting)
    nas.build(model, arch)
    assert made == [(4, 4), (4, 2), (2, 4)]


def test_containers_that_are_dropped_are_never_initialised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.LayerChoice(
                {
                    "chain": nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU())),
                    "list": nn.ModuleList(nn.Linear(4, i) for i in (1, 2)),
                    "dict": nn.ModuleDict({"a": nn.Linear(4, 4)}),
                    "skip": nn.Identity(),
                },
                label="body",
            )

    model, made = Net(), []
    for kind in (plain.Sequential, plain.ModuleList, plain.ModuleDict):

        def counting(self: Any, *args: Any, init: Any = kind.__init__, **kwargs: Any) -> None:
            made.append(self)
            init(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__init__", counting)
    assert type(nas.build(model, {"body": "skip"}).body) is plain.Identity
    assert made == []
    assert [x.out_features for x in nas.build(model, {"body": "list"}).body] == [1, 2]
    assert [type(x) for x in made] == [plain.ModuleList]


def test_what_was_left_empty_may_be_used_later() -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            spare = nn.Sequential(nn.Linear(4, nn.ValueChoice([5, 6], label="w")), nn.ReLU())
            self.body = nn.LayerChoice({"spare": spare, "skip": nn.Identity()}, label="body")
            self.others = [spare]

    built = nas.build(Net(), {"body": "skip"})
    spare = built.others[0]
    assert [type(x) for x in spare] == [plain.Linear, plain.ReLU]
    assert spare(torch.ones(2, 4)).shape == (2, 5)
    assert pickle.loads(pickle.dumps(spare))[0].out_features == 5


def test_a_candidate_that_raises_is_reported_from_the_users_line() -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)
            self.b = nn.Conv2d(nn.ValueChoice([4, 3], label="w"), 4, 1, groups=4)  # raises for 3
            self.c = nn.Linear(4, 4)

    with pytest.raises(ValueError, match="divisible by groups") as raised:
        nas.build(Net(), {"w": 3})
    lines = [str(entry.statement) for entry in raised.traceback]
    assert any("raises for 3" in line for line in lines)


def test_what_was_made_open_elsewhere_is_refused() -> None:
    outside = nn.LayerChoice([nn.ReLU(), nn.Tanh()], label="c")
    wide = nn.Linear(2, nn.ValueChoice([1, 2], label="c"))

    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self, *parts: Any) -> None:
            super().__init__()
            self.body = plain.Sequential(*(parts[0] if parts and type(parts[0]) is list else parts))

    @nas.model_wrapper
    class Captures(plain.Module):
        def __init__(self, which: int) -> None:
            super().__init__()
            self.body = (outside, wide)[which]

    for model in (Net(outside), Net([outside]), Captures(0), Captures(1)):
        with pytest.raises(UnsupportedSpaceError, match="(inside|makes it)"):
            nas.build(model, nas.Space.of(model).default())


class Undecorated(plain.Module):
    pass


def test_undecorated_models_are_refused_with_advice() -> None:
    with pytest.raises(UnsupportedSpaceError, match="@nas_core.model_wrapper above `class Und"):
        nas.build(Undecorated(), {})
    with pytest.raises(UnsupportedSpaceError, match="^Linear .* of a class of yours"):
        nas.build(plain.Linear(2, 2), {})


def test_threads_build_their_own_candidates() -> None:
    barrier, met = threading.Barrier(2, timeout=600), {threading.get_ident()}

    def meet() -> None:
        if threading.get_ident() not in met:  # A disturbed build runs the constructor twice.
            met.add(threading.get_ident())
            barrier.wait()

    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            width = nn.ValueChoice([2, 3], label="w")
            self.a = nn.Linear(4, width)
            meet()
            self.b = nn.Linear(width, 4)
            self.c = nas.choose([0, 1], label="c")

    model, found = Net(), {}

    def work(width: int) -> None:
        made = nas.build(model, {"w": width, "c": width - 2})
        found[width] = (made.a.out_features, made.b.in_features, made.c)

    nas.build(model, {"w": 2, "c": 0})
    nas.build(model, {"w": 2, "c": 1})
    threads = [threading.Thread(target=work, args=(width,)) for width in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {2: (2, 2, 0), 3: (3, 3, 1)}


def test_what_is_not_used_is_freed_at_once() -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            chain = nn.Sequential(nn.Linear(2, nn.ValueChoice([3, 4], label="w")), nn.ReLU())
            layers = [nn.Linear(2, 2), chain, nn.ReLU()]
            self.body = nn.LayerChoice(layers, label="body")

    model = Net()
    arch = nas.Space.of(model).validate({"body": 0})
    nas.build(model, arch)
    gc.collect()
    built = nas.build(model, arch)
    assert gc.collect() == 0
    assert type(built.body) is plain.Linear


SCALE = nn.ValueChoice([2, 3], label="scale")
NAMELESS = nn.ValueChoice([2, 3])


@nas.model_wrapper
class Values(plain.Module):
    def __init__(self, factor: Any) -> None:
        super().__init__()
        self.factor = factor
        self.scale = SCALE
        self.held = {"x": [nn.ValueChoice([5, 7], label="held") * 2]}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor() + self.scale() * self.held["x"][0]()


def test_values_in_attributes_containers_and_arguments_called_in_forward() -> None:
    x = torch.ones(1)
    model = Values(nn.ValueChoice([10, 20]))
    assert model(x).item() == 10 + 2 * 10
    space = nas.Space.of(model)
    assert space.labels == ("factor", "scale", "held")
    for arch in space.enumerate():
        made = nas.build(model, arch)
        assert made(x).item() == arch["factor"] + arch["scale"] * arch["held"] * 2
        assert pickle.loads(pickle.dumps(made))(x).item() == made(x).item()
    assert nas.build(Values(lambda: 30), {"scale": 3, "held": 5})(x).item() == 60


class Uncalled(plain.Module):
    def __init__(self, compute: Any) -> None:
        super().__init__()
        self.factor = nn.ValueChoice([2, 3], label="factor")
        self.more = self.factor + 1
        self.compute = compute

    def forward(self, x: torch.Tensor) -> Any:
        return self.compute(self, x)


@pytest.mark.parametrize(
    ("compute", "name"),
    [
        (lambda net, x: x * net.factor, "factor"),
        (lambda net, x: net.factor - x, "factor"),
        (lambda net, x: x > net.more, "factor + 1"),
        (lambda net, x: -net.factor * x, "-factor"),
    ],
)
def test_a_choice_that_meets_a_tensor_in_forward_must_be_called(compute: Any, name: str) -> None:
    open_one = nas.model_wrapper(Uncalled)(compute)
    line = compute.__code__.co_firstlineno
    for model in (open_one, nas.build(open_one, {"factor": 3})):
        with pytest.raises(
            TypeError, match=r"choice that is not called .* `self.name\(\)`"
        ) as told:
            model(torch.ones(2))
        assert f"computed with {name}, a choice" in str(told.value)
        assert f"(at {__file__}:{line})" in str(told.value)


def test_a_tensor_may_be_computed_with_a_choice_where_it_is_open() -> None:
    weight = torch.tensor([1.0, 2.0]) * nn.ValueChoice([1, 4], label="weight")
    assert nas.resolve([weight], {"weight": 4})[0].tolist() == [4, 8]

    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            scale = torch.tensor([1.0, 2.0]) * nn.ValueChoice([1, 4], label="weight")
            self.loss = nn.CrossEntropyLoss(weight=scale)

    assert nas.build(Net(), {"weight": 4}).loss.weight.tolist() == [4, 8]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Values, r"not the class Values: call it, Values\(\.\.\.\)"),
        (3, r"a model is needed, a torch\.nn\.Module, not 3"),
    ],
)
def test_what_is_no_model_is_refused(given: Any, message: str) -> None:
    with pytest.raises(UnsupportedSpaceError, match=message):
        nas.build(given, {})
    with pytest.raises(UnsupportedSpaceError, match=message):
        nas.recipe(given)


def test_an_argument_that_this_architecture_does_not_use() -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self, width: Any) -> None:
            super().__init__()
            self.body = nn.LayerChoice({"wide": nn.Linear(2, width), "skip": nn.Identity()}, "body")

    model = Net(nn.ValueChoice([3, 4], label="w"))
    assert [dict(a) for a in nas.Space.of(model).enumerate()] == [
        {"body": "wide", "w": 3}, {"body": "wide", "w": 4}, {"body": "skip"},
    ]  # fmt: skip
    assert type(nas.build(model, {"body": "skip"}).body) is plain.Identity
    assert nas.build(model, {"body": "wide", "w": 4}).body.out_features == 4


def test_a_choice_made_elsewhere_without_a_label_is_not_guessed() -> None:
    @nas.model_wrapper
    class Net(plain.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, nn.ValueChoice([1, 2], label="w") + NAMELESS)

    # As in a worker: the recipe arrives in a process that has not seen the space.
    stranger = Recipe(Net, (), {}, {})
    with pytest.raises(OpenChoiceError, match="give it a label"):
        stranger.build({"w": 1})


@nas.model_wrapper
class Joined(plain.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, nn.ValueChoice([1, 2], label="w"))
        self.join = nn.InputChoice(3, n_chosen=2, label="join")


def test_an_architecture_is_checked_once_and_a_dict_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, checked = Joined(), []
    allows = nas.Space.allows

    def counted(self: nas.Space, architecture: Any) -> bool:
        checked.append(architecture)
        return allows(self, architecture)

    monkeypatch.setattr(nas.Space, "allows", counted)
    arch = nas.Architecture({"w": 2, "join": [0, 2]})
    built = [nas.build(model, arch) for _ in range(3)]
    other = nas.Architecture({"w": 1, "join": [0, 1]})
    for again in (other, arch, other, nas.Architecture(dict(arch))):
        assert nas.build(model, again).layer.out_features == again["w"]
    assert checked == [arch, other]
    assert len({id(made.layer.weight) for made in built}) == 3
    built[0].join.indices.append(1)
    assert nas.build(model, arch).join.indices == built[1].join.indices == [0, 2]

    values = dict(arch)
    assert nas.build(model, values).layer.out_features == 2
    values["w"] = 1
    assert nas.build(model, values).layer.out_features == 1
    values["w"] = 3
    with pytest.raises(InvalidArchitectureError):
        nas.build(model, values)
    assert nas.build(model, arch).layer.out_features == 2
