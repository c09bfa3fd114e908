"""Mutators: their spaces, what they make, what goes wrong with them and how it is said."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from pathlib import Path

import cloudpickle
import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_core import Candidate, Space
from nas_core.errors import InvalidArchitectureError, LabelConflictError, UnsupportedSpaceError
from nas_core.testing import CountParameters, Recording
from torch import Tensor

from nas_engine_graph import Graph, Mutator, MutatorError, convert, mutated
from nas_engine_graph.engine import GraphEngine
from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir import (
    Layer,
    Operator,
    find_one,
    modules,
    path_of,
    repeat_module,
    replace_module,
    replace_node,
)
from nas_engine_graph.mutate import Choose, Match, arguments, rewrite, with_arguments


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([4, 6], label="width")
        self.stem = nn.Linear(3, width)
        self.body = nn.LayerChoice(
            {"mlp": nn.Sequential(nn.Linear(width, width), nn.ReLU()), "act": nn.ReLU()},
            label="body",
        )
        self.head = nn.Linear(width, 2)
        torch.nn.init.constant_(self.head.bias, 0.25)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)))


class Deeper(Mutator):
    """Repeats the body as often as it decides."""

    def __init__(self, label: str, most: int = 2) -> None:
        self.label, self.most = label, most

    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        times = choose(list(range(self.most + 1)), label="times")
        return repeat_module(graph, path_of(graph, self.label), times)


class Swap(Mutator):
    """An activation of its own for each one that it finds."""

    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        kinds = {"relu": Layer("torch.nn.ReLU"), "gelu": Layer("torch.nn.GELU")}
        for i, (path, _) in enumerate(modules(graph, kind="ReLU")):
            graph = replace_module(graph, path, choose(kinds, label=f"act{i}"))
        return graph


def net() -> torch.nn.Module:
    return mutated(Net(), Deeper("body"), Swap())


def test_the_space_depends_on_what_the_graph_has_become() -> None:
    space = Space.of(net())
    architectures = list(space.enumerate())
    # Every width and body: for 0, 1, 2 times as many activations to choose.
    assert space.size() == len(architectures) == len(set(architectures)) == 2 * 2 * (1 + 2 + 4)
    assert [dict(a) for a in architectures[:4]] == [
        {"width": 4, "body": "mlp", "times": 0},
        {"width": 4, "body": "mlp", "times": 1, "act0": "relu"},
        {"width": 4, "body": "mlp", "times": 1, "act0": "gelu"},
        {"width": 4, "body": "mlp", "times": 2, "act0": "relu", "act1": "relu"},
    ]
    assert space.conditions["act1"] == ({"times": (2,)},)
    assert space.complete
    for architecture in architectures:
        assert space.validate(architecture) == architecture
    with pytest.raises(InvalidArchitectureError, match="inactive"):
        space.validate({"width": 4, "body": "mlp", "times": 0, "act0": "relu"})


def test_a_large_space_is_known_to_be_incomplete() -> None:
    @nas.model_wrapper
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                *(nn.LayerChoice([nn.ReLU(), nn.Tanh()], label=f"l{i}") for i in range(8))
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x)

    space = Space.of(mutated(Wide(), Swap()))
    assert not space.complete
    assert {"l7", "act7"} <= set(space.labels)
    # What the mutator asks for depends on inline choices, of which only the first options are seen.
    assert space.conditions == {f"l{i}": () for i in range(8)}
    assert "l7    0 | 1\n" in str(space)
    assert "act0  'relu' | 'gelu'  ?\n" in str(space)
    for seed in range(5):
        drawn = space.sample(seed=seed)
        assert sum(name.startswith("act") for name in drawn) == [
            drawn[f"l{i}"] for i in range(8)
        ].count(0)
        assert space.validate(drawn) == drawn


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_candidates_are_what_the_decisions_say(seed: int) -> None:
    base, engine = net(), GraphEngine()
    architecture = Space.of(base).sample(seed=seed)
    torch.manual_seed(seed)
    model = engine.build(base, architecture)
    found = [type(m).__name__ for m in model.modules() if not list(m.children())]
    times, acts = architecture["times"], [v for k, v in architecture.items() if k[:3] == "act"]
    linears = 2 + (times if architecture["body"] == "mlp" else 0)
    assert found.count("Linear") == linears
    assert found.count("ReLU") == acts.count("relu")
    assert found.count("GELU") == acts.count("gelu")
    assert len(acts) == times
    assert model(torch.randn(2, 3)).shape == (2, 2)


def test_what_no_mutator_touched_has_the_weights_of_the_constructor() -> None:
    architecture = {"width": 4, "body": "mlp", "times": 2, "act0": "gelu", "act1": "relu"}
    torch.manual_seed(3)
    plain = nas.build(Net(), {"width": 4, "body": "mlp"})
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(GraphEngine().build(net(), architecture))
    first, second = made
    for name in ("stem", "head"):
        ours, theirs = first.get_submodule(name), plain.get_submodule(name)
        assert torch.equal(ours.weight, theirs.weight) and torch.equal(ours.bias, theirs.bias)
    assert first.head.bias.tolist() == [0.25, 0.25]  # Which no generated code repeats.
    assert not torch.equal(first.body[0][0].weight, first.body[1][0].weight)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_without_mutators_it_is_the_base() -> None:
    architecture = {"width": 6, "body": "mlp"}
    torch.manual_seed(1)
    plain = nas.build(Net(), architecture)
    torch.manual_seed(1)
    built = GraphEngine().build(mutated(Net()), architecture)
    for (name, a), (other, b) in zip(
        plain.state_dict().items(), built.state_dict().items(), strict=True
    ):
        assert name == other and torch.equal(a, b)
    assert Space.of(mutated(Net())).digest != Space.of(net()).digest


def test_the_history_tells_what_was_done() -> None:
    base = net()
    architecture = {"width": 4, "body": "act", "times": 1, "act0": "gelu"}
    graph = base.graph(architecture)
    deeper, swap = graph.history
    assert (deeper.mutator, deeper.decisions) == ("Deeper", (("times", 1),))
    assert (swap.mutator, swap.decisions) == ("Swap", (("act0", "gelu"),))
    assert deeper.before == convert(nas.build(Net(), {"width": 4, "body": "act"})).digest
    assert deeper.after == swap.before and swap.after == graph.digest
    assert str(swap) == f"Swap(act0='gelu'): {swap.before} -> {swap.after}"
    assert graph == replace(graph, history=())


def test_composition_is_in_order() -> None:
    once = mutated(mutated(Net(), Deeper("body")), Swap())
    assert Space.of(once).digest == Space.of(net()).digest
    other = Space.of(mutated(Net(), Swap(), Deeper("body")))
    assert other.size() == 4 * 2 * 3  # The activation is chosen before it is repeated.


def test_jobs_run_elsewhere_and_need_no_torchscript() -> None:
    base, engine = net(), GraphEngine()
    space = Space.of(base)
    candidates = [Candidate(i, space.sample(seed=i), seed=i) for i in range(4)]
    jobs = engine.plan(base, candidates, CountParameters())
    sent = cloudpickle.loads(cloudpickle.dumps(jobs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.jit._recursive.create_script_module", None)
        results = [result for job in sent for result in job.run(Recording())]
    assert [result.error for result in results] == [None] * 4
    expected = [engine.build(base, c.architecture) for c in candidates]
    assert [result.metrics["parameters"] for result in results] == [
        sum(p.numel() for p in model.parameters()) for model in expected
    ]


def test_a_base_model_with_mutators_can_be_sent_elsewhere() -> None:
    base = net()
    Space.of(base).sample(seed=0)
    twin = cloudpickle.loads(cloudpickle.dumps(base))
    assert Space.of(twin).digest == Space.of(base).digest
    assert repr(twin) == "mutated(Net, Deeper(label='body', most=2), Swap())"
    assert torch.equal(base(torch.ones(1, 3)), base.base(torch.ones(1, 3)))


def test_the_digest_is_the_same_in_every_process() -> None:
    made = [mutated(Net(), Deeper("body", most=2), Deeper("body", most=2)) for _ in range(2)]
    for base in made:
        base.mutators[1].weigh = lambda graph: graph  # Shown with its address.
    first, second = (Space.of(base).digest for base in made)
    assert first == second
    assert Space.of(mutated(Net(), Deeper("body", most=1))).digest != first


def test_other_engines_refuse_and_name_the_one_that_can() -> None:
    base = net()
    (problem,) = nas.engine("py").problems(base, CountParameters())
    assert "'mutators'" in str(problem)
    assert "'graph'" in str(problem)
    assert "mutated(Net, " in str(problem)
    with pytest.raises(UnsupportedSpaceError, match="'graph'"):
        nas.build(base, Space.of(base).default())


# ---------------------------------------------------------------------- what goes wrong


class Clash(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        choose([1, 2, 3], label="width")
        return graph


class Agrees(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        assert choose([4, 6], "width") in (4, 6)
        assert choose([4, 6], label="width") == choose([4, 6], label="width")
        return graph


class Contradicts(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        choose(["a"], label="x")
        choose(["a", "b"], label="x")
        return graph


def line(text: str) -> str:
    numbers = [i for i, x in enumerate(Path(__file__).read_text().splitlines(), 1) if text in x]
    return f"test_mutators.py:{numbers[0]}"


def test_labels_in_conflict_name_both_places() -> None:
    with pytest.raises(LabelConflictError) as caught:
        Space.of(mutated(Net(), Clash()))
    assert line('nn.ValueChoice([4, 6], label="width")') in str(caught.value)
    assert line('choose([1, 2, 3], label="width")') in str(caught.value)
    with pytest.raises(LabelConflictError) as caught:
        Space.of(mutated(Net(), Contradicts()))
    assert line('choose(["a"], label="x")') in str(caught.value)
    assert line('choose(["a", "b"], label="x")') in str(caught.value)


def test_the_same_label_is_the_same_decision() -> None:
    assert Space.of(mutated(Net(), Agrees())).size() == Space.of(Net()).size()
    twice = Space.of(mutated(Net(), Deeper("body"), Deeper("body")))
    assert twice.size() == 4 * 3


class Breaks(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        if choose([False, True], label="break"):
            return replace(graph, members=graph.members[1:])
        return graph


class Raises(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        if choose([False, True], label="raise"):
            raise ValueError("not like this")
        return graph


class Forgets(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        return None if choose([False, True], label="forget") else graph


@dataclass(eq=False)
class Puts(Mutator):
    """Puts a layer that is not there."""

    layer: Layer

    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        bad = choose([False, True], label="put")
        return replace_module(graph, "body", self.layer) if bad else graph


@dataclass(eq=False)
class Computes(Mutator):
    """Calls an operator that is not there."""

    target: str

    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        if not choose([False, True], label="compute"):
            return graph
        found = find_one(graph, name="body")
        operation = Operator(self.target)
        return replace_node(graph, found, replace(found.node, operation=operation))


@dataclass(eq=False)
class Offers(Mutator):
    """Chooses among what can't be chosen from."""

    some: list[object]

    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        if choose([False, True], label="offer"):
            choose(self.some, label="some")
        return graph


@pytest.mark.parametrize(
    ("mutator", "words"),
    [
        (Breaks(), ["mutator Breaks broke the graph: Net.forward: calls 'stem'"]),
        (Raises(), ["mutator Raises raised ValueError: not like this", line("ValueError(")]),
        (Forgets(), ["mutator Forgets must return a Graph, not None"]),
        (
            Puts(Layer("torch.nn.Relu6")),
            ["broke the graph: layer 'body': there is no torch.nn.Relu6; did you mean 'ReLU6'?"],
        ),
        (Puts(Layer("no_such_file.Act")), ["layer 'body': there is no no_such_file.Act"]),
        (
            Puts(Layer("torch.nn.ReLU", (), (("inplac", True),))),
            ["layer 'body': torch.nn.ReLU takes no 'inplac'; did you mean 'inplace'?"],
        ),
        (
            Puts(Layer("torch.nn.Linear", (4,))),
            ["layer 'body': torch.nn.Linear: missing a required argument: 'out_features'"],
        ),
        (
            Computes("aten.sigmoyd.default"),
            ["there is no operator aten.sigmoyd.default; did you mean 'sigmoid'?"],
        ),
        (
            Computes("aten.sigmoid.Tensor"),
            ["there is no operator aten.sigmoid.Tensor: it has default, out"],
        ),
        (Computes("sigmoid"), ["there is no operator sigmoid"]),
        (
            Offers([]),
            ["raised OptionsError: a choice needs at least one option", line("self.some")],
        ),
        (Offers([torch]), ["has no JSON form", line("self.some")]),
    ],
)
def test_a_bad_mutator_fails_its_candidate_alone(mutator: Mutator, words: list[str]) -> None:
    base, engine = mutated(Net(), mutator), GraphEngine()
    space = Space.of(base)
    label = space.labels[-1]
    assert space.size() == 8
    assert not list(engine.problems(base, CountParameters()))
    rest = {"width": 4, "body": "act"}
    candidates = [
        Candidate(i, space.validate({**rest, label: bad}), seed=i)
        for i, bad in enumerate([False, True, False])
    ]
    jobs = engine.plan(base, candidates, CountParameters())
    results = [
        r for job in cloudpickle.loads(cloudpickle.dumps(jobs)) for r in job.run(Recording())
    ]
    assert [r.failed for r in results] == [False, True, False]
    start = inspect.getsourcelines(type(mutator).mutate)[1]
    for text in [*words, f"test_mutators.py:{start}"]:
        assert text in str(results[1].error)
    assert "nas_engine_graph" not in str(results[1].error)
    with pytest.raises(MutatorError, match=type(mutator).__name__):
        base.graph({**rest, label: True})
    with pytest.raises(UnsupportedSpaceError, match=type(mutator).__name__):
        engine.build(base, {**rest, label: True})


class AlwaysRaises(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        raise ValueError("never")


def test_one_that_never_works_is_a_problem() -> None:
    (problem,) = GraphEngine().problems(mutated(Net(), AlwaysRaises()), CountParameters())
    assert "mutator AlwaysRaises raised ValueError: never" in str(problem)


class Fickle(Mutator):
    def __init__(self) -> None:
        self.count = 0

    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        self.count += 1
        choose([1, 2], label=f"run{self.count}")
        return graph


def test_one_that_decides_otherwise_the_next_time_is_found_out() -> None:
    with pytest.raises(MutatorError, match="mutator Fickle asks for 'run2', for which it did not"):
        Space.of(mutated(Net(), Fickle())).size()
    base = mutated(Net(), Fickle())
    architecture = Space.of(base).default()
    with pytest.raises(MutatorError, match=r"test_mutators.py:\d+: mutator Fickle asks for 'run2'"):
        base.graph(architecture)


class NeedsMore(Mutator):
    def mutate(self, graph: Graph, choose: Choose, more: int) -> Graph:
        return graph


def test_one_that_can_not_be_called_is_told_of_without_a_line_of_ours() -> None:
    with pytest.raises(MutatorError) as caught:
        mutated(Net(), NeedsMore()).graph({"width": 4, "body": "act"})
    assert str(caught.value).endswith("missing 1 required positional argument: 'more'")


class Alternates(Mutator):
    """Linear layers get biases in turns: what one has depends on what those before it have."""

    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        found: list[bool] = []

        def make(match: Match) -> torch.nn.Module:
            path = ".".join((*match.path, *match.modules["0"]))
            found.append(found[-1:] != [True] and choose([False, True], label=path))
            taken = arguments(match.layers["0"])
            return torch.nn.Sequential(
                torch.nn.Linear(taken["in_features"], taken["out_features"], bias=found[-1])
            )

        return rewrite(graph, torch.nn.Sequential(torch.nn.Linear(1, 1)), make=make)


def test_decisions_of_a_rewrite_are_in_the_order_of_the_program() -> None:
    base = mutated(Net(), Alternates())
    rest = {"width": 4, "body": "act"}
    assert Space.of(base).labels[2:4] == ("stem", "head")
    model = GraphEngine().build(base, {**rest, "stem": True})
    assert (model.stem.bias is None, model.head.bias is None) == (False, True)


def test_arguments_of_layers_are_changed_by_their_names() -> None:
    conv = Layer("torch.nn.Conv2d", (3, 8), (("kernel_size", 3), ("padding", 1)), label="conv")
    made = with_arguments(conv, kernel_size=5, out_channels=4, groups=1)
    wanted = replace(conv, args=(3, 4), kwargs=(("kernel_size", 5), ("padding", 1), ("groups", 1)))
    assert made == wanted
    assert arguments(made) == arguments(wanted)
    assert arguments(made)["bias"] is True
    several = Layer("torch.nn.Unflatten", (1, (2, 3)))
    assert with_arguments(several, unflattened_size=(3, 2)).args == (1, (3, 2))
    with pytest.raises(InvalidGraphError, match=r"Conv2d takes no 'kernel'.*'kernel_size'"):
        with_arguments(conv, kernel=5)
    with pytest.raises(InvalidGraphError, match=r"there is no torch.nn.Conv2; did you mean"):
        arguments(Layer("torch.nn.Conv2", (3, 8)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((Net(), Swap), "call the class"),
        ((Net(), lambda graph, choose: graph), "takes instances of Mutator"),
        ((Net, Swap()), "needs a model"),
    ],
)
def test_what_can_not_be_mutated_is_refused(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        mutated(*arguments)


def test_a_model_that_can_not_be_made_again_says_so() -> None:
    base = mutated(torch.nn.Sequential(torch.nn.ReLU()), Swap())
    (problem,) = GraphEngine().problems(base, CountParameters())
    assert "@nas_core.model_wrapper" in str(problem)
