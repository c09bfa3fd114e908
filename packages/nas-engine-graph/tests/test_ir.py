"""The IR on its own: text, digest, verification, edits."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas_engine_graph import InvalidGraphError, convert
from nas_engine_graph.ir import (
    Builtin,
    Const,
    If,
    Invoke,
    Layer,
    Node,
    Operator,
    Ref,
    Value,
    at,
    connect,
    drop_unused,
    find,
    insert_after,
    layers,
    parse,
    remove,
    replace_member,
    replace_node,
    to_text,
    verify,
)


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x):
        return F.relu(self.act(self.conv(x)) + x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.blocks = nn.ModuleList([Block(4), Block(4)])
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


TEXT = """graph T torch.nn.Module {
  method forward(%x) -> "Tensor" {
    %y = aten.mul.Tensor(%x, 2)
    %z = aten.add.Scalar(%y, 1)
    give %z
  }
}"""


def test_frozen() -> None:
    graph = parse(TEXT)
    with pytest.raises(FrozenInstanceError):
        graph.name = "other"


def test_text_form_parses_back() -> None:
    graph = convert(Net())
    assert parse(str(graph)) == graph
    assert to_text(parse(str(graph))) == str(graph)
    assert str(parse(TEXT)) == TEXT


def test_constants_compare_by_type() -> None:
    assert parse(TEXT) != parse(TEXT.replace("%x, 2)", "%x, 2.0)"))
    assert Const(1) != Const(True) and Const(0.0) != Const(-0.0)
    assert Const(float("nan")) == Const(float("nan"))


def test_names_do_not_count() -> None:
    assert parse(TEXT) == parse(TEXT.replace("%y", "%other").replace("graph T", "graph U"))
    assert parse(TEXT) != parse(TEXT.replace("give %z", "give %y"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("%y, 1", "%w, 1", "%w is used where it is not defined"),
        ("%z =", "%y =", "%y is defined twice"),
        ("aten.add.Scalar(%y, 1)", 'read "weight"()', "does not exist"),
        ("aten.add.Scalar(%y, 1)", 'invoke "conv"(%y)', "does not exist"),
        ("aten.add.Scalar(%y, 1)", "if(%y)", "wrong number"),
    ],
)
def test_verify_refuses(old: str, new: str, words: str) -> None:
    with pytest.raises(InvalidGraphError, match=words):
        verify(parse(TEXT.replace(old, new)))


def test_bad_text_names_the_line() -> None:
    with pytest.raises(InvalidGraphError, match="line 3"):
        parse(TEXT.replace("aten.mul.Tensor(%x, 2)", "aten.mul.Tensor(%x; 2)"))
    with pytest.raises(InvalidGraphError, match=r"line \d+: 'aten.mul' where an operation belongs"):
        parse(TEXT.replace("aten.mul.Tensor", "aten.mul"))


@pytest.mark.parametrize("name", ["aten.exq.default", "aten._softmax.Sometimes", "own.exp.default"])
def test_an_operator_that_torch_has_not_is_named(name: str) -> None:
    text = """graph Net torch.nn.Module {
  method forward(%x) -> "Tensor" {
    %y = aten.exp.default(%x)
    give %y
  }
}"""
    assert "torch.exp(x)" in parse(text).to_source()
    with pytest.raises(InvalidGraphError, match=f"torch has no operator '{name}'"):
        parse(text.replace("aten.exp.default", name)).to_source()


def test_find_by_type_and_name() -> None:
    graph = convert(Net())
    assert [".".join(path) for path, _ in layers(graph, kind="Conv2d")] == [
        "stem", "blocks.0.conv", "blocks.1.conv",
    ]  # fmt: skip
    assert [found.path for found in find(graph, kind="Block")] == [(), ()]
    assert len(list(find(graph, name="torch.nn.functional.relu"))) == 2
    assert len(list(find(graph, name="conv"))) == 2


def test_replacing_a_layer_shares_the_rest() -> None:
    graph = convert(Net())
    wide = replace_member(
        graph, "blocks.0.conv", Layer("torch.nn.Conv2d", (4, 4, 5), (("padding", 2),))
    )
    assert at(wide, "blocks.1") is at(graph, "blocks.1")
    assert at(graph, "blocks.0.conv") != at(wide, "blocks.0.conv")
    verify(wide)
    made = wide.instantiate()
    assert made.blocks[0].conv.kernel_size == (5, 5) and made.blocks[1].conv.kernel_size == (3, 3)
    assert made(torch.randn(1, 3, 6, 6)).shape == (1, 2)


def test_inserting_a_layer() -> None:
    graph = convert(Net())
    found = next(iter(find(graph, name="stem")))
    (output,) = found.node.outputs
    graph = replace_member(graph, "norm", Layer("torch.nn.BatchNorm2d", (4,)))
    added = Node(Invoke(("norm",)), (Ref(output.name),), outputs=(Value("normed"),), label="norm")
    graph = insert_after(connect(graph, found, output.name, Ref("normed")), found, added)
    verify(graph)
    assert "norm" in dict(graph.instantiate().named_modules())
    assert [f.node.label for f in find(graph, label="norm")] == ["norm"]


def test_replace_and_remove_nodes() -> None:
    graph = parse(TEXT)
    (mul,) = find(graph, name="aten.mul.Tensor")
    halved = replace_node(graph, mul, replace(mul.node, inputs=(Ref("x"), Const(0.5))))
    assert torch.equal(halved.instantiate()(torch.ones(1)), torch.tensor([1.5]))
    removed = remove(graph, mul, instead=Ref("x"))
    assert torch.equal(verify(removed).instantiate()(torch.ones(1)), torch.tensor([2.0]))


def test_drop_unused_keeps_effects() -> None:
    text = TEXT.replace(
        "give %z", "%w = aten.exp.default(%z)\n    %v = aten.add_.Scalar(%y, 1)\n    give %z"
    )
    graph = drop_unused(parse(text))
    kept = [node.operation for node in graph.function().body.nodes]
    assert Operator("aten.exp.default") not in kept and Operator("aten.add_.Scalar") in kept
    assert drop_unused(graph) is graph
    assert Builtin("print") not in kept


BRANCHED = TEXT.replace(
    "    give %z",
    """    %a = aten.exp.default(%z)
    %b = aten.exp.default(%a)
    %d = if(%y) {
      %e = aten.sin.default(%b)
      give %y
    } {
      give %y
    }
    give %d""",
)


def test_drop_unused_follows_a_chain_out_of_blocks() -> None:
    dropped = verify(drop_unused(verify(parse(BRANCHED))))
    assert [node.operation for node in dropped.function().body.nodes] == [
        Operator("aten.mul.Tensor"),
        If(),
    ]
    assert drop_unused(dropped) is dropped


def test_what_a_block_defines_is_not_seen_after_it() -> None:
    with pytest.raises(InvalidGraphError, match="%e is a result where it is not defined"):
        verify(parse(BRANCHED.replace("give %d", "give %e")))


def test_source_runs_without_this_project(tmp_path) -> None:
    file = tmp_path / "model.py"
    file.write_text(convert(Net()).to_source())
    program = (
        "import sys; sys.modules['nas_core'] = sys.modules['nas_engine_graph'] = None\n"
        "import model, torch; print(model.Net()(torch.ones(1, 3, 6, 6)).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "torch.Size([1, 2])" in done.stdout, done.stderr


def test_source_is_deterministic_and_stands_alone() -> None:
    source = convert(Net()).to_source()
    assert source == convert(Net()).to_source()
    assert "nas" not in source and "class Block(nn.Module)" in source
    assert source.count("class Block") == 1
