"""The library cells: what they count, and what a chosen cell computes."""

from __future__ import annotations

import itertools
import random

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core.nn.nasbench import _channels


def conv(node: int, op: int, index: int) -> torch.nn.Module:
    return nn.Conv2d(4, 4, 1 + 2 * (index % 2), padding=index % 2)


@nas.model_wrapper
class DartsNet(nn.Module):
    def __init__(self, merge="all", label="cell"):
        super().__init__()
        self.cell = nn.Cell(
            {
                "conv": conv,
                "skip": lambda *_: nn.Identity(),
                "pool": lambda *_: nn.MaxPool2d(3, 1, 1),
            },
            num_nodes=3,
            num_ops_per_node=2,
            num_predecessors=2,
            merge_op=merge,
            label=label,
        )

    def forward(self, a, b):
        return self.cell(a, b)


def cell_by_hand(arch, a, b, ops, merge):
    """The definition of the cell, with the layers of the built one."""
    states, used = [a, b], set()
    for node in range(2, 5):
        terms = []
        for k in range(2):
            (i,) = arch[f"cell.input_{node}_{k}"]
            used.add(i)
            terms.append(ops[node - 2][k](states[i]))
        states.append(terms[0] + terms[1])
    ends = [n for n in range(2, 5) if merge == "all" or n not in used]
    return torch.cat([states[n] for n in ends], dim=1)


@pytest.mark.parametrize("merge", ["all", "loose_end"])
def test_a_built_cell_computes_its_definition(merge):
    net = DartsNet(merge)
    space = nas.Space.of(net)
    a, b = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    for seed in range(15):
        arch = space.sample(seed=seed)
        model = nas.build(net, arch)
        expected = cell_by_hand(arch, a, b, model.cell.ops, merge)
        assert torch.equal(model(a, b), expected)
        for node, k in itertools.product(range(2, 5), range(2)):
            op = model.cell.ops[node - 2][k]
            kind = {"conv": torch.nn.Conv2d, "skip": torch.nn.Identity, "pool": torch.nn.MaxPool2d}
            assert type(op) is kind[arch[f"cell.op_{node}_{k}"]]
            if isinstance(op, torch.nn.Conv2d):  # Made for the input that was chosen.
                assert op.kernel_size[0] == 1 + 2 * (arch[f"cell.input_{node}_{k}"][0] % 2)


def test_the_size_of_a_cell_is_inputs_times_operations():
    assert nas.Space.of(DartsNet()).size() == (2**2 * 3**2 * 4**2) * 3**6


def test_a_cell_of_modules_copies_them():
    shared = torch.nn.Conv2d(4, 4, 1)

    @nas.model_wrapper
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.Cell([shared, torch.nn.Identity()], num_nodes=2, label="c")

    net = Net()
    arch = {"c.input_1_0": [0], "c.op_1_0": 0, "c.input_2_0": [1], "c.op_2_0": 0}
    model = nas.build(net, arch)
    first, second = model.cell.ops[0][0], model.cell.ops[1][0]
    assert torch.equal(first.weight, shared.weight)
    assert len({first.weight.data_ptr(), second.weight.data_ptr(), shared.weight.data_ptr()}) == 3


def test_choices_inside_the_operations_of_a_cell_exist_only_where_chosen():
    @nas.model_wrapper
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.Cell(
                {
                    "conv": lambda n, k, i: nn.Conv2d(4, 4, nn.ValueChoice([1, 3]), padding="same"),
                    "skip": lambda n, k, i: nn.Identity(),
                },
                num_nodes=2,
            )

    net = Net()
    space = nas.Space.of(net)
    # Node 1: conv (2 kernels) or skip; node 2: the same on each of its two inputs.
    assert space.size() == 3 * (3 + 3)
    for arch in space.enumerate():
        model = nas.build(net, arch)
        kernels = [m.kernel_size[0] for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
        assert kernels == [v for label, v in arch.items() if label.endswith("kernel_size")]


def test_cells_refuse_what_makes_no_sense():
    with pytest.raises(
        ValueError, match=r"merge_op must be 'all' or 'loose_end', not 'some'.*test_cells"
    ):
        nn.Cell([torch.nn.Identity()], 1, merge_op="some")
    with pytest.raises(ValueError, match="num_nodes must be an integer of at least 1, not 0"):
        nn.Cell([torch.nn.Identity()], 0)
    with pytest.raises(ValueError, match=r"operation 0 must make a torch\.nn\.Module, not 3"):
        nn.Cell([lambda n, k, i: 3], 1)
    with pytest.raises(ValueError, match="was given 1 inputs"):
        nn.Cell([torch.nn.Identity()], 1, num_predecessors=2)(torch.zeros(1))
    with pytest.raises(ValueError, match="must be a function that makes a module"):
        nn.NasBench201Cell([torch.nn.Identity()], 4, 4)


OPS_201 = {
    "none": lambda a, b: Zero(),
    "skip": lambda a, b: nn.Identity() if a == b else nn.Conv2d(a, b, 1),
    "conv1": lambda a, b: nn.Conv2d(a, b, 1),
    "conv3": lambda a, b: nn.Conv2d(a, b, 3, padding=1),
    "pool": lambda a, b: nn.AvgPool2d(3, 1, 1),
}


class Zero(torch.nn.Module):
    def forward(self, x):
        return x * 0


@nas.model_wrapper
class Net201(nn.Module):
    def __init__(self, label="cell"):
        super().__init__()
        self.cell = nn.NasBench201Cell(OPS_201, 4, 4, label=label)

    def forward(self, x):
        return self.cell(x)


def test_nas_bench_201_has_15625_architectures():
    assert nas.Space.of(Net201()).size() == 15_625
    assert nas.Space.of(Net201(label=None)).labels == tuple(
        f"cell.layers.{j}.{i}" for j in range(3) for i in range(j + 1)
    )


def test_a_built_nas_bench_201_cell_computes_its_definition():
    net = Net201()
    space = nas.Space.of(net)
    x = torch.randn(2, 4, 5, 5)
    for seed in range(20):
        arch = space.sample(seed=seed)
        model = nas.build(net, arch)
        edge = {
            (j + 1, i): op for j, ops in enumerate(model.cell.layers) for i, op in enumerate(ops)
        }
        n1 = edge[1, 0](x)
        n2 = edge[2, 0](x) + edge[2, 1](n1)
        n3 = edge[3, 0](x) + edge[3, 1](n1) + edge[3, 2](n2)
        assert torch.equal(model(x), n3)
        assert sum("weight" in k for k in model.state_dict()) == sum(
            value.startswith("conv") for value in arch.values()
        )


OPS_101 = {
    "conv1": lambda c: nn.Conv2d(c, c, 1),
    "conv3": lambda c: nn.Conv2d(c, c, 3, padding=1),
    "pool": lambda c: nn.MaxPool2d(3, 1, 1),
}


@nas.model_wrapper
class Net101(nn.Module):
    def __init__(self, nodes=7, edges=9):
        super().__init__()
        self.cell = nn.NasBench101Cell(
            OPS_101, 4, 10, lambda a, b: nn.Conv2d(a, b, 1), nodes, edges, label="c"
        )

    def forward(self, x):
        return self.cell(x)


def graphs_by_brute_force(max_nodes: int, max_edges: int) -> int:
    """Count adjacency matrices of which every vertex lies on a way from input to output."""
    count = 0
    for n in range(2, max_nodes + 1):
        pairs = [(i, j) for j in range(1, n) for i in range(j)]
        for bits in itertools.product([0, 1], repeat=len(pairs)):
            edges = {pair for pair, bit in zip(pairs, bits, strict=True) if bit}
            if len(edges) > max_edges:
                continue
            has_input = all(any((i, v) in edges for i in range(v)) for v in range(1, n))
            has_output = all(any((v, j) in edges for j in range(v + 1, n)) for v in range(n - 1))
            if has_input and has_output:
                count += 3 ** (n - 2)
    return count


@pytest.mark.parametrize(("nodes", "edges"), [(2, 9), (3, 2), (4, 4), (5, 6), (5, 9)])
def test_nas_bench_101_counts_the_graphs_without_useless_vertices(nodes, edges):
    space = nas.Space.of(Net101(nodes, edges))
    assert space.size() == graphs_by_brute_force(nodes, edges)


def test_nas_bench_101_enumerates_what_it_counts():
    space = nas.Space.of(Net101(4, 5))
    found = list(space.enumerate())
    assert len(found) == len(set(found)) == space.size()


def cell_101_by_hand(arch, x, cell):
    last = arch["c.num_nodes"] - 1
    inputs = {v: arch[f"c.input_{v}"] for v in range(1, last + 1)}
    channels = _channels([inputs[v] for v in range(1, last + 1)], 4, 10)
    out = {0: x}
    for v in range(1, last):
        total = sum(out[i][:, : channels[v]] for i in inputs[v] if i)
        if 0 in inputs[v]:
            total = total + cell.projections[cell.fed_by[v - 1]](x)
        out[v] = cell.ops[v - 1](total)
    ends = [out[i] for i in inputs[last] if i]
    result = torch.cat(ends, 1) if ends else 0
    return result + cell.projections[cell.fed_by[last - 1]](x) if 0 in inputs[last] else result


def test_a_built_nas_bench_101_cell_computes_its_definition():
    net = Net101()
    space = nas.Space.of(net)
    x = torch.randn(2, 4, 5, 5)
    rng = random.Random(0)
    for _ in range(25):
        arch = space.sample(rng=rng)
        model = nas.build(net, arch)
        assert model(x).shape == (2, 10, 5, 5)
        torch.testing.assert_close(model(x), cell_101_by_hand(arch, x, model.cell))


def test_nas_bench_101_moves_keep_the_constraint():
    space = nas.Space.of(Net101())
    rng = random.Random(0)
    a, b = space.sample(rng=rng), space.sample(rng=rng)
    for _ in range(20):
        a = space.mutate(a, rng)
        assert space.validate(a) == a
        assert space.validate(space.crossover(a, b, rng)) is not None
    broken = {"c.num_nodes": 3, "c.input_1": [0], "c.op_1": "pool", "c.input_2": [0]}
    with pytest.raises(
        ValueError, match="'c has at most 9 edges and no vertex that feeds no other'"
    ):
        space.validate(broken)


@nas.model_wrapper
class Activated(nn.Module):
    def __init__(self, units=1):
        super().__init__()
        self.act = nn.AutoActivation(units, label="act")

    def forward(self, x):
        return self.act(x)


def test_auto_activation_composes_the_chosen_functions():
    x = torch.linspace(-2, 2, 9)
    net = Activated()
    cases = {
        ("identity", "sigmoid", "mul"): x * torch.sigmoid(x),  # Swish, the paper's best.
        ("relu", "negative", "max"): torch.maximum(torch.relu(x), -x),
        ("scale", "constant", "gate"): torch.sigmoid(x),
        ("square", "softplus", "sub"): x**2 - torch.nn.functional.softplus(x),
        ("cube", "shift", "mix"): 0.5 * x**3 + 0.5 * x,
    }
    for (first, second, binary), expected in cases.items():
        arch = {"act.unary_0": first, "act.unary_1": second, "act.binary_0": binary}
        assert torch.equal(nas.build(net, arch)(x), expected)


def test_every_activation_is_finite_and_has_gradients():
    net = Activated(2)
    space = nas.Space.of(net)
    assert space.size() == 25**3 * 10**2
    for seed in range(40):
        model = nas.build(net, space.sample(seed=seed))
        x = torch.tensor([-1.5, -0.2, 0.3, 1.1], requires_grad=True)
        y = model(x)
        assert torch.isfinite(y).all()
        y.sum().backward()
        assert x.grad is not None


def test_the_initial_weights_are_those_of_the_layers_in_order():
    net = Net201()
    arch = nas.Space.of(net).sample(seed=3)
    torch.manual_seed(5)
    model = nas.build(net, arch)
    after = torch.get_rng_state()
    torch.manual_seed(5)
    by_hand = [OPS_201[arch[f"cell.{j}_{i}"]](4, 4) for j in range(1, 4) for i in range(j)]
    assert torch.equal(after, torch.get_rng_state())
    hand = [p for m in by_hand for p in m.parameters()]
    assert [torch.equal(a, b) for a, b in zip(model.parameters(), hand, strict=True)] == [
        True
    ] * len(hand)
