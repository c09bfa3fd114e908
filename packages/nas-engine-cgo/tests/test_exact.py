"""What is found out about bits: once on a machine, and never believed against the members."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nas_core as nas
import nas_core.nn as nn
import nas_engine_cgo.exact.write
import pytest
import spaces
import torch
from alone import assert_as_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_core import Candidate
from nas_core.testing import Recording
from nas_engine_cgo.engine import CgoEngine
from nas_engine_cgo.exact import equality, verify
from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.exact.convolution import member_convolution
from nas_engine_cgo.exact.equality import Verdict
from nas_engine_cgo.exact.linear import member_linear
from nas_engine_cgo.exact.values import added_up
from nas_engine_cgo.exact.verdicts import Question, Verdicts
from nas_engine_cgo.members import Call, Facts, Ref, duplicate
from nas_engine_cgo.options import Options
from nas_engine_cgo.packs import APART, AT_ONCE
from nas_engine_cgo.remember import Memory
from nas_engine_graph.engine import GraphEngine
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor
from torch.nn import functional

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
    assert not any("raised" in note for note in recorder.notes), recorder.notes
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


def test_code_that_was_equal_is_tried_with_some_members_and_with_all_if_one_of_them_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.randn(12, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = x, x.argmax(1)
    recipe = SupervisedEvaluator(train=data, validation=data, batch_size=4, epochs=2, threads=1)
    builds = [lambda: torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Linear(8, 6))] * 12
    options = Options(exact=True, cluster_size=12)
    tried: list[verify.Subject] = []
    alone, equal = verify._alone, verify._equal

    def noted(subject: verify.Subject, *how: Any) -> Any:
        tried.append(subject)
        return alone(subject, *how)

    def compared() -> int:
        tried.clear()
        assert_as_alone(builds, recipe, options=options)
        return len(tried)

    monkeypatch.setattr(verify, "_alone", noted)
    first = compared()
    assert first > 12
    assert first % 12 == 0
    assert compared() == 6
    monkeypatch.setattr(verify, "_equal", lambda one, other: False)
    assert compared() == 6 + 12
    monkeypatch.setattr(verify, "_equal", equal)
    assert compared() == 6


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
    ((Facts((2, 3), torch.float32), None),), "relu", 4, (False,), (AT_ONCE, AT_ONCE),
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
    [{"n": 5}, {"shared": (True,)}, {"apart": (APART, AT_ONCE)},
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


# ---------------------------------------------------------------------- what is fused

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "weight_decay": 1e-3},
    "Adam": {"weight_decay": 1e-3},
    "AdamW": {"weight_decay": 1e-2, "amsgrad": True},
    "RMSprop": {"momentum": 0.5},
}
NUMBERED, CLASSES = torch.randn(44, 3, generator=torch.Generator().manual_seed(7)), images(44, 0)[1]
LOSSES: dict[str, tuple[dict[str, Any], Tensor]] = {
    "cross_entropy": ({}, CLASSES),
    "cross_entropy, smooth": ({"label_smoothing": 0.1}, CLASSES),
    "cross_entropy, weighted": ({"weight": torch.tensor([0.3, 1.0, 2.0])}, CLASSES),
    "cross_entropy, ignoring": ({"ignore_index": 1}, CLASSES),
    "cross_entropy, sum": ({"reduction": "sum"}, CLASSES),
    "cross_entropy, of probabilities": ({}, NUMBERED.softmax(1)),
    "mse_loss": ({}, NUMBERED),
    "huber_loss": ({"delta": 0.3}, NUMBERED),
    "soft_margin_loss": ({}, NUMBERED.sign()),
    "binary_cross_entropy_with_logits": ({}, NUMBERED.sigmoid()),
}


@nas.model_wrapper
class Layers(nn.Module):
    """Linear layers; candidates differ in activations."""

    def __init__(self, width: int, outputs: int, bias: bool, tokens: bool) -> None:
        super().__init__()
        self.tokens = tokens
        self.layers = nn.Sequential(
            nn.Linear(8 if tokens else 64, width, bias=bias),
            nn.LayerChoice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act"),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, outputs, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.tokens:
            return self.layers(x.flatten(1, 2)).sum(1)
        return self.layers(x.flatten(1))


@nas.model_wrapper
class Convolutions(nn.Module):
    """Convolutions of several strides, groups and windows."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.LayerChoice({"relu": nn.ReLU(), "silu": nn.SiLU()}, label="act"),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),
            nn.Conv2d(2 * width, 2 * width, 3, padding="same", groups=width),
            nn.ReLU(),
            nn.Conv2d(2 * width, width, 1),
        )
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x).mean((2, 3)))


def assert_trained_as_alone(model: Any, target: Tensor, **changes: Any) -> None:
    """A hundred steps and more, with batches of 16, 16 and 12."""
    chosen_by_default: dict[str, Any] = {
        "train": (images(44, 0)[0], target), "validation": (images(13, 1)[0], target[:13]),
        "batch_size": 16, "epochs": 34, "validate_every": 17, "device": "cpu",
        "metrics": ("loss",), "objectives": {"loss": "minimize"},
    }  # fmt: skip
    recipe = SupervisedEvaluator(**chosen_by_default | changes)
    chosen = candidates(nas.Space.of(model, recipe))
    exact = CgoEngine(Options(exact=True, cluster_size=MEMBERS))
    assert_same_bits(
        weights(exact, model, recipe, chosen), weights(GraphEngine(), model, recipe, chosen)
    )


@nas.model_wrapper
class Several(nn.Module):
    """Functions that give several values, and a linear layer of what lies crosswise in memory."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.first = nn.Linear(8, 6)
        self.act = nn.LayerChoice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act")
        self.second = nn.Linear(6, 6)
        self.attention = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
        self.head = nn.Linear(3 if way in ("chunk", "split") else 6, 3)
        torch.nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x.flatten(1, 2)))
        if self.way == "crosswise":
            x = self.second(x.transpose(0, 1)).mean(0)
        elif self.way == "chunk":
            a, b = x.chunk(2, 2)
            x = (a * b).mean(1)
        elif self.way == "split":
            c, d = x.split([3, 3], dim=-1)
            x = (c - d.exp()).mean(1)
        elif self.way == "attention":
            x = self.attention(x, src_key_padding_mask=x[:, :, 0] > 1).mean(1)
        elif self.way == "unbind":
            x = x.unbind(1)[3] + x.unbind(1)[5]
        else:
            x, _ = x.max(1)
        return self.head(x)


@pytest.mark.parametrize("way", ["attention", "crosswise", "chunk", "split", "unbind", "max"])
def test_several_values_and_any_order_in_memory(way: str) -> None:
    assert_trained_as_alone(
        Several(way), CLASSES, optimizer="Adam", optimizer_options={"lr": rates(1e-3)}
    )


def test_a_fused_optimiser_is_left_to_each_member() -> None:
    assert_trained_as_alone(
        Layers(16, 3, True, False), CLASSES, optimizer="SGD",
        optimizer_options={"lr": rates(1e-2), "momentum": 0.9, "fused": True},
    )  # fmt: skip


def rates(low: float) -> Any:
    return nn.ValueChoice([low, 3 * low], label="lr")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("width", "outputs", "bias", "tokens"),
    [(16, 10, True, False), (17, 3, True, False), (33, 7, False, False), (8, 5, True, True)],
)
def test_linear_layers(optimizer: str, width: int, outputs: int, bias: bool, tokens: bool) -> None:
    assert_trained_as_alone(
        Layers(width, outputs, bias, tokens), CLASSES, optimizer=optimizer,
        optimizer_options={"lr": rates(1e-2 if optimizer == "SGD" else 1e-3),
                           **OPTIMIZERS[optimizer]},
    )  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    options, target = LOSSES[name]
    assert_trained_as_alone(
        Layers(16, 3, True, False), target, loss=name.partition(",")[0], loss_options=options,
        optimizer="SGD", optimizer_options={"lr": rates(1e-3), "momentum": 0.9},
    )  # fmt: skip


@pytest.mark.parametrize(("width", "optimizer"), [(4, "SGD"), (5, "Adam")])
def test_convolutions(width: int, optimizer: str) -> None:
    assert_trained_as_alone(
        Convolutions(width), CLASSES, optimizer=optimizer,
        optimizer_options={"lr": rates(1e-3), **OPTIMIZERS[optimizer]},
    )  # fmt: skip


def test_in_lower_precision_each_is_trained_by_itself() -> None:
    """Rounding hides what differs: steps that were tried out would differ later."""
    recipe = SupervisedEvaluator(
        train=images(16, 0), validation=images(8, 1), precision="bfloat16", device="cpu", steps=2
    )
    model = Layers(16, 3, True, False)
    recorder = Recording()
    engine = CgoEngine(Options(exact=True))
    for job in engine.plan(model, candidates(nas.Space.of(model)), recipe):
        assert all(result.error is None for result in job.run(recorder))
    assert recorder.notes == [f"{MEMBERS} trained one by one, bits can't be kept in bfloat16"]


def test_of_a_loss_only_the_sums_are_member_by_member(monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[str] = []
    write = nas_engine_cgo.exact.write.written

    def noted(*args: Any, **kwargs: Any) -> Any:
        function = write(*args, **kwargs)
        sources.append(function.source)
        return function

    monkeypatch.setattr(nas_engine_cgo.exact.write, "written", noted)
    assert_trained_as_alone(
        Layers(16, 3, True, False), CLASSES, loss_options={"weight": torch.tensor([0.3, 1.0, 2.0])},
        epochs=1, validate_every=1,
    )  # fmt: skip
    whole = [source for source in sources if "member_linear" in source and "log_softmax" in source]
    assert whole
    assert all("cross_entropy" not in source for source in sources)
    assert all(source.count("log_softmax") == 1 for source in whole)


@pytest.mark.parametrize("equal", [True, False])
def test_a_step_is_tried_till_each_part_has_shown_enough(
    equal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients of a loss are many numbers at once; its value is one for each member."""
    tried: list[tuple[str, bool]] = []
    verdict = equality._verdict

    def noting(trials: Any, function: Any, call: Any, back: bool, some: Any) -> Verdict:
        tried.append((trials[0].call.name, back))
        found = verdict(trials, function, call, back, some)
        return found if equal else Verdict(False, (False,) * len(found.gradients))

    monkeypatch.setattr(equality, "_verdict", noting)
    assert_trained_as_alone(
        Layers(16, 3, True, False), NUMBERED, loss="mse_loss", epochs=1, validate_every=1,
        batch_size=44,
    )  # fmt: skip
    ways_back = [back for name, back in tried if name == "mse_loss"]
    assert ways_back == ([True, *[False] * 31] if equal else [True])


def assert_member_by_member(
    together: Callable[..., Tensor],
    alone: Callable[..., Tensor],
    operands: dict[Tensor, Callable[[Tensor, int], Tensor]],
    result: Callable[[Tensor, int], Tensor],
    n: int,
) -> None:
    """Results and gradients are equal to the bit, on any machine.

    Args:
        together, alone: functions of the operands, of all members and of one.
        operands: what they are, and what is one member's of each and of its gradient.
        result: what is one member's of the result.
        n: how many members.
    """
    given = [operand.requires_grad_() for operand in operands]
    made = together(*given)
    felt = torch.randn(made.shape, generator=torch.Generator().manual_seed(9))
    gradients = torch.autograd.grad(made, given, felt)
    for i in range(n):
        own = [part(x, i).detach().clone().requires_grad_() for x, part in operands.items()]
        expected = alone(*own)
        assert torch.equal(result(made, i), expected)
        found = torch.autograd.grad(expected, own, result(felt, i).clone())
        for gradient, wanted, part in zip(gradients, found, operands.values(), strict=True):
            assert torch.equal(part(gradient, i), wanted)


sizes = st.integers(1, 40)


@settings(deadline=None)
@given(n=st.integers(2, 5), batch=sizes, inputs=sizes, outputs=sizes, bias=st.booleans())
def test_linear_member_by_member(n: int, batch: int, inputs: int, outputs: int, bias: bool) -> None:
    shapes = [(batch, inputs), (outputs, inputs), *([(outputs,)] if bias else [])]
    generator = torch.Generator().manual_seed(n)
    assert_member_by_member(
        lambda *x: member_linear(*x, apart=(True,) * 4),
        torch.nn.functional.linear,
        {torch.randn(n, *shape, generator=generator): lambda x, i: x[i] for shape in shapes},
        lambda x, i: x[i],
        n,
    )


@settings(deadline=None)
@given(
    n=st.integers(2, 5), batch=st.integers(1, 9), inputs=st.integers(1, 9),
    outputs=st.integers(1, 9), stride=st.integers(1, 2), bias=st.booleans(),
)  # fmt: skip
def test_convolution_member_by_member(
    n: int, batch: int, inputs: int, outputs: int, stride: int, bias: bool
) -> None:
    generator = torch.Generator().manual_seed(n)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    operands: dict[Tensor, Callable[[Tensor, int], Tensor]] = {
        normal(batch, n * inputs, 6, 6): lambda x, i: x.chunk(n, 1)[i],
        normal(n * outputs, inputs, 3, 3): lambda x, i: x.chunk(n)[i],
        **({normal(n * outputs): lambda x, i: x.chunk(n)[i]} if bias else {}),
    }
    geometry = ((stride, stride), (1, 1), (1, 1))
    assert_member_by_member(
        lambda x, w, b=None: member_convolution(x, w, b, (*geometry, 1), n, (APART,) * 3),
        lambda x, w, b=None: torch.nn.functional.conv2d(x, w, b, *geometry),
        operands,
        lambda x, i: x.chunk(n, 1)[i],
        n,
    )


# ---------------------------------------------------------------------- copies


class Holding(torch.nn.Module):
    def __init__(self, view: bool) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.tied = self.layer
        self.norm = torch.nn.BatchNorm1d(2)
        self.register_buffer("whole", torch.zeros(2))
        self.register_buffer("part", self.whole[:1] if view else torch.zeros(1))
        self.seen: list[int] = []


@pytest.mark.parametrize("view", [False, True])
def test_a_duplicate_is_what_deepcopy_makes(view: bool) -> None:
    module = Holding(view)
    module.layer.weight.requires_grad_(False)
    made, expected = duplicate(module), copy.deepcopy(module)
    states = (each.state_dict(keep_vars=True) for each in (made, expected))
    for (path, one), other in zip(next(states).items(), next(states).values(), strict=True):
        assert torch.equal(one, other), path
        assert (type(one), one.requires_grad) == (type(other), other.requires_grad), path
    assert made.tied is made.layer
    made.whole += 1.0
    made.seen.append(1)
    assert float(made.part) == (1.0 if view else 0.0)
    assert float(module.whole.sum()) == 0.0
    assert module.seen == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("samples", [1, 2, 16, 17, 18, 32, 33, 100, 257, 300, 513, 4097])
def test_losses_are_added_up_as_torch_adds_them(samples: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(samples)
    for ignored in (0.0, 0.1, 0.5, 1.0):
        logs = torch.randn(5, samples, 7, generator=generator, dtype=dtype).log_softmax(-1)
        target = torch.randint(0, 7, (5, samples), generator=generator)
        target[torch.rand(5, samples, generator=generator) < ignored] = -100
        expected = torch.stack(
            [functional.nll_loss(*each, reduction="sum") for each in zip(logs, target, strict=True)]
        )
        losses = functional.nll_loss(logs.flatten(0, 1), target.flatten(), reduction="none")
        assert same_bits(added_up(losses.view(5, -1), target != -100), expected)


@pytest.mark.parametrize(
    "ways", [(AT_ONCE,) * 3, (APART, AT_ONCE, APART), (AT_ONCE, APART, AT_ONCE)]
)
@pytest.mark.parametrize("size", [(6,), (4, 5), (2, 3, 2)])
def test_windows_of_one_pixel_where_bits_count(
    size: tuple[int, ...], ways: tuple[int, int, int]
) -> None:
    """Products, in the order in memory that convolutions have."""
    generator = torch.Generator().manual_seed(0)
    n, inputs, outputs, d = 3, 4, 2, len(size)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, weight = drawn(5, n * inputs, *size), drawn(n * outputs, inputs, *(1,) * d)
    direction = drawn(5, n * outputs, *size)
    geometry = ([1] * d, [0] * d, [1] * d, 1)
    conv = getattr(torch.nn.functional, f"conv{d}d")

    def run(function: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        given = [tensor.clone().requires_grad_() for tensor in (x, weight)]
        made = function(*given)
        return (made.detach(), *torch.autograd.grad(made, given, direction))

    found = run(lambda x, w: member_convolution(x, w, None, geometry, n, ways))
    for one, other in zip(found, run(lambda x, w: conv(x, w, groups=n)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        assert one.is_contiguous()
