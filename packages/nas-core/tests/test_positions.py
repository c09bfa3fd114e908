"""Where choices stand: labels that no order of questions changes, and where values may be kept."""

from __future__ import annotations

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch


class Block(torch.nn.Module):
    """Draws random numbers through its layers in its own constructor."""

    def __init__(self, layers, width):
        super().__init__()
        self.up = layers.Linear(4, width)
        torch.nn.init.normal_(self.up.weight)
        self.down = layers.Linear(width, 4)
        torch.nn.init.normal_(self.down.weight)
        torch.nn.init.uniform_(self.up.bias)


@nas.model_wrapper
class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.body = nn.LayerChoice([Block(nn, 3), Block(nn, 5), Block(nn, 7)], label="body")
        self.last = nn.Linear(4, 4)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_blocks_that_are_not_chosen_draw_nothing_though_they_touch_their_layers(chosen):
    net = Blocks()
    torch.manual_seed(2)
    model = nas.build(net, {"body": chosen})
    after = torch.get_rng_state()
    torch.manual_seed(2)
    hand = [torch.nn.Linear(4, 4), Block(torch.nn, [3, 5, 7][chosen]), torch.nn.Linear(4, 4)]
    assert torch.equal(after, torch.get_rng_state())
    expected = [p for module in hand for p in module.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected, strict=True))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.LayerChoice([nn.ReLU(), nn.Tanh()])


@nas.model_wrapper
class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()


def test_labels_do_not_depend_on_which_part_is_asked_first():
    net = Outer()
    assert nas.Space.of(net.inner.body).labels == ("inner.body",)
    assert nas.Space.of(net).labels == ("inner.body",)
    assert nas.build(net, {"inner.body": 1}).inner.body(torch.zeros(1)) == 0


@nas.model_wrapper
class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(nas.choose([1, 2], label="width"), 2)
        self.act = nn.LayerChoice([nn.ReLU(), nn.Tanh()])


@nas.model_wrapper
class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.depth = nas.choose([1, 2], label="depth")
        self.inner = Deciding()


def test_a_deciding_model_inside_of_another_is_a_space_of_its_own():
    net = Around()
    assert nas.Space.of(net).labels == ("depth", "width", "inner.act")
    inner = nas.Space.of(net.inner)
    assert [dict(arch) for arch in inner.enumerate()] == [
        {"width": width, "act": act} for width in (1, 2) for act in (0, 1)
    ]
    assert nas.build(net.inner, {"width": 2, "act": 1}).layer.in_features == 2


class Settings:
    """A plain object that keeps values."""

    def __init__(self):
        self.scale = nn.ValueChoice([3, 4], label="scale")
        self.shift = SHIFT


SHIFT = nn.ValueChoice([1, 2], label="shift")


@nas.model_wrapper
class Configured(nn.Module):
    def __init__(self):
        super().__init__()
        self.settings = Settings()

    def forward(self, x):
        return x * self.settings.scale() + self.settings.shift()


def test_choices_in_plain_objects_belong_to_the_space_and_know_their_value():
    net = Configured()
    space = nas.Space.of(net)
    assert space.options == {"scale": (3, 4), "shift": (1, 2)}
    for arch in space.enumerate():
        assert nas.build(net, arch)(torch.ones(1)) == arch["scale"] + arch["shift"]
    assert SHIFT.label == "shift"
    assert not SHIFT.settled()
