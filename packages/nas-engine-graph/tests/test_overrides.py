"""What PyTorch calls beside forward does in generated code what it does in the user's."""

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Dict, Optional  # noqa: UP035 - What TorchScript reads.

import pytest
import torch
from corpus.overrides import (
    ByMode,
    Cached,
    CachedTensor,
    HoldsThemAll,
    Listed,
    NeverTrains,
    OnlyClears,
    ReturnsEarly,
    SetsByName,
    Switched,
    Versioned,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir import Attribute, Reset, parse, verify

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


def _loaded(module: nn.Module) -> None:
    module.load_state_dict({n: t + 1 for n, t in module.state_dict().items()})


def _trained(module: nn.Module) -> None:
    module.train()
    _computed(module).sum().backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.sub_(parameter.grad)  # type: ignore[arg-type]


def _stepped(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)


def _computed(module: nn.Module) -> Tensor:
    torch.manual_seed(0)
    made: Tensor = module(torch.linspace(-1, 1, 12, dtype=_dtype(module)).reshape(4, 3))
    return made


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


ACTS: dict[str, Callable[[nn.Module], object]] = {
    "train": lambda m: m.train(),
    "eval": lambda m: m.eval(),
    "to": lambda m: m.to(torch.float64),
    "float": lambda m: m.float(),
    "load": _loaded,
    "fit": _trained,
    "step": _stepped,
}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            Cached,
            CachedTensor,
            OnlyClears,
            Listed,
            HoldsThemAll,
            Switched,
            ReturnsEarly,
            ByMode,
            SetsByName,
            NeverTrains,
        ]
    ),
    st.lists(st.sampled_from([*ACTS])),
)
def test_whatever_is_done_to_it_a_model_computes_what_its_original_does(
    make: type[nn.Module], acts: list[str]
) -> None:
    ours = make()
    theirs = convert(ours).instantiate()
    theirs.load_state_dict(ours.state_dict())
    for act in ["train", *acts]:
        ACTS[act](ours)
        ACTS[act](theirs)
        with torch.no_grad():
            found, expected = _computed(theirs), _computed(ours)
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_a_cache_is_no_part_of_what_is_converted() -> None:
    module = Cached()
    fresh = convert(module).to_source()
    module.eval()
    _computed(module)
    assert module.cache
    assert convert(module).to_source() == fresh
    assert convert(module).member("cache") == Attribute({})


def test_old_names_of_weights_are_no_harm() -> None:
    assert "_load_from_state_dict" in convert(CachedTensor()).to_source()


def test_weights_of_another_version_are_refused() -> None:
    module = Versioned()
    twin = convert(module).instantiate()
    module.load_state_dict(twin.state_dict())
    old = module.state_dict()
    vars(old)["_metadata"][""]["version"] = 1
    with pytest.raises(ValueError, match="another version"):
        twin.load_state_dict(old)


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = 0
        self.drop = nn.Dropout()

    def train(self, mode: bool = True):
        super().train(mode)
        if self.steps > 1:
            self.drop.eval()
        return self

    def forward(self, x):
        self.steps += 1
        return self.drop(x)


class SetsABuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("kept", torch.ones(2))

    def train(self, mode: bool = True):
        self.kept = None
        return super().train(mode)

    def forward(self, x):
        return x * 2


class Merges(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def train(self, mode: bool = True):
        super().train(mode)
        self.weight.mul_(2)

    def forward(self, x):
        return x * self.weight


class Moves(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.ones(2)

    def _apply(self, fn, recurse=True):
        self.table = fn(self.table)
        return super()._apply(fn, recurse)

    def forward(self, x):
        return x * self.table


class CountsCalls(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def train(self, mode: bool = True):
        self.calls += 1
        return super().train(mode)

    def forward(self, x):
        return x * self.calls


class AlwaysTrains(nn.Module):
    def __init__(self):
        super().__init__()
        self.on = False

    def train(self, mode: bool = True):
        self.on = mode
        return super().train()

    def forward(self, x):
        return x * 2 if self.on else x


class ChangesInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Cached()

    def train(self, mode: bool = True):
        super().train(mode)
        for child in self.children():
            forget(child)

    def forward(self, x):
        return self.inner(x)


def forget(module):
    module.cache = {}


class MayBeNone(nn.Module):
    kept: Optional[Dict[str, Tensor]]  # noqa: UP006, UP045

    def __init__(self):
        super().__init__()
        self.kept = None

    def train(self, mode: bool = True):
        if self.kept:
            self.kept = {}
        return super().train(mode)

    def forward(self, x):
        if self.kept is None:
            self.kept = {}
            return x + 1
        return x


class TakesAnotherMode(Cached):
    cache: Dict[str, Tensor]  # noqa: UP006

    def train(self, mode: bool = True):
        mode = mode and len(self.cache) > 0
        self.cache = {}
        return super().train(mode)


class LoadsNothing(Cached):
    cache: Dict[str, Tensor]  # noqa: UP006

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        state_dict.pop(prefix + "weight")


def logged(method):
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        self.cache = {}
        return method(self, *args, **kwargs)

    return wrapper


class IsWrapped(Cached):
    cache: Dict[str, Tensor]  # noqa: UP006

    @logged
    def train(self, mode: bool = True):
        return super().train(mode)


class HasAProperty(nn.Module):
    def __init__(self):
        super().__init__()
        self.number = 1

    @property
    def shown(self) -> int:
        return self.number

    @shown.setter
    def shown(self, value: int):
        self.number = value

    def train(self, mode: bool = True):
        self.shown = 2
        return super().train(mode)

    def forward(self, x):
        return x * self.number


@pytest.mark.parametrize(
    ("make", "why", "text"),
    [
        (MayBeNone, "empties 'kept', which may be None", "class MayBeNone"),
        (TakesAnotherMode, "`mode`", "mode = mode and"),
        (LoadsNothing, r"does not call super\(\)\._load_from_state_dict once", "def _load"),
        (IsWrapped, "the decorator 'logged' of 'train'", "@logged"),
        (HasAProperty, r"self\.shown", "self.shown = 2"),
        (Counts, "reads 'steps', which changes", "def train"),
        (SetsABuffer, "sets the registered 'kept'", "def train"),
        (Merges, r"self\.weight\.mul_\(2\)", "self.weight.mul_(2)"),
        (Moves, r"self\.table", "self.table = fn(self.table)"),
        (CountsCalls, r"`self\.calls`", "self.calls += 1"),
        (AlwaysTrains, "trains where it is told not to", "def train"),
        (ChangesInside, r"forget\(child\)", "forget(child)"),
    ],
)
def test_what_can_not_be_read_of_an_override_is_refused(
    make: type[nn.Module], why: str, text: str
) -> None:
    with pytest.raises(UnsupportedModuleError, match=why) as refused:
        convert(make())
    place = refused.value.place
    assert place is not None and place.file == __file__
    assert text in Path(__file__).read_text().splitlines()[place.line - 1]


def test_a_method_that_was_replaced_is_refused() -> None:
    module = nn.Sequential(nn.Dropout(), HoldsThemAll())
    vars(module[1])["train"] = lambda mode=True: module
    with pytest.raises(UnsupportedModuleError, match="a HoldsThemAll whose train was replaced"):
        convert(module)


def test_a_trial_of_an_override_leaves_the_module_as_it_was() -> None:
    module = HoldsThemAll()
    before = copy.deepcopy([vars(child) for child in module.modules()])
    convert(module)
    after = [vars(child) for child in module.modules()]
    assert [{**a, "_modules": 0}.keys() for a in before] == [b.keys() | {"_modules"} for b in after]
    assert [a["training"] for a in before] == [b["training"] for b in after]


TEXT = """graph G torch.nn.Module {
  attribute "a": "int" = 1
  versioned
  reset "a" = 2 on train False
  reset "a" = 1 on _apply
  method forward(%x) -> "Tensor" {
    give %x
  }
}"""


def test_resets_are_part_of_the_text_form_and_of_equality() -> None:
    graph = parse(TEXT)
    assert str(graph) == TEXT
    assert graph.resets == (Reset("train", "a", 2, False), Reset("_apply", "a", 1))
    assert graph != parse(TEXT.replace("= 2 on", "= 2.0 on"))
    assert graph != parse(TEXT.replace("train False", "train"))
    assert graph.versioned and graph != parse(TEXT.replace("versioned", ""))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('reset "a"', 'reset "b"', "resets 'b', which is no attribute"),
        ("on _apply", "on _aply", "did you mean '_apply'"),
        ('reset "a" = 1 on _apply', 'pinned ("norm",)', "pins 'norm', which does not exist"),
    ],
)
def test_resets_and_pins_of_what_does_not_exist_are_found(old: str, new: str, why: str) -> None:
    with pytest.raises(InvalidGraphError, match=why):
        verify(parse(TEXT.replace(old, new)))
