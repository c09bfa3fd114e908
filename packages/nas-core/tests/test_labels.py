"""Labels of modules: given by hand, or those of the choices that chose them."""

from __future__ import annotations

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core.errors import UnsupportedSpaceError
from nas_core.labels import label_of

OPERATIONS = {"conv": lambda a, b: nn.Conv2d(a, b, 1), "skip": lambda a, b: nn.Identity()}


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nas.labelled(nn.Linear(4, 4), "the stem")
        self.body = nn.LayerChoice({"linear": nn.Linear(4, 4), "act": nn.ReLU()}, label="body")
        self.unnamed = nn.LayerChoice([nn.Linear(4, 4), nn.ReLU()])
        self.some = nn.InputChoice(2, label="some")
        self.blocks = nn.Repeat(nn.Linear(4, 4), (0, 2), label="depth")
        self.fixed = nn.Repeat(nn.Linear(4, 4), 2)
        self.cell = nn.Cell([nn.Identity(), nn.ReLU()], 2, label="cell")
        self.dense = nn.NasBench201Cell(OPERATIONS, 4, 4, 3, label="dense")


@pytest.mark.parametrize("seed", range(6))
def test_what_was_chosen_has_the_label_of_the_choice(seed: int) -> None:
    net = Net()
    model = nas.build(net, nas.Space.of(net).sample(seed=seed))
    found = {name: label_of(m) for name, m in model.named_modules() if label_of(m)}
    assert found == {
        "stem": "the stem",
        "body": "body",
        "unnamed": "unnamed",
        "some": "some",
        "blocks": "depth",
        "cell.ops.0.0": "cell.op_1_0",
        "cell.ops.1.0": "cell.op_2_0",
        **{f"dense.layers.{j - 1}.{i}": f"dense.{j}_{i}" for j in (1, 2) for i in range(j)},
    }


@pytest.mark.parametrize("label", ["", None, 3])
def test_a_label_is_a_string(label: object) -> None:
    with pytest.raises(ValueError, match="non-empty string"):
        nas.labelled(torch.nn.ReLU(), label)


def test_a_label_is_no_part_of_the_state() -> None:
    plain, marked = torch.nn.Linear(2, 2), nas.labelled(torch.nn.Linear(2, 2), "here")
    assert list(plain.state_dict()) == list(marked.state_dict())
    assert repr(plain) == repr(marked)


class Needing(Net):
    nas_needs = "mutators"


def test_a_model_that_needs_more_than_its_constructor_has_no_recipe() -> None:
    for act in (nas.recipe, lambda model: nas.build(model, nas.Space.of(model).default())):
        with pytest.raises(UnsupportedSpaceError, match="needs an engine that has 'mutators'"):
            act(Needing())
