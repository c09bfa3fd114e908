"""What is found out about bits: once on a machine, and never believed against the members."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nas_core as nas
import nas_engine_cgo.exact.write
import pytest
import spaces
import torch
from nas_core import Candidate
from nas_core.testing import Recording
from nas_engine_cgo.engine import CgoEngine
from nas_engine_cgo.exact.equality import Verdict
from nas_engine_cgo.exact.verdicts import Question, Verdicts
from nas_engine_cgo.members import Call, Facts, Ref, duplicate
from nas_engine_cgo.remember import Memory
from nas_engine_cgo.train import Options
from nas_engine_graph.engine import GraphEngine
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn

MEMBERS = 4


def candidates(space: nas.Space, count: int = MEMBERS) -> list[Candidate]:
    return [Candidate(i, space.sample(seed=i), seed=50 + i) for i in range(count)]


def images(size: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 1, 8, 8, generator=generator)
    return x, torch.randint(0, 3, (size,), generator=generator)


def weights(engine: Any, model: Any, recipe: Any, chosen: list[Candidate]) -> list[Any]:
    recorder = Recording()
    for job in engine.plan(model, chosen, recipe):
        for result in job.run(recorder):
            assert result.error is None, result.details
    return [recorder.models[candidate.number].state_dict() for candidate in chosen]


def assert_same_bits(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        for name, tensor in other.items():
            assert torch.equal(one[name], tensor), name


# ---------------------------------------------------------------------- what is remembered


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions whose fused calls were tried out."""
    names: list[str] = []
    compare = nas_engine_cgo.exact.write.compare

    def spy(programs: Any, step: Any, *args: Any) -> Verdict:
        member, index = step.calls[0]
        names.append(programs[member].calls[index].name)
        return compare(programs, step, *args)

    monkeypatch.setattr(nas_engine_cgo.exact.write, "compare", spy)
    return names


def run(steps: int = 3) -> tuple[list[Any], list[Any]]:
    """Weights of convolutional nets, merged and alone."""
    model = spaces.SPACES["cells"]()
    recipe = SupervisedEvaluator(
        train=images(20, 0), validation=images(8, 1), batch_size=8, steps=steps, device="cpu",
        optimizer="SGD", optimizer_options={"lr": 0.01},
    )  # fmt: skip
    chosen = candidates(nas.Space.of(model, recipe))
    exact = CgoEngine(Options(exact=True, cluster_size=MEMBERS))
    return weights(exact, model, recipe, chosen), weights(GraphEngine(), model, recipe, chosen)


def test_what_was_tried_out_is_remembered(
    tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same_bits(*run())
    first, tried[:] = list(tried), []
    assert_same_bits(*run())
    assert "conv2d" in first
    assert tried == []
    monkeypatch.setattr("nas_engine_cgo.exact.verdicts.surroundings", lambda: "another machine")
    assert_same_bits(*run())
    assert tried == first


@pytest.mark.parametrize("equal", [False, True])
def test_a_wrong_memory_costs_no_bit(
    equal: bool, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of all members is compared in the end."""

    def wrong(_: Any, question: Question) -> Verdict:
        return Verdict(equal, (equal,) * len(question.operands))

    monkeypatch.setattr("nas_engine_cgo.exact.verdicts._read", wrong)
    assert_same_bits(*run())
    assert tried == []


QUESTION = Question(
    Call("relu", torch.relu, (Ref(0),), {}, Ref(1)),
    ((Facts((2, 3), torch.float32), None),), "relu", 4, (False,), (False, False),
)  # fmt: skip


EQUAL = Verdict(True, (True,))


def asking(found: Verdict) -> tuple[list[str], Callable[[], Verdict]]:
    asked: list[str] = []

    def find() -> Verdict:
        asked.append("")
        return found

    return asked, find


@pytest.mark.parametrize("verdict", [EQUAL, Verdict(False, (True,))])
def test_answers_are_kept(verdict: Verdict, tmp_path: Any) -> None:
    asked, find = asking(verdict)
    for _ in range(2):
        verdicts = Verdicts(Memory(tmp_path / "bits.json"))
        assert verdicts.of(QUESTION, find) == verdicts.of(QUESTION, find) == verdict
        verdicts.save()
    assert len(asked) == 1


@pytest.mark.parametrize("kept", ["", "1", "111", "12", 11, [1, 1], None])
def test_answers_that_make_no_sense_are_found_out_again(kept: Any) -> None:
    class Odd(Memory):
        def recall(self, key: str) -> Any:
            return kept

    asked, find = asking(EQUAL)
    assert Verdicts(Odd()).of(QUESTION, find) == EQUAL
    assert asked


@pytest.mark.parametrize(
    "change",
    [{"n": 5}, {"shared": (True,)}, {"apart": (True, False)},
     {"operands": ((Facts((2, 4), torch.float32), None),)},
     {"operands": ((Facts((2, 3), torch.bfloat16), None),)},
     {"operands": ((Facts((2, 3), torch.float32), ("parameter", True)),)},
     {"call": Call("relu", torch.relu, (Ref(0),), {}, Ref(1), grad=False)},
     {"call": Call("relu", torch.relu, (Ref(0), 1), {}, Ref(1))}],
)  # fmt: skip
def test_other_questions_have_answers_of_their_own(change: dict[str, Any]) -> None:
    assert replace(QUESTION, **change).text() != QUESTION.text()


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), ([1, 2], 12), ("1", 1)])
def test_arguments_are_told_apart_by_type(one: Any, other: Any) -> None:
    texts = {
        replace(QUESTION, call=replace(QUESTION.call, args=(Ref(0), value))).text()
        for value in (one, other)
    }
    assert len(texts) == 2


def test_what_only_this_process_knows_is_not_kept(tmp_path: Any) -> None:
    asked, find = asking(EQUAL)
    question = replace(QUESTION, call=replace(QUESTION.call, args=(Ref(0), object())))
    for _ in range(2):
        verdicts = Verdicts(Memory(tmp_path / "bits.json"))
        verdicts.of(question, find)
        verdicts.save()
    assert len(asked) == 2


# ---------------------------------------------------------------------- copies


class Holding(nn.Module):
    def __init__(self, view: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.tied = self.layer
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("whole", torch.zeros(2))
        self.register_buffer("part", self.whole[:1] if view else torch.zeros(1))
        self.seen: list[int] = []


@pytest.mark.parametrize("view", [False, True])
def test_a_duplicate_is_what_deepcopy_makes(view: bool) -> None:
    module = Holding(view)
    module.layer.weight.requires_grad_(False)
    made, expected = duplicate(module), copy.deepcopy(module)
    for (path, one), (_, other) in zip(
        made.state_dict(keep_vars=True).items(), expected.state_dict(keep_vars=True).items(),
        strict=True,
    ):  # fmt: skip
        assert torch.equal(one, other), path
        assert (type(one), one.requires_grad) == (type(other), other.requires_grad), path
    assert made.tied is made.layer
    made.whole += 1.0
    made.seen.append(1)
    assert float(made.part) == (1.0 if view else 0.0)
    assert float(module.whole.sum()) == 0.0
    assert module.seen == []
