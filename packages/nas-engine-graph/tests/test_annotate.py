"""Annotations against real runs: shapes, dtypes and floating-point operations by value."""

import copy
import importlib
import pkgutil
import re

import corpus
import pytest
import torch
import torch.nn.functional as F
from corpus.case import CASES, Case
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas_engine_graph import convert
from nas_engine_graph.annotate import annotate, flops_of
from nas_engine_graph.errors import InvalidInputsError
from nas_engine_graph.ir import If, Invoke, Loop, Ref, TensorType, find, parse, to_text

for _module in pkgutil.iter_modules(corpus.__path__):
    importlib.import_module(f"corpus.{_module.name}")
pytestmark = pytest.mark.filterwarnings("ignore")


def types(value) -> list[TensorType | None]:
    """The types of a result that is a tensor, or of one that is a tuple."""
    values = value if type(value) is tuple else [value]
    return [
        TensorType(str(v.dtype).removeprefix("torch."), tuple(v.shape))
        if isinstance(v, Tensor)
        else None
        for v in values
    ]


def stated(graph) -> list[TensorType | None]:
    """What the notes say of the results."""
    body = graph.function().body
    made = {v.name: (node, i) for node in body.nodes for i, v in enumerate(node.outputs)}
    results = body.results
    node, _ = made.get(getattr(results[0], "name", ""), (None, 0))
    if node is not None and str(node.operation) == "Builtin(name='tuple')":
        results = node.inputs
    found = []
    for result in results:
        node, index = made.get(result.name, (None, 0)) if isinstance(result, Ref) else (None, 0)
        found.append(None if node is None else node.notes["outputs"][index])
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_stated_is_true(case: Case) -> None:
    torch.manual_seed(0)
    module = case.make()
    graph = convert(module)
    annotated = annotate(graph, *case.inputs, **case.keywords)
    assert annotated == graph and parse(to_text(annotated)) == graph
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            output = module(*copy.deepcopy(case.inputs), **copy.deepcopy(case.keywords))
    except Exception:
        return  # Some cases are there to raise.
    if (flops := flops_of(annotated)) is not None:
        assert flops == counter.get_total_flops() or has_fused_kernels(module)
    for ours, real in zip(stated(annotated), types(output), strict=False):
        if ours is not None and real is not None:
            assert ours.dtype == real.dtype and len(ours.shape) == len(real.shape)
            assert all(n is None or n == m for n, m in zip(ours.shape, real.shape, strict=True))


def has_fused_kernels(module: nn.Module) -> bool:
    """Whether PyTorch has kernels on the processor for it whose operations it does not count."""
    return any(isinstance(m, nn.RNNBase | nn.MultiheadAttention) for m in module.modules())


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x))) + x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.blocks = nn.ModuleList([Block(8), Block(8)])
        self.shared = Block(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        for _ in range(2):
            x = self.shared(self.shared(x))
        return self.head(x.mean((2, 3)))


def test_every_module_states_what_hooks_see() -> None:
    module, x = Net(), torch.randn(2, 3, 17, 17)
    seen: dict[str, TensorType | None] = {}
    for name, child in module.named_modules():
        child.register_forward_hook(lambda m, i, out, name=name: seen.update({name: types(out)[0]}))
    with FlopCounterMode(display=False) as counter:
        module(x)
    for child in module.modules():
        child._forward_hooks.clear()
    annotated = annotate(convert(module), x)
    for found in find(annotated, where=lambda node: isinstance(node.operation, Invoke)):
        name = ".".join((*found.path, *found.node.operation.path))
        assert found.node.notes["outputs"] == (seen[name],)
        counted = sum(counter.get_flop_counts().get(f"Net.{name}", {}).values())
        assert (found.node.notes["flops"], name) == (counted, name) or "shared" in name
    assert flops_of(annotated) == counter.get_total_flops() > 0
    assert "# float32[2, 8, 8, 8]" in str(annotated)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(4, 6)
        self.narrow = nn.Linear(6, 2)

    def forward(self, x):
        y = self.a(x) if x.sum() > 0 else self.b(x)
        items = [x]
        if x.mean() > 0:
            items.append(x)
            z = self.narrow(y)
        else:
            z = y
        while z.sum() > 100:
            z = z / 2
        return y, z, torch.stack(items)


def test_what_depends_on_elements_is_joined() -> None:
    graph = annotate(convert(Branches()), torch.empty(3, 4))
    first, second = (found.node for found in find(graph, where=lambda n: n.operation == If()))
    assert first.notes == {"outputs": (TensorType("float32", (3, 6)),), "flops": 2 * 3 * 4 * 6}
    assert second.notes == {"outputs": (None,), "flops": None}
    (loop,) = (found.node for found in find(graph, where=lambda n: n.operation == Loop()))
    assert loop.notes["outputs"][-1] is None
    (stack,) = (found.node for found in find(graph, name="aten.stack.default"))
    assert stack.notes["outputs"] == (None,), "the list may have one or two items"
    assert flops_of(graph) is None
    (bool_, *_) = (found.node for found in find(graph, name="bool"))
    assert "meta" in bool_.notes["problem"]


def test_inputs_that_do_not_fit_are_said_at_the_node() -> None:
    graph = annotate(convert(Branches()), torch.empty(3, 5))
    found = next(iter(find(graph, name="a")))
    assert "same reduction dim" in found.node.notes["problem"]
    (line,) = (line for line in str(graph).splitlines() if line.lstrip().startswith("%a = "))
    assert re.search(r"# \?, \? FLOPs, .*same reduction dim", line)


def test_inputs_have_to_be_those_of_forward() -> None:
    graph, x = convert(Branches()), torch.empty(3, 4)
    for inputs, keywords, words in (
        ((), {}, "no value for 'x': forward takes 'x'"),
        ((x, x), {}, "2 inputs are too many"),
        ((), {"x": x, "xs": x}, "no input 'xs'; did you mean 'x'?"),
    ):
        with pytest.raises(InvalidInputsError) as caught:
            annotate(graph, *inputs, **keywords)
        assert words in str(caught.value)
    assert annotate(graph, x=x) == graph


class Carries(nn.Module):
    def forward(self, x):
        pair = (x, x.sum())
        while pair[1] < 10:
            pair = (pair[0] * 2, pair[1] + 1)
        return pair


def test_what_a_loop_carries_settles() -> None:
    graph = annotate(convert(Carries()), torch.empty(3, 4))
    (product,) = (found.node for found in find(graph, name="aten.mul.Scalar"))
    assert product.notes["outputs"] == (TensorType("float32", (3, 4)),)


def test_the_graph_and_the_random_state_stay_as_they_were() -> None:
    graph, state = convert(Net()), torch.get_rng_state()
    text = str(graph)
    annotated = annotate(graph, torch.randn(2, 3, 17, 17, generator=torch.Generator()))
    assert str(graph) == text != str(annotated)
    assert torch.equal(state, torch.get_rng_state())
    assert "#" not in to_text(parse(str(annotated)))
