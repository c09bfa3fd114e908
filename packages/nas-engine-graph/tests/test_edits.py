"""Edits of modules, and rewriting by pattern: what is made runs as it says."""

from __future__ import annotations

import nas_core as nas
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_engine_graph import InvalidGraphError, convert
from nas_engine_graph.ir import (
    Graph,
    Layer,
    at,
    chain,
    find,
    find_one,
    insert_module,
    modules,
    parse,
    path_of,
    remove_module,
    repeat_module,
    replace_module,
    verify,
)
from nas_engine_graph.mutate import fragment, matches, replace_match, rewrite

RELU, TANH = Layer("torch.nn.ReLU"), Layer("torch.nn.Tanh")


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.side = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x))) + self.side(x) * 2


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nas.labelled(nn.Conv2d(3, 3, 1), "stem")
        self.blocks = nn.Sequential(nas.labelled(Block(), "block"), nn.ReLU(), Block())
        self.items = nn.ModuleList([nn.Tanh(), nn.Sigmoid()])

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        for item in self.items:
            x = item(x)
        return x


X = torch.randn(2, 3, 5, 5)


def run(graph: Graph, weights: nn.Module | None = None) -> Tensor:
    torch.manual_seed(0)
    model = verify(graph).instantiate()
    if weights is not None:
        model.load_state_dict(weights.state_dict(), strict=False)
    found: Tensor = model(X)
    return found


@pytest.fixture(scope="module")
def net() -> Net:
    return Net()


@pytest.fixture(scope="module")
def graph(net: Net) -> Graph:
    return convert(net)


def test_modules_are_found_by_label_and_kind(graph: Graph) -> None:
    assert path_of(graph, "stem") == ("stem",)
    assert path_of(graph, "block") == ("blocks", "0")
    assert [path for path, _ in modules(graph, kind="Block")] == [("blocks", "0"), ("blocks", "2")]
    with pytest.raises(KeyError, match="did you mean 'stem'"):
        path_of(graph, "stom")
    assert find_one(graph, label="stem").node is next(find(graph, name="stem")).node
    with pytest.raises(KeyError, match="2 nodes have kind 'BatchNorm2d', not one"):
        find_one(graph, kind="BatchNorm2d")


def test_labels_survive_the_text_form_and_replacement(graph: Graph) -> None:
    assert path_of(parse(str(graph)), "block") == ("blocks", "0")
    swapped = replace_module(graph, path_of(graph, "stem"), Layer("torch.nn.Conv2d", (3, 3, 5)))
    assert path_of(swapped, "stem") == ("stem",)
    with pytest.raises(KeyError, match="nothing at 'stom'"):
        replace_module(graph, "stom", RELU)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_repeating(net: Net, graph: Graph, times: int) -> None:
    made = verify(repeat_module(graph, path_of(graph, "block"), times)).instantiate()
    assert [name for name, _ in made.blocks[0].named_children()] == [str(i) for i in range(times)]
    made.stem.load_state_dict(net.stem.state_dict())
    for block in made.blocks[0]:
        block.load_state_dict(net.blocks[0].state_dict())
    made.blocks[2].load_state_dict(net.blocks[2].state_dict())
    x = net.stem(X)
    for _ in range(times):
        x = net.blocks[0](x)
    expected = torch.sigmoid(torch.tanh(net.blocks[2](torch.relu(x))))
    torch.testing.assert_close(made(X), expected)
    assert len({id(p) for p in made.parameters()}) == 4 + 6 * times + 4


def test_only_one_value_for_one_value_is_repeated() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Bilinear(2, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x, x)

    graph = convert(Two())
    for edit in (lambda: repeat_module(graph, "layer", 2), lambda: remove_module(graph, "layer")):
        with pytest.raises(InvalidGraphError, match="one value for one value"):
            edit()


def test_inserting_and_removing_are_inverse(graph: Graph) -> None:
    for where in ("stem", "blocks", "blocks.1", "blocks.0.bn", "items.0"):
        for before in (False, True):
            more = verify(insert_module(graph, where, TANH, before=before))
            (new,) = {p for p, _ in modules(more, kind="Tanh")} - {
                p for p, _ in modules(graph, kind="Tanh")
            } or [("blocks", "1")]
            assert more != graph
            if new[0] != "blocks":
                assert verify(remove_module(more, new)) == graph, where


def test_inserting_is_where_it_says(net: Net, graph: Graph) -> None:
    x = net.blocks(torch.tanh(net.stem(X)))
    expected = torch.sigmoid(torch.tanh(x))
    for where, before in (("stem", False), ("blocks", True)):
        torch.testing.assert_close(
            run(insert_module(graph, where, TANH, before=before), net), expected
        )
    inside = insert_module(graph, "blocks.1", TANH, before=True)
    assert list(inside.instantiate().blocks)[1].__class__ is nn.Tanh
    assert list(inside.instantiate().blocks)[2].__class__ is nn.ReLU


def test_removing_from_a_chain(net: Net, graph: Graph) -> None:
    fewer = verify(remove_module(graph, "blocks.1")).instantiate()
    assert [name for name, _ in fewer.blocks.named_children()] == ["0", "1"]
    with pytest.raises(KeyError):
        remove_module(graph, "blocks.7")


def test_a_chain_whose_members_are_used_by_number_is_not_renumbered() -> None:
    class Reaches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seq = nn.Sequential(nn.Linear(2, 2), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.seq(x) + self.seq[1](x)

    with pytest.raises(InvalidGraphError, match="used by number"):
        remove_module(convert(Reaches()), "seq.0")


def test_a_sequential_that_lies_is_no_graph() -> None:
    good = chain(RELU, TANH)
    verify(good)
    lying = str(good).replace('invoke "1"(%input_1)', 'invoke "1"(%input)')
    with pytest.raises(InvalidGraphError, match="hand on one value"):
        verify(parse(lying))
    with pytest.raises(InvalidGraphError, match="in order"):
        verify(parse(str(good).replace('invoke "1"', 'invoke "0"')))
    with pytest.raises(InvalidGraphError, match="last member"):
        verify(parse(str(good).replace("give %input_2", "give %input")))


# ---------------------------------------------------------------------- patterns


def relu(x: Tensor) -> Tensor:
    return F.relu(x)


def doubled(x: Tensor, k: int) -> Tensor:
    return x * k


def test_a_function_is_a_pattern(net: Net, graph: Graph) -> None:
    assert [m.path for m in matches(graph, relu)] == [("blocks", "0"), ("blocks", "2")]
    made = rewrite(graph, relu, "take %x %y = call torch.nn.functional.gelu(%x) give %y")
    by_hand = rewrite(graph, relu, nn.GELU())
    torch.testing.assert_close(run(made, net), run(by_hand, net))
    assert not torch.equal(run(made, net), net(X))
    assert not list(matches(made, relu))


def test_constants_are_captured(graph: Graph) -> None:
    found = list(matches(graph, doubled))
    assert [match.constant("k") for match in found] == [2, 2]
    with pytest.raises(KeyError, match="no constant"):
        found[0].constant("x")
    assert list(matches(graph, "take %x %y = aten.mul.Scalar(%x, 3) give %y")) == []
    assert list(matches(graph, doubled, where=lambda m: m.constant("k") == 3)) == []
    made = rewrite(graph, doubled, "take %x, %k %y = aten.div.Scalar(%x, %k) give %y")
    assert "/ 2" in made.to_source() or "div" in made.to_source()


def test_a_module_is_a_pattern_and_its_layers_go(net: Net, graph: Graph) -> None:
    pattern = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    made = rewrite(graph, pattern, make=lambda match: nn.Conv2d(3, 3, 3, padding=1))
    block = made.instantiate().blocks[0]
    assert [name for name, _ in block.named_children()] == ["conv", "side"]
    x = net.blocks[0].conv(X)
    model = convert(net.blocks[0])
    folded = rewrite(model, pattern, make=lambda match: nn.Conv2d(3, 3, 3, padding=1))
    torch.testing.assert_close(
        run(folded, net.blocks[0]), torch.relu(x) + net.blocks[0].side(X) * 2
    )


def test_a_text_means_the_modules_of_the_pattern_by_name(net: Net, graph: Graph) -> None:
    made = rewrite(
        graph,
        'take %x %c = invoke "conv"(%x) %y = invoke "norm"(%c) give %y',
        fragment(
            'take %x %c = invoke "conv"(%x) %a = invoke "act"(%c) %y = invoke "norm"(%a) give %y',
            {"act": TANH},
        ),
        kinds={"norm": "BatchNorm2d"},
    )
    block = made.instantiate().blocks[0]
    assert {name for name, _ in block.named_children()} == {"conv", "bn", "side", "act"}
    inner = net.blocks[0]
    got = run(rewrite(convert(inner), *_act()), inner)
    norm = nn.functional.batch_norm(torch.tanh(inner.conv(X)), None, None, training=True)
    torch.testing.assert_close(got, torch.relu(norm) + inner.side(X) * 2)


def _act() -> tuple[str, object]:
    pattern = 'take %x %c = invoke "conv"(%x) %y = invoke "norm"(%c) give %y'
    put = 'take %x %c = invoke "conv"(%x) %a = aten.tanh.default(%c) %y = invoke "norm"(%a) give %y'
    return pattern, put


def test_a_chain_stays_a_chain_or_becomes_a_module() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU())
    swapped = rewrite(convert(net), nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh(), nn.GELU()))
    kinds = [type(m).__name__ for m in swapped.instantiate()]
    assert kinds == ["Linear", "Tanh", "GELU", "Linear", "Tanh", "GELU"]
    added = rewrite(
        convert(net), nn.Sequential(nn.ReLU()), "take %x %y = aten.relu.default(%x) give %y"
    )
    model = verify(added).instantiate()
    model.load_state_dict(net.state_dict())
    x = torch.randn(3, 2)
    torch.testing.assert_close(model(x), net(x))


class Effects(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        x.add_(1)
        return y + 1


class Quiet(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        z = x + 5
        return (y + 1) * z


class Shared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        return (y + 1) * y


class Inside(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            x = x * 2 + 1
        for _ in range(x.shape[0]):
            x = x * 2 + 1
        return x


def affine(x: Tensor) -> Tensor:
    return x * 2 + 1


@pytest.mark.parametrize(("kind", "count"), [(Effects, 0), (Quiet, 1), (Shared, 0), (Inside, 2)])
def test_nothing_is_moved_across_an_effect_or_taken_from_others(
    kind: type[nn.Module], count: int
) -> None:
    graph = convert(kind())
    assert len(list(matches(graph, affine))) == count
    made = rewrite(graph, affine, "take %x %y = aten.mul.Scalar(%x, 3) give %y")
    assert (made is graph) == (count == 0)
    x = torch.ones(2)
    if kind is Quiet:
        assert torch.equal(made.instantiate()(x), x * 3 * (x + 5))
    if kind is Inside:
        assert torch.equal(made.instantiate()(x), x * 27)


class Row(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.relu(F.relu(x)) * 2)


def test_matches_that_feed_each_other() -> None:
    made = rewrite(convert(Row()), relu, "take %x %y = aten.neg.default(%x) give %y")
    x = torch.randn(4)
    assert torch.equal(made.instantiate()(x), -(x * 2))
    pairs = list(matches(convert(Row()), "take %x %y = call torch.nn.functional.relu(%x)\n"
                         "%z = call torch.nn.functional.relu(%y) give %z"))  # fmt: skip
    assert len(pairs) == 1


def test_one_match_alone_is_replaced() -> None:
    graph = convert(Row())
    first, *_ = matches(graph, relu)
    made = replace_match(graph, first, relu, "take %x %y = aten.neg.default(%x) give %y")
    x = torch.randn(4)
    assert torch.equal(made.instantiate()(x), torch.relu(torch.relu(-x) * 2))


@pytest.mark.parametrize(
    ("pattern", "put", "words"),
    [
        ("take %x give %x", "take %x give %x", "without nodes"),
        ("take %x %y = aten.neg.default(%x) give %x", "take %x give %x", "what its last node"),
        (
            "take %x %z = aten.exp.default(%x) %y = call torch.nn.functional.relu(%x) give %y",
            "take %x give %x",
            "does not lead",
        ),
        (relu, "take %x give %x, %x", "gives 2 values"),
        (relu, "take %a, %b give %a", "takes %a"),
        (relu, 'take %x %y = invoke "who"(%x) give %y', "'who', which is not known"),
        (relu, nn.ReLU, "call the class"),
    ],
)
def test_what_does_not_fit_is_refused(pattern: object, put: object, words: str) -> None:
    with pytest.raises(InvalidGraphError, match=words):
        rewrite(convert(Row()), pattern, put)


def test_a_pattern_with_branches_is_refused() -> None:
    with pytest.raises(InvalidGraphError, match="no branches"):
        fragment(Inside())
    assert at(convert(Net()), "stem").target == "torch.nn.Conv2d"
