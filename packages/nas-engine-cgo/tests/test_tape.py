"""A tape does what the code did that was recorded, to the bit and with other inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import nas_core.nn as nn
import pytest
import spaces
import torch
import torch.nn.functional as functional
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_core import Candidate, Space, model_wrapper
from nas_core.testing import Recording
from nas_engine_cgo.engine import CgoEngine
from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.options import Options
from nas_engine_cgo.state import Stream, drawing
from nas_engine_cgo.tape import Tape, UnrepeatableError, recorded, shortened, written
from nas_engine_cgo.train.graphed import Graphs
from nas_engine_cgo.train.loop import Loop
from nas_engine_cgo.train.passes import Batches, Outcome, Passes
from nas_engine_cgo.train.passes import Recording as Recorded
from nas_engine_cgo.train.taped import Tapes
from nas_search.evaluators import SupervisedEvaluator
from torch import Generator, Tensor

# ---------------------------------------------------------------------- random programs

Values = list[Tensor]
Operation = Callable[["Machine", Tensor, Tensor], Values]


class Machine:
    """What programs find beside their inputs: weights, a buffer that they change, a generator."""

    def __init__(self) -> None:
        seeded = Generator().manual_seed(1)
        self.weight = torch.randn(64, 3, generator=seeded).requires_grad_()
        self.bias = torch.randn(3, generator=seeded).requires_grad_()
        self.seen = torch.zeros(3)
        self.generator = Generator().manual_seed(2)
        self.streams = [Stream(Generator().manual_seed(seed)) for seed in (3, 4)]

    def run(self, program: Sequence[tuple[Operation, int, int]], inputs: Values) -> Values:
        """The loss, and the gradients of the weights."""
        values = list(inputs)
        for operation, i, j in program:
            values += operation(self, values[i % len(values)], values[j % len(values)])
        loss = torch.stack([(value * value).mean() for value in values]).sum()
        loss = loss + functional.linear(values[-1], self.weight.t()[:, : width(values[-1])]).sum()
        self.weight.grad = self.bias.grad = None
        loss.backward()
        return [loss.detach(), *(p.grad for p in (self.weight, self.bias) if p.grad is not None)]


def width(x: Tensor) -> int:
    return x.shape[1]


def narrowed(x: Tensor, to: Tensor) -> Tensor:
    return x[:, : min(width(x), width(to))]


def added(_: Machine, x: Tensor, y: Tensor) -> Values:
    return [narrowed(x, y) + narrowed(y, x)]


def joined(_: Machine, x: Tensor, y: Tensor) -> Values:
    return [torch.cat((x, y, x), 1)[:, :40]]


def apart(_: Machine, x: Tensor, __: Tensor) -> Values:
    sizes = [1] * (width(x) - 1) + [1]
    return [
        torch.cat(x.split(sizes, 1)[::-1], 1),
        *x.split((width(x) // 2, width(x) - width(x) // 2), 1)[1:],
    ]


def around(_: Machine, x: Tensor, y: Tensor) -> Values:
    """Taken apart, changed in some parts, and joined again with their neighbours."""
    first, rest = x[:, :1], x[:, 1:]
    return [torch.cat((y, first, rest, functional.relu(first)), 1)[:, :40]]


def stepped(_: Machine, x: Tensor, __: Tensor) -> Values:
    return [x[:, ::2]]


def multiplied(machine: Machine, x: Tensor, _: Tensor) -> Values:
    return [x @ machine.weight[: width(x)] + machine.bias]


def changed(_: Machine, x: Tensor, y: Tensor) -> Values:
    """A view is read after what it is a view of has changed."""
    joint = torch.cat((x, y), 1)[:, :40]
    part = joint[:, : width(x)]
    joint.mul_(2.0).add_(0.5)
    return [part, functional.relu_(joint * 1.0)]


def remembered(machine: Machine, x: Tensor, _: Tensor) -> Values:
    machine.seen.add_(x.detach().mean())
    return [x * machine.seen[:1].clone()]


def dropped(machine: Machine, x: Tensor, _: Tensor) -> Values:
    return [x * torch.empty_like(x).bernoulli_(0.5, generator=machine.generator)]


def turned(_: Machine, x: Tensor, __: Tensor) -> Values:
    return [
        x.t().contiguous().t() * 0.5,
        x.unsqueeze(2).expand(-1, -1, 2).reshape(len(x), -1)[:, :40],
    ]


def reshaped(_: Machine, x: Tensor, __: Tensor) -> Values:
    """What takes another shape in its place, with a view of it from before."""
    found = x * 2.0
    row = found[1]
    found.unsqueeze_(1).transpose_(0, 1).squeeze_(0)
    return [found + row, ((x * 3.0).t_() * 2.0).t_()]


def picked(_: Machine, x: Tensor, y: Tensor) -> Values:
    return [x[:, y.detach().abs().long() % width(x)].flatten(1)[:, :40]]


def noisy(machine: Machine, x: Tensor, _: Tensor) -> Values:
    with drawing(machine.streams[0]):
        noise = torch.randn_like(x)
    with drawing(machine.streams[1]):
        return [x * torch.rand(x.shape).bernoulli() + noise]


def filled(_: Machine, x: Tensor, y: Tensor) -> Values:
    """Memory that is written part by part, read, and written again."""
    x, y = x.detach(), y.detach()
    made = x.new_empty(len(x), width(x) + width(y))
    torch.mul(x, 2.0, out=made[:, : width(x)])
    made[:, width(x) :].copy_(y)
    before = torch.cat((made[:, width(x) :], x), 1)[:, :40]
    last = made[:, -1:]
    made.add_(0.5)
    return [before, made[:, :40], last]


def constant(_: Machine, x: Tensor, y: Tensor) -> Values:
    """What depends on nothing is joined, multiplied and changed."""
    zeros, units = x.new_zeros(len(x), 2), torch.eye(len(x))
    some = units[:, 1:] @ units[1:, :2]
    other = torch.ones(len(x), 2)
    other.add_(some)
    grown = torch.cat((other, x), 1)[:, :40]
    other.mul_(y.detach()[:, :1])
    return [torch.cat((zeros, x, some), 1)[:, :40], units @ y, grown, other, some]


def zeroed(_: Machine, x: Tensor, y: Tensor) -> Values:
    """Products with zero are added, to themselves and to what changes, and change."""
    nothing, few = x / x[:, :1] * 0.0, narrowed(x, y)
    changing = few * 0.0
    before = narrowed(y, x) + changing
    changing.add_(0.5)
    whole = (x.detach() * 0).long() * 0 + (x.detach() * 3).long()
    return [nothing + nothing * -0.0, few * 0.0 + narrowed(y, x) * 0, before + changing, x + whole]


OPERATIONS = (
    added, joined, apart, around, stepped, multiplied, changed, remembered, dropped, turned,
    reshaped, picked, noisy, filled, constant, zeroed,
)  # fmt: skip
programs = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 99), st.integers(0, 99)), max_size=12
)


def drawn(seed: int, *widths: int) -> Values:
    generator = Generator().manual_seed(seed)
    return [torch.randn(3, width, generator=generator) for width in widths]


@settings(deadline=None)
@given(programs)
def test_a_tape_repeats_random_programs(program: list[tuple[Operation, int, int]]) -> None:
    machine, other = Machine(), Machine()
    inputs = drawn(0, 4, 7)
    found, tape = recorded(lambda: machine.run(program, inputs), inputs, list)
    assert isinstance(tape, Tape)
    assert_same(found, other.run(program, inputs))
    for seed, repeat in enumerate((written(tape), written(shortened(tape))), 1):
        again = drawn(seed, 4, 7)
        assert_same(repeat(*again), other.run(program, again))
        assert same_bits(machine.seen, other.seen)
        assert torch.equal(machine.generator.get_state(), other.generator.get_state())
        for mine, theirs in zip(machine.streams, other.streams, strict=True):
            assert torch.equal(mine.generator.get_state(), theirs.generator.get_state())


def assert_same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    assert len(found) == len(expected)
    for one, another in zip(found, expected, strict=True):
        assert same_bits(one, another)


def test_parts_of_what_is_joined_are_read_where_they_were() -> None:
    def run(x: Tensor, y: Tensor) -> Values:
        joint = torch.cat((x, y, x), 1)
        first, second, third = joint.split((4, 7, 4), 1)
        return [
            torch.cat((second, third[:, 1:2], third[:, 2:]), 1) + torch.cat((y, first[:, 1:]), 1)
        ]

    inputs = drawn(0, 4, 7)
    _, tape = recorded(lambda: run(*inputs), inputs, list)
    assert isinstance(tape, Tape)
    short = shortened(tape)
    # Of x, but for its first column, is joined what lies together.
    assert [call.name for call in short.calls] == [
        "slice.Tensor", "cat.default", "slice.Tensor", "cat.default", "add.Tensor",
    ]  # fmt: skip
    again = drawn(1, 4, 7)
    assert_same(written(short)(*again), run(*again))


def test_what_depends_on_nothing_is_not_made_again() -> None:
    def run(x: Tensor) -> Values:
        units = torch.eye(4)[:, :2]
        return [torch.cat((x @ units, x.new_zeros(3, 1)), 1), x.new_zeros(3)]

    (x,) = inputs = drawn(0, 4)
    _, tape = recorded(lambda: run(x), inputs, list)
    assert isinstance(tape, Tape)
    short = shortened(tape)
    # What is given to others they may change: it is new each time.
    assert [call.name for call in short.calls] == ["mm.default", "cat.default", "new_zeros.default"]
    again = drawn(1, 4)
    assert_same(written(short)(*again), run(*again))


def test_what_is_added_to_a_product_with_zero_reads_what_that_is_of() -> None:
    def run(x: Tensor, y: Tensor) -> Values:
        few, nothing = y[:, :4], x * 0.0
        return [nothing + few, few * 0.0 + x.t().contiguous().t(), x + few.double() * 0, nothing]

    inputs = drawn(0, 4, 7)
    _, tape = recorded(lambda: run(*inputs), inputs, list)
    assert isinstance(tape, Tape)
    short = shortened(tape)
    assert [(call.name, *call.kwargs) for call in short.calls] == [
        ("slice.Tensor",), ("mul.Tensor",), ("add.Tensor", "alpha"),
        ("mul.Tensor",), ("t.default",), ("clone.default", "memory_format"), ("t.default",),
        ("add.Tensor",),
        ("_to_copy.default", "dtype"), ("mul.Tensor",), ("add.Tensor",),
    ]  # fmt: skip
    x, y = drawn(1, 4, 7)
    x[0], y[1] = float("inf"), float("nan")
    assert_same(written(short)(x, y), run(x, y))


def test_memory_that_is_filled_before_anybody_reads_it_may_be_read_where_it_is() -> None:
    def run(x: Tensor, y: Tensor) -> Values:
        made = torch.mul(x, 2.0, out=x.new_empty(3, 4))
        first, second = torch.cat((made, y), 1).split((4, 7), 1)
        return [torch.cat((second, first), 1)]

    inputs = drawn(0, 4, 7)
    _, tape = recorded(lambda: run(*inputs), inputs, list)
    assert isinstance(tape, Tape)
    short = shortened(tape)
    assert [call.name for call in short.calls] == ["new_empty.default", "mul.out", "cat.default"]
    again = drawn(1, 4, 7)
    assert_same(written(short)(*again), run(*again))


# ---------------------------------------------------------------------- what is refused


def reads(x: Tensor) -> Tensor:
    return x * float(x.sum())


def chooses(x: Tensor) -> Tensor:
    return x[x > 0]


def draws(x: Tensor) -> Tensor:
    return x * torch.rand(x.shape)


def converts(x: Tensor) -> Tensor:
    return x * torch.tensor([2.0])


def grows(x: Tensor) -> Tensor:
    return (x * 1.0).resize_(2, 4)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (reads, "_local_scalar_dense"),
        (chooses, "size depends on numbers"),
        (draws, "aten.rand.default draws from a global generator"),
        (converts, "a tensor is made of Python's numbers"),
        (grows, "another shape"),
    ],
)
def test_what_would_be_another_thing_next_time_is_refused(
    run: Callable[[Tensor], Tensor], reason: str
) -> None:
    x = drawn(0, 4)[0]
    torch.manual_seed(3)
    found, tape = recorded(lambda: [run(x)], [x], list)
    assert isinstance(tape, UnrepeatableError)
    assert reason in str(tape)
    torch.manual_seed(3)
    assert_same(found, [run(x)])


def test_one_tensor_for_two_inputs_is_refused() -> None:
    x = drawn(0, 4)[0]
    _, tape = recorded(lambda: [x + x], [x, x], list)
    assert isinstance(tape, UnrepeatableError)


def test_attention_that_drops_nothing_draws_nothing() -> None:
    x = torch.randn(2, 4, 8, 8)
    attend = functional.scaled_dot_product_attention
    _, tape = recorded(lambda: [attend(x, x, x)], [x], list)
    assert isinstance(tape, Tape)
    y = torch.randn(2, 4, 8, 8)
    assert_same(written(tape)(y), [attend(y, y, y)])


# ---------------------------------------------------------------------- training


def images(size: int) -> tuple[Tensor, Tensor]:
    generator = Generator().manual_seed(5)
    x = torch.randn(size, 1, 8, 8, generator=generator)
    return x, torch.randint(0, 3, (size,), generator=generator)


def recipe(**changes: Any) -> SupervisedEvaluator:
    settings: dict[str, Any] = {
        "train": images(44), "validation": images(20), "batch_size": 8, "epochs": 4,
        "optimizer": "SGD", "optimizer_options": {"lr": 0.01, "momentum": 0.9, "nesterov": True},
        "clip_norm": 1.0, "device": "cpu", "threads": 1,
    }  # fmt: skip
    return SupervisedEvaluator(**settings | changes)


@pytest.fixture
def repeated(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether there is something to repeat, for each recording."""
    found: list[bool] = []
    record = Tapes.record

    def noted(*given: Any) -> Recorded:
        made = record(*given)
        found.append(made.repeat is not None)
        return made

    monkeypatch.setattr(Tapes, "record", noted)
    return found


def trained(model: nn.Module, evaluator: SupervisedEvaluator, **options: Any) -> Recording:
    space = Space.of(model, evaluator)
    chosen = [Candidate(i, space.sample(seed=i), seed=50 + i) for i in range(4)]
    recorder = Recording()
    engine = CgoEngine().configured(cluster_size=2, **options)
    for job in engine.plan(model, chosen, evaluator):
        assert [result.error for result in job.run(recorder)] == [None] * len(chosen)
    return recorder


@model_wrapper
class Recurrent(nn.Module):
    """Kernels of recurrent layers keep more for the way back if gradients are enabled."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([5, 6], label="width")
        self.first = nn.LayerChoice(
            {"lstm": nn.LSTM(8, width, batch_first=True), "gru": nn.GRU(8, width)}, label="kind"
        )
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.first(x[:, 0])
        return self.head(outputs[:, -1])


@model_wrapper
class Noisy(nn.Module):
    """Noise, and pooling whose result is given another shape where it lies."""

    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([3, 4], label="width")
        self.first = nn.Conv2d(1, width, 3)
        self.drop = nn.LayerChoice(
            {"alpha": nn.AlphaDropout(0.2), "rrelu": nn.RReLU()}, label="drop"
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.head(self.pool(self.drop(self.first(x))).flatten(1))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("space", "changes"),
    [
        (Recurrent, {}),
        (Noisy, {"loss_options": {"weight": torch.tensor([0.5, 1.0, 2.0])}}),
        (spaces.Cells, {}),
        (spaces.Blocks, {"precision": "float16"}),
        (spaces.Mlp, {"optimizer": "AdamW", "optimizer_options": {"lr": 0.01}}),
        (spaces.Transformer, {"optimizer": "RMSprop", "optimizer_options": {"centered": True}}),
        (spaces.Widths, {"schedule": "StepLR", "schedule_options": {"step_size": 2}}),
        (spaces.Blocks, {"precision": "bfloat16"}),
    ],
)
def test_steps_from_a_tape_are_steps_taken(
    space: Any, changes: Any, exact: bool, repeated: list[bool]
) -> None:
    model, evaluator = space(), recipe(**changes)
    expected = trained(model, evaluator, exact=exact, tape=False)
    assert repeated == []
    found = trained(model, evaluator, exact=exact)
    assert not any("raised" in note for note in (*found.notes, *expected.notes))
    # For each size of a batch; with exact those of lower precision are not merged.
    assert repeated == ([] if exact and evaluator.precision != "float32" else [True, True])
    assert found.reports == expected.reports
    for number, module in expected.models.items():
        state = found.models[number].state_dict()
        for name, tensor in module.state_dict().items():
            assert same_bits(state[name], tensor), (number, name)


def test_where_python_decides_nothing_is_recorded(repeated: list[bool]) -> None:
    trained(spaces.Counting(), recipe())
    assert repeated == []


def test_the_usual_kind_of_steps_is_recorded_at_once_and_others_if_they_come_again() -> None:
    told: list[tuple[str, int]] = []

    class Telling:
        first, patience, repeated, refused = 0, 2, "", ""

        def record(self, run: Any, batches: Batches, trained: Any) -> Recorded:
            told.append(("recorded", len(batches[0][0])))
            return Recorded(lambda given: ran("repeated", given), [])

    def ran(how: str, batches: Batches) -> list[Outcome]:
        told.append((how, len(batches[0][0])))
        return []

    passes = Passes(list, lambda batches: True, Telling())
    for size in (8, 8, 3, 8, 3, 3, 3):
        passes(lambda batches: ran("run", batches), [[torch.zeros(size)]])
    assert told == [
        *(("recorded", 8), ("repeated", 8), ("run", 3), ("repeated", 8)),
        *(("run", 3), ("recorded", 3), ("repeated", 3)),
    ]


def test_what_repeats_steps_depends_on_the_device_and_the_options() -> None:
    def repeats(device: str, **options: Any) -> type | None:
        loop = copy.copy(loops[0])
        loop.device, loop.options = torch.device(device), Options(**options)
        recorder = loop._recorder()
        return None if recorder is None else type(recorder)

    loops: list[Loop] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "end_epoch", lambda loop, _: loops.append(loop))
        trained(spaces.Mlp(), recipe(epochs=1))
    assert repeats("cpu") is Tapes
    assert repeats("cpu", tape=False) is None
    assert repeats("cuda:0") is Graphs
    assert repeats("cuda:0", cuda_graph=False) is None
