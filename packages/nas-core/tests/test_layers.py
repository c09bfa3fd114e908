"""``nas_core.nn`` is ``torch.nn``, for every layer that torch has."""

from __future__ import annotations

import abc
import inspect
import pickle
import re
from collections import OrderedDict
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core.wrapper import record_of

LAYERS = sorted(
    name
    for name in dir(torch.nn)
    if isinstance(found := getattr(torch.nn, name), type) and issubclass(found, torch.nn.Module)
)
BASES = {"Module", "Container"}
# Constructor arguments by the name of the parameter, where it has no default.
ARGUMENTS: dict[str, Any] = {
    "in_features": 4, "out_features": 6, "in1_features": 3, "in2_features": 4,
    "in_channels": 4,
    "out_channels": 4, "kernel_size": 3, "num_features": 4, "normalized_shape": [4],
    "num_groups": 2,
    "num_channels": 4, "output_size": 2, "embed_dim": 4, "num_heads": 2, "d_model": 4, "nhead": 2,
    "num_layers": 2,
    "num_embeddings": 5, "embedding_dim": 3, "input_size": 3, "hidden_size": 4,
    "padding": 1, "value": 0.5, "threshold": 0.1, "upscale_factor": 2, "downscale_factor": 2,
    "size": 4, "dim": 1, "unflattened_size": (2, 2), "n_classes": 10, "cutoffs": [2, 5],
    "num_parameters": 1, "groups": 2, "mode": "LSTM",
}  # fmt: skip
SPECIAL: dict[str, dict[str, Any]] = {
    "Fold": {"output_size": (4, 4), "kernel_size": 2},
    "FractionalMaxPool2d": {"kernel_size": 2, "output_size": 3},
    "FractionalMaxPool3d": {"kernel_size": 2, "output_size": 3},
    "ParameterDict": {}, "ParameterList": {}, "ModuleDict": {}, "ModuleList": {}, "Sequential": {},
    "UpsamplingBilinear2d": {"scale_factor": 2}, "UpsamplingNearest2d": {"scale_factor": 2},
    "LPPool1d": {"norm_type": 2, "kernel_size": 2}, "LPPool2d": {"norm_type": 2, "kernel_size": 2},
    "LPPool3d": {"norm_type": 2, "kernel_size": 2},
    "Unflatten": {"dim": 1, "unflattened_size": (2, 2)},
    "AdaptiveLogSoftmaxWithLoss": {"in_features": 4, "n_classes": 10, "cutoffs": [2, 5]},
    **{name: {"input_size": 3, "hidden_size": 4} for name in ("RNN", "LSTM", "GRU")},
    "LinearCrossEntropyLoss": {"in_features": 4, "num_classes": 3},
    "RNNCellBase": {"input_size": 3, "hidden_size": 4, "bias": True, "num_chunks": 1},
}  # fmt: skip


def arguments(name: str, lib: Any) -> dict[str, Any]:
    if name in SPECIAL:
        return dict(SPECIAL[name])
    if name in ("TransformerEncoder", "TransformerDecoder"):
        kind = name.removeprefix("Transformer").lower()
        layer = getattr(lib, f"{name}Layer")(4, 2, 8)
        return {f"{kind}_layer": layer, "num_layers": 2}
    if name == "DataParallel":
        return {"module": lib.Linear(2, 2)}
    parameters = list(inspect.signature(getattr(torch.nn, name)).parameters.values())
    return {
        p.name: ARGUMENTS[p.name]
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }


def made(name: str, lib: Any) -> torch.nn.Module:
    torch.manual_seed(1)
    layer: torch.nn.Module = getattr(lib, name)(**arguments(name, lib))
    return layer


def assert_equal(layer: torch.nn.Module, expected: torch.nn.Module) -> None:
    assert type(layer) is type(expected)
    assert repr(layer) == repr(expected)
    for (ours, a), (theirs, b) in zip(layer.named_modules(), expected.named_modules(), strict=True):
        assert ours == theirs
        assert_same_attributes(a, b)
    theirs = expected.state_dict()
    assert list(layer.state_dict()) == list(theirs)
    for name, tensor in layer.state_dict().items():
        if not torch.nn.parameter.is_lazy(tensor):
            assert torch.equal(tensor, theirs[name]), name


def assert_same_attributes(layer: torch.nn.Module, expected: torch.nn.Module) -> None:
    ours, theirs = vars(layer), vars(expected)
    assert [x for x in ours if not x.startswith("_nas_")] == list(theirs)
    for name, value in theirs.items():
        assert type(ours[name]) is type(value), name
        if "hooks" in name:  # Their keys are counted on.
            assert len(ours[name]) == len(value), name
        elif isinstance(value, (dict, set)):
            assert list(ours[name]) == list(value), name
        elif type(value) in (bool, int, float, str, tuple, list):
            assert without_addresses(ours[name]) == without_addresses(value), name


def without_addresses(value: object) -> str:
    return re.sub("0x[0-9a-f]+", "", repr(value))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", [n for n in LAYERS if n not in BASES])
def test_every_layer_is_made_as_by_torch(name: str) -> None:
    expected = made(name, torch.nn)
    layer = made(name, nn)
    assert_equal(layer, expected)
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    assert isinstance(layer, ours)
    assert isinstance(expected, ours)
    assert issubclass(ours, theirs)
    assert issubclass(theirs, ours)
    assert type(layer) == ours == theirs  # noqa: E721
    assert theirs == ours
    assert len({ours, theirs}) == 1
    assert hash(ours) == hash(theirs)
    if name != "NLLLoss2d":  # torch hides its arguments behind a warning.
        assert inspect.signature(ours) == inspect.signature(theirs)
    assert pickle.loads(pickle.dumps(ours)) is ours


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", [n for n in LAYERS if n not in BASES])
def test_every_layer_is_built_as_by_torch(name: str) -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = getattr(nn, name)(**arguments(name, nn))

    model = Net()
    torch.manual_seed(1)
    built = nas.build(model, {})
    assert_equal(built.layer, made(name, torch.nn))


def test_different_layers_are_different_and_others_are_no_instances() -> None:
    assert nn.Linear != nn.Conv2d
    assert nn.Linear != torch.nn.Conv2d
    assert not isinstance(torch.nn.Conv2d(1, 1, 1), nn.Linear)
    assert not issubclass(torch.nn.Conv2d, nn.Linear)
    assert nn.Module is torch.nn.Module
    assert nn.functional is torch.nn.functional
    assert len({nn.Linear, torch.nn.Linear, nn.Conv2d}) == 2


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="Linaer"):
        _ = nn.Linaer
    assert "Conv2d" in dir(nn)


class Scaled(nn.Linear):
    """A layer of the user's, whose constructor has other arguments."""

    def __init__(self, width: Any, *, scale: float = 1.0) -> None:
        super().__init__(4, width, bias=False)
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.scale


class Inherits(nn.Linear):
    """A layer of the user's without a constructor."""


def test_subclasses_of_layers_take_choices() -> None:
    @nas.model_wrapper
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = nn.ValueChoice([2, 3], label="w")
            self.a = Scaled(width, scale=2.0)
            self.b = Inherits(width, 4)

    assert str(inspect.signature(Scaled)).startswith("(width")
    model = Net()
    assert isinstance(model.a, nn.Linear)
    assert isinstance(model.a, torch.nn.Linear)
    assert not isinstance(torch.nn.Linear(1, 1), Scaled)
    assert nas.Space.of(model).labels == ("w",)
    built = nas.build(model, {"w": 3})
    assert (type(built.a), type(built.b)) == (Scaled, Inherits)
    assert built.a.weight.shape == (3, 4)
    assert built.b.weight.shape == (4, 3)
    x = torch.ones(1, 4)
    assert torch.equal(built.a(x), torch.nn.functional.linear(x, built.a.weight) * 2)
    assert pickle.loads(pickle.dumps(built.a)).scale == 2.0


def test_choices_inside_tuples_and_keywords() -> None:
    kernel = nn.ValueChoice([1, 3], label="k")

    @nas.model_wrapper
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            k = nn.ValueChoice([1, 3], label="k")
            self.conv = nn.Conv2d(1, 2, kernel_size=(k, 1), padding=(k // 2, 0))

    assert nas.Space.of(nn.Conv2d(1, 1, (kernel, kernel))).size() == 2
    assert nas.build(Net(), {"k": 3}).conv.kernel_size == (3, 1)
    assert nas.build(Net(), {"k": 3}).conv.padding == (1, 0)


def test_skip_init_works_with_the_class() -> None:
    assert type(torch.nn.utils.skip_init(nn.Linear, 2, 3)) is torch.nn.Linear


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(AttributeError, match="has 'LayerChoise'; did you mean 'LayerChoice'"):
        _ = nn.LayerChoise


class Chain(nn.Sequential):
    """A container of the user's."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(4, width), nn.ReLU())


class Abstract(nn.ModuleList, abc.ABC):
    """One that inherits from another class with a metaclass."""


def test_classes_that_inherit_from_containers_inherit_from_those_of_torch() -> None:
    assert Chain.__mro__[1] is torch.nn.Sequential
    assert type(Chain) is type
    assert (Abstract.__mro__[1], type(Abstract)) == (torch.nn.ModuleList, abc.ABCMeta)
    assert issubclass(Chain, nn.Sequential)
    assert isinstance(Chain(3), nn.Sequential)
    assert not issubclass(Chain, nn.ModuleList)
    assert Chain(3)(torch.ones(1, 4)).shape == (1, 3)
    assert pickle.loads(pickle.dumps(Chain(3)))[0].out_features == 3


def test_what_others_do_to_torchs_modules_is_done_to_the_built_ones() -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            norm = nn.BatchNorm1d(2)
            self.layers = nn.Sequential(nn.Linear(2, 2), norm, nn.Linear(2, 2, bias=False))

    told: list[str] = []

    def tell(module: torch.nn.Module, name: str, value: object) -> None:
        told.append(f"{type(module).__name__}.{name}")

    model = Net()
    hooks = [
        torch.nn.modules.module.register_module_parameter_registration_hook(tell),
        torch.nn.modules.module.register_module_buffer_registration_hook(tell),
        torch.nn.modules.module.register_module_module_registration_hook(tell),
    ]
    try:
        nas.build(model, {})
        ours, told[:] = list(told), []
        Net()
    finally:
        for hook in hooks:
            hook.remove()
    assert ours == told
    assert {"Linear.weight", "BatchNorm1d.running_mean", "Sequential.0"} <= set(ours)


def test_methods_of_modules_that_someone_replaces_are_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

    model, told = Net(), []
    register = torch.nn.Module.register_parameter

    def telling(self: torch.nn.Module, name: str, value: Any) -> None:
        told.append(name)
        register(self, name, value)

    monkeypatch.setattr(torch.nn.Module, "register_parameter", telling)
    nas.build(model, {})
    assert told == ["weight", "bias"]


@pytest.mark.parametrize("name", ["a.b", "", "forward"])
def test_names_that_torch_refuses_are_refused(name: str) -> None:
    @nas.model_wrapper
    class Net(torch.nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.layers = nn.Sequential(OrderedDict({name: nn.ReLU()}))

    model = Net("a")
    record_of(model).args = (name,)  # type: ignore[union-attr]
    with pytest.raises(KeyError):
        torch.nn.Sequential(OrderedDict({name: torch.nn.ReLU()}))
    with pytest.raises(KeyError):
        nas.build(model, {})
