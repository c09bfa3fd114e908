"""What the engine says it will do is what it does."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core import Candidate, Space
from nas_core.errors import UnsupportedFormatError
from nas_core.testing import Recording
from nas_engine_cgo import engine as engine_module
from nas_engine_cgo import job as job_module
from nas_engine_cgo.cost import Memory
from nas_engine_cgo.engine import CgoEngine
from nas_engine_cgo.explain import describe
from nas_engine_cgo.explain.text import size
from nas_engine_cgo.options import Options
from nas_engine_cgo.train.vocabulary import VOCABULARY, imports
from nas_search.evaluators import FunctionEvaluator, SupervisedEvaluator


@nas.model_wrapper
class Net(nn.Module):
    """Two widths, two activations, the second named like markup."""

    def __init__(self) -> None:
        super().__init__()
        width: Any = nn.ValueChoice([4, 8], label="width")
        self.first = nn.Linear(6, width)
        self.activation = nn.LayerChoice({"<b>": nn.ReLU(), "tanh": nn.Tanh()}, label="activation")
        self.head = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.activation(self.first(x)))


ARCHITECTURES = (
    {"width": 4, "activation": "<b>"},
    {"width": 4, "activation": "tanh"},
    {"width": 8, "activation": "<b>"},
    {"width": 8, "activation": "<b>"},
)


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test times for itself, with one thread."""
    for module in (engine_module, job_module):
        monkeypatch.setattr(module, "CACHE", tmp_path / "cgo.json")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def recipe(**changes: Any) -> SupervisedEvaluator:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 6, generator=generator)
    data = x, x[:, :3].argmax(1)
    options = {"optimizer_options": {"lr": 0.1}, "epochs": 2, "batch_size": 8, "device": "cpu"}
    return SupervisedEvaluator(train=data, **(options | changes))


def candidates(*architectures: dict[str, Any], evaluator: Any = None) -> list[Candidate]:
    space = Space.of(Net(), evaluator or recipe())
    return [
        Candidate(10 + i, space.validate(each), seed=i)
        for i, each in enumerate(architectures or ARCHITECTURES)
    ]


def test_every_call_of_every_candidate_is_accounted_for_once() -> None:
    engine = CgoEngine().configured(cluster_size=4, widen=False)
    jobs = engine._graph.plan(Net(), candidates(), recipe())
    described = describe(jobs, Options(cluster_size=4, widen=False), Memory())
    ((cluster,),) = (cohort.clusters for cohort in described.cohorts)
    assert sorted(cluster.numbers) == [10, 11, 12, 13]
    assert not described.alone
    assert not cluster.single
    made = [(row.function, number) for row in cluster.steps() for number in row.numbers]
    assert sorted(made) == sorted(
        (function, number)
        for number, activation in zip(range(10, 14), ["relu", "tanh", "relu", "relu"], strict=True)
        for function in ("linear", activation, "linear", "cross_entropy")
    )
    shapes = [(row.function, row.shapes) for row in cluster.steps()]
    assert ("cross_entropy", "8x3, 8 -> ()") in shapes
    assert ("linear", "8x6, 8x6, 8 -> 8x8") in shapes


def test_the_text_says_who_is_merged_and_what_is_shared() -> None:
    text = CgoEngine().configured(cluster_size=2).explain(Net(), candidates(), recipe(), "text")
    assert 'candidate 12: {"width": 8, "activation": "<b>"}' in text
    gain = "by rules about 2.0 times as fast as one by one"
    assert f"clusters of 2, contiguous: as asked for, {gain}\n" in text
    assert re.search(r"cluster \d: candidates 10, 11, about .* in a step", text)
    assert re.search(r"cluster \d: candidates 12, 13, about .* in a step", text)
    assert re.search(r"8 calls run as 4: 100 % fused", text)


def scaled(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A loss that prepares its target, for all members alike."""
    scaled_target = torch.nn.functional.one_hot(target, 3).float() * 0.9
    return (outputs - scaled_target).square().mean()


def test_the_text_says_for_whom_zeros_are_added() -> None:
    engine = CgoEngine(Options(cluster_size=4, widen=True))
    text = engine.explain(Net(), candidates(*reversed(ARCHITECTURES)), recipe(), "text")
    assert "clusters of 4, contiguous, widened: as asked for" in text
    said = re.findall(r"linear +4 of them: 10-13 +8x6, (.*)", text)
    assert said == ["8x6, 8 -> 8x8, with zeros for 12, 13"]


def test_what_is_computed_once_is_listed() -> None:
    evaluator = recipe(loss=scaled)
    engine = CgoEngine().configured(cluster_size=4, widen=False)
    text = engine.explain(Net(), candidates(evaluator=evaluator), evaluator, "text")
    assert re.search(r"computed once for several\n +1 +one_hot +4 of them: 10-13", text)
    assert "computed once for several" in text.split("cluster 1")[0]


def test_the_picture_has_what_flows_from_step_to_step() -> None:
    evaluator = recipe(loss=scaled)
    engine = CgoEngine().configured(cluster_size=4, widen=False)
    svg = engine.explain(Net(), candidates(evaluator=evaluator), evaluator, "svg")
    text = svg.replace("&#45;", "-").replace("&gt;", ">")
    nodes = {}
    for title, drawn in re.findall(r'"node">\n<title>1 (.*?)</title>\n(.*?)</g>', text, re.DOTALL):
        words = re.findall(r"<text.*?>(.*?)</text>", drawn)
        nodes[title] = *words, *re.findall('"(#.*?)"', drawn)[:1]
    edges = re.findall(r'"edge">\n<title>1 (.*?)->1 (.*?)</title>', text)
    flows = {(nodes[source][0], nodes[target][0]) for source, target in edges}
    assert ("linear", "10, 11", "#8ecae6") in nodes.values()
    assert ("tanh", "11", "#ffffff") in nodes.values()
    assert ("one_hot", "10-13", "#a7c957") in nodes.values()
    chain = ["data 0, part 0", "linear", "tanh", "linear", "sub", "square", "mean", "losses"]
    assert {*pairwise(chain), ("data 0, part 1", "one_hot")} <= flows
    assert svg in engine.explain(Net(), candidates(evaluator=evaluator), evaluator, "html")


def test_without_what_draws_there_is_a_page_without_a_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    engine = CgoEngine().configured(cluster_size=4, widen=False)
    with pytest.raises(UnsupportedFormatError, match=r"pip install 'nas-engine-graph\[draw\]'"):
        engine.explain(Net(), candidates(), recipe(), "svg")
    assert "<svg" not in engine.explain(Net(), candidates(), recipe(), "html")


@pytest.mark.parametrize("case", ["optimizer", "one", "evaluator"])
def test_who_runs_alone_is_told_why(case: str, caplog: pytest.LogCaptureFixture) -> None:
    evaluator: Any = recipe()
    if case == "optimizer":
        choice = nn.ValueChoice(["SGD", "Rprop"], label="optimizer")
        evaluator = recipe(optimizer=choice)
        given = [{**a, "optimizer": "SGD"} for a in ARCHITECTURES]
        given[1]["optimizer"] = "Rprop"
        chosen, why = candidates(*given, evaluator=evaluator), "candidate 11 alone: Rprop is none"
    elif case == "one":
        chosen, why = candidates(ARCHITECTURES[0]), "candidate 10 alone: no other"
    else:
        evaluator = FunctionEvaluator(lambda model: 1.0)
        chosen = candidates(evaluator=evaluator)
        why = "candidate 10 alone: FunctionEvaluator is no SupervisedEvaluator"
    assert why in CgoEngine().explain(Net(), chosen, evaluator, "text")


def test_an_evaluator_that_cannot_be_merged_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    engine, evaluator = CgoEngine(), FunctionEvaluator(lambda model: 1.0)
    with caplog.at_level(logging.WARNING, "nas_engine_cgo"):
        for _ in range(2):
            engine.plan(Net(), candidates(evaluator=evaluator), evaluator)
    (record,) = caplog.records
    assert "one by one: FunctionEvaluator is no SupervisedEvaluator" in record.message


def test_the_source_imports_what_merged_code_may_call() -> None:
    names: dict[str, Any] = {}
    exec(imports(), names)
    assert {name: names[name] for name in VOCABULARY} == VOCABULARY


def test_the_source_is_the_code_that_runs() -> None:
    engine = CgoEngine().configured(cluster_size=4, widen=False)
    source = engine.explain(Net(), candidates(), recipe(), "source")
    names: dict[str, Any] = {}
    exec(compile(source, "merged.py", "exec"), names)
    (needs,) = re.findall(r"# Cluster 1: .*?\n((?:# p.*\n)*)", source)
    modules = {c.number: nas.engine("graph").build(Net(), _part(c)) for c in candidates()}
    tensors = [_tensor(line, modules) for line in needs.splitlines()]
    x, y = torch.randn(8, 6), torch.arange(8) % 3
    (losses,) = names["cluster_1"]([x, y], tensors, [torch.Generator()] * 4)
    (order,) = re.findall(r"# the losses of (.*)", source)
    for number, loss in zip(map(int, order.split(", ")), losses, strict=True):
        alone = torch.nn.functional.cross_entropy(modules[number](x), y)
        torch.testing.assert_close(loss, alone)


def _part(candidate: Candidate) -> Any:
    return Space.of(Net()).part_of(candidate.architecture)


def _tensor(line: str, modules: dict[int, torch.nn.Module]) -> torch.Tensor:
    """What a comment says that a tensor is, made by hand."""
    form, path, numbers = re.fullmatch(r"# p\d+ = (\w+): (\S+) of (.*)", line).groups()  # type: ignore[union-attr]
    parts = [modules[int(n)].get_parameter(path) for n in numbers.split(", ")]
    match form:
        case "own":
            return parts[0]
        case "rows":
            return torch.cat(parts)
        case "matrix":
            return torch.stack(parts).transpose(1, 2)
        case "bias":
            return torch.stack(parts)[:, None]
    return torch.stack(parts)


def test_a_page_takes_nothing_of_the_user_for_markup() -> None:
    page = CgoEngine().explain(Net(), candidates(), recipe(), "html")
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_a_job_notes_how_it_ran_in_one_line() -> None:
    recorder = Recording()
    (job,) = CgoEngine().configured(cluster_size=2).plan(Net(), candidates(), recipe())
    assert all(result.error is None for result in job.run(recorder))
    (note,) = recorder.notes
    assert note == (
        "4 trained as one, clusters of 2, contiguous: as asked for, by rules about 2.0 times as "
        "fast as one by one; 16 calls run as 9: 88 % fused"
    )


def test_the_engine_is_configured_without_changing() -> None:
    engine = CgoEngine()
    other = engine.configured(memory="1.5 GiB").configured(cluster_size=3)
    assert engine._options == Options()
    assert other._options == Options(memory=3 << 29, cluster_size=3)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("memroy", 1, "did you mean 'memory'"),
        ("fused", False, "no option 'fused'"),
        ("cluster_size", 0, "cluster_size must be a whole number >= 1, not 0"),
        ("cluster_size", True, "not True"),
        ("memory", "2 gigs", "memory must be a number of bytes, or a text such as"),
        ("memory", "0", "not '0'"),
        ("memory", 2.5, "not 2.5"),
    ],
)
def test_each_mistake_in_an_option_is_named(option: str, value: Any, message: str) -> None:
    with pytest.raises(nas.NasError, match=re.escape(message)):
        CgoEngine().configured(**{option: value})


def test_sizes_are_in_the_largest_unit_that_fits() -> None:
    assert [size(n) for n in (1023, 1024, 5 << 30)] == ["1023 bytes", "1.0 KiB", "5.0 GiB"]
