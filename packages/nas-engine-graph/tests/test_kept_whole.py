"""Modules that are kept whole since they can't be converted, and what others do with them."""

import warnings
from typing import Any

import pytest
import torch
from corpus.kept_whole import (
    HoldsBoth,
    HoldsFlagged,
    HoldsWhatHolds,
    SharesConfig,
    UsesParts,
    WithoutPooling,
)
from torch import nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.ir import layers
from nas_engine_graph.testing import assert_same_behaviour


@pytest.mark.filterwarnings("ignore:kept as a basic unit")
@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (UsesParts, ()),
        (UsesParts, (torch.tensor([[True, False, True], [False, True, True]]),)),
        (WithoutPooling, ()),
        (SharesConfig, ()),
        (HoldsBoth, ()),
    ],
)
def test_results_that_torchscript_can_not_read_are_used_by_their_parts(
    kind: type[nn.Module], inputs: tuple[Any, ...]
) -> None:
    module = kind()
    with pytest.raises(UnsupportedModuleError, match="train"):
        convert(module)
    graph = convert(module, on_unsupported="basic_unit")
    source = graph.to_source()
    assert "Body(" in source and "class Body" not in source
    assert_same_behaviour(module, graph.instantiate(), torch.randn(2, 3), *inputs)


@pytest.mark.filterwarnings("ignore:kept as a basic unit")
def test_flags_of_which_only_the_choice_is_kept_are_found() -> None:
    module = HoldsFlagged()
    graph = convert(module, on_unsupported="basic_unit")
    assert [layer.kwargs for _, layer in layers(graph)] == [
        (("pooling", False),),
        (("norm", True), ("bias", False)),
    ]
    assert_same_behaviour(module, graph.instantiate(), torch.randn(2, 3))


def test_each_is_told_once() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        convert(UsesParts(), on_unsupported="basic_unit")
    assert [str(w.message)[:23] for w in heard] == ["kept as a basic unit: /"]


def test_what_is_around_one_that_can_not_be_made_again_is_kept() -> None:
    module = HoldsWhatHolds()
    with pytest.warns(UserWarning, match="kept as a basic unit") as heard:
        graph = convert(module, on_unsupported="basic_unit")
    assert len(heard) == 1 and "kept_whole.py" in str(heard[0].message)
    assert "Around(times=3)" in graph.to_source()
    assert_same_behaviour(module, graph.instantiate(), torch.randn(2, 3))


def test_what_is_not_inside_of_others_can_not_be_kept() -> None:
    module = UsesParts().body
    with pytest.raises(UnsupportedModuleError, match="basic_unit"):
        convert(module)
    with pytest.raises(
        UnsupportedModuleError, match=r"train.*make it a part of a module"
    ) as caught:
        convert(module, on_unsupported="basic_unit")
    assert caught.value.outermost and "kept_whole.py" in str(caught.value)
    with pytest.raises(UnsupportedModuleError, match=r"one layer.*make it a part of a module"):
        convert(nn.Linear(3, 3))
