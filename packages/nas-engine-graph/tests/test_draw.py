"""Pictures of graphs: what is drawn, and which choice is named where."""

import re
import sys
from xml.etree import ElementTree

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
import torch.nn.functional as F
from nas_core.errors import UnsupportedFormatError

from nas_engine_graph import convert
from nas_engine_graph.draw import draw, labelled, labels_of
from nas_engine_graph.draw.picture import to_dot
from nas_engine_graph.draw.render import to_svg
from nas_engine_graph.ir import Layer, at

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


class Block(nn.Module):
    def __init__(self, width: int, i: int):
        super().__init__()
        self.layer = nn.Linear(width, width, bias=nn.ValueChoice([True, False], label=f"bias{i}"))
        self.act = nn.LayerChoice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label=f"act{i}")

    def forward(self, x):
        return F.dropout(self.act(self.layer(x)), 0.1, self.training) + x


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = nn.ValueChoice([4, 8], label="width")
        self.stem = nn.Linear(3, width)
        self.blocks = nn.Repeat(lambda i: Block(width, i), (1, 3), label="depth")
        deep = nn.Sequential(nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, width))
        self.body = nn.LayerChoice([deep, nn.Identity()], label="body")
        self.pick = nn.InputChoice(2, n_chosen=1, label="pick")

    def forward(self, x):
        x = self.blocks(self.stem(x))
        y = self.pick([x, self.body(x)])
        return y * 2 if y.sum() > 0 else y


ARCHITECTURE = {
    "width": 8, "depth": 2, "bias0": True, "act0": "tanh", "bias1": False, "act1": "relu",
    "body": 0, "pick": [1],
}  # fmt: skip


def graph_of(architecture):
    return convert(nas.build(Net(), architecture))


def test_each_module_is_labelled_with_what_decided_about_it() -> None:
    model = Net()
    nas.Space.of(model)
    labels = labels_of(model, ARCHITECTURE)
    named = {".".join(path): label for path, label in labels.items()}
    assert named["stem"] == "width" and named["blocks.1"] == "depth" and named["pick"] == "pick"
    assert named["blocks.0.layer"] == "width, bias0" and named["blocks.1.act"] == "act1"
    assert named["body"] == "body" and named["body.0"] == "width" and "body.1" not in named
    graph = labelled(graph_of(ARCHITECTURE), labels)
    assert graph == graph_of(ARCHITECTURE), "labels are no part of equality"
    assert at(graph, "blocks.0.act").label == "act0" and isinstance(at(graph, "stem"), Layer)
    assert 'label "width, bias0"' in str(graph)


def test_all_that_tensors_flow_through_is_drawn_once() -> None:
    model = Net()
    nas.Space.of(model)
    shown = labelled(graph_of(ARCHITECTURE), labels_of(model, ARCHITECTURE))
    dot = to_dot(shown, ARCHITECTURE)
    for words, times in {
        "Linear(3, 8)": 1, "Linear(8, 8)": 1, "Linear(8, 8, bias=False)": 1, "Tanh()": 1,
        "dropout": 2, "add": 2, "mul": 1, "choice: act0": 1, "choice: depth": 3, "result": 1,
        "0: Block": 1, "1: Block": 1, "body: Sequential": 1, "choice: pick": 1, "width = 8": 1,
    }.items():  # fmt: skip
        assert dot.count(words) == times, words
    assert dot.count("subgraph") == 6, "the blocks, each of them, the body, both arms"
    assert "getitem" not in dot, "how an InputChoice works is not drawn"


def test_skip_connections_and_both_arms_lead_on() -> None:
    class Skip(torch.nn.Module):
        def forward(self, x, y):
            z = x.sin() if x.sum() > 0 else y.cos()
            return z + x

    dot = to_dot(convert(Skip()))
    names = dict(re.findall(r"(n\d+) \[label=(\w+)", dot))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(n\d+) -> (n\d+)", dot)}
    assert edges == {
        ("x", "sin"), ("y", "cos"), ("x", "sum"), ("sum", "gt"), ("sin", "add"), ("cos", "add"),
        ("x", "add"), ("add", "result"),
    }  # fmt: skip


def test_what_is_put_into_lists_and_changed_in_place_leads_on() -> None:
    class Gathers(torch.nn.Module):
        def forward(self, x, y):
            items = [x.sin()]
            while len(items) < 3:
                items.append(y.cos())
            z = torch.stack(items)
            z.exp_()
            return z.sum()

    dot = to_dot(convert(Gathers()))
    names = dict(re.findall(r"(n\d+) \[label=(\w+)", dot))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(n\d+) -> (n\d+)", dot)}
    assert edges == {
        ("x", "sin"), ("y", "cos"), ("sin", "stack"), ("cos", "stack"), ("stack", "exp_"),
        ("exp_", "sum"), ("sum", "result"),
    }  # fmt: skip


def test_arrows_do_not_run_over_the_titles_of_boxes() -> None:
    svg = to_svg(to_dot(graph_of(ARCHITECTURE)))
    *boxes, over = svg.split('<g paint-order="stroke"')
    titles = re.findall(r">([^<]*: (?:Block|Sequential))</text>", over)
    assert titles and not any(title in "".join(boxes) for title in titles)
    assert "<path" not in over and "<polygon" not in over
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_a_net_of_thirty_layers_becomes_one_picture() -> None:
    net = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(30)))
    svg = to_svg(to_dot(convert(net)))
    assert len(re.findall("Linear\\(4, 4\\)", svg)) == 30
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = convert(torch.nn.Sequential(torch.nn.ReLU()))
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    with pytest.raises(UnsupportedFormatError, match="wasmtime.*nas-engine-graph.draw"):
        draw(graph, torch.nn.Sequential(), {}, "svg")
    assert "ReLU" in draw(graph, torch.nn.Sequential(), {}, "dot")
