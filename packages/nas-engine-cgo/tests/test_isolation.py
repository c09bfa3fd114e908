"""One bad member is one failed trial: the others end as if it had not been there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from alone import DEVICES, TOLERANCE, Alone, Heard, assert_as_alone, assert_weights_equal, jobs_of
from nas_core import Result
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_engine_cgo.train.optimizer import StackedOptimizer
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.overrides import TorchFunctionMode

pytestmark = pytest.mark.parametrize("device", DEVICES, indirect=True)
MEMBERS, BAD = 16, 5
X = torch.randn(30, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = X[:, :3].argmax(1)


def good() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.3), nn.ReLU(), nn.Linear(4, 3))


class Fails(nn.Module):
    """Does what it likes to its input, from some training step on."""

    def __init__(self, act: Callable[[Tensor], Tensor], after: int) -> None:
        super().__init__()
        self.body, self.act, self.after, self.step = good(), act, after, 0

    def forward(self, x: Tensor) -> Any:
        self.step += self.training
        x = self.body(x)
        return self.act(x) if self.step > self.after else x


class RaisesBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        raise ValueError("no way back")


def raises(error: BaseException) -> Callable[[Tensor], Tensor]:
    def act(x: Tensor) -> Tensor:
        raise error

    return act


def allocates(x: Tensor) -> Tensor:
    return x.new_empty(1 << 60)


class Bare(nn.Module):
    """Raises where every member's code runs as one."""

    def forward(self, x: Tensor) -> Tensor:
        return RaisesBackward.apply(x)  # type: ignore[no-untyped-call, no-any-return]


CULPRITS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "nan": (lambda: Fails(lambda x: x * float("nan"), 7), "FloatingPointError"),
    "infinite": (lambda: Fails(lambda x: x * 1e300 * 1e300, 0), "FloatingPointError"),
    "forward": (lambda: Fails(raises(ValueError("too wide")), 8), "ValueError: too wide"),
    "exit": (lambda: Fails(raises(SystemExit(3)), 3), "SystemExit"),
    "backward": (lambda: Fails(RaisesBackward.apply, 6), "ValueError: no way back"),
    "backward at once": (lambda: nn.Sequential(good(), Bare()), "ValueError: no way back"),
    "memory": (lambda: Fails(raises(torch.OutOfMemoryError("CUDA out of memory")), 4), "memory"),
    "memory of the CPU": (lambda: Fails(allocates, 4), "RuntimeError"),
    "shapes": (lambda: nn.Sequential(nn.Linear(6, 4), nn.Linear(5, 3)), "RuntimeError"),
    "building": (lambda: nn.Linear(6, -1), "RuntimeError"),
    "nothing to train": (lambda: good().requires_grad_(False), "RuntimeError"),
    "without parameters": (nn.Flatten, "ValueError"),
    "several outputs": (lambda: Fails(lambda x: (x, x), 0), "TypeError"),  # type: ignore[arg-type, return-value]
}  # fmt: skip


def recipe(**more: Any) -> SupervisedEvaluator:
    given = {
        "train": (X, Y), "batch_size": 5, "epochs": 3, "threads": 1,
        "optimizer_options": {"lr": 0.1, "momentum": 0.9},
    }  # fmt: skip
    return SupervisedEvaluator(**{**given, **more})


def run(
    jobs: list[Alone], refused: frozenset[int] = frozenset(), options: Options | None = None
) -> tuple[list[Result], Heard]:
    heard = Heard(refused)
    job = MergedJob(tuple(jobs), options or Options())  # type: ignore[arg-type]
    return sorted(job.run(heard), key=lambda result: result.number), heard


def assert_only_it_failed(
    jobs: list[Alone], error: str, refused: frozenset[int] = frozenset()
) -> None:
    results, heard = run(jobs, refused)
    assert [result.number for result in results] == list(range(MEMBERS))
    assert [result.number for result in results if result.failed] == [BAD]
    assert error in str(results[BAD].error)
    without, other = run([job for job in jobs if job.candidates[0].number != BAD])
    for result in without:
        found = results[result.number].metrics
        assert found == pytest.approx(result.metrics, rel=TOLERANCE, abs=TOLERANCE)
        number = result.number
        assert [step for step, _ in heard.reports[number]] == [1, 2, 3]
        assert_weights_equal(heard.weights[number], other.weights[number], number)
    assert BAD not in heard.weights


@pytest.mark.parametrize("name", ["nan", "forward", "backward", "memory of the CPU"])
def test_others_are_not_touched(name: str) -> None:
    make, error = CULPRITS[name]
    builds = [make if number == BAD else good for number in range(MEMBERS)]
    assert_only_it_failed(jobs_of(builds, recipe()), error)


def test_where_bits_count_many_failures_change_no_bit_of_the_others(device: str) -> None:
    if device != "cpu":
        pytest.skip("bits can be kept on CPU only")
    bad = {1: "nan", 4: "forward", 7: "backward", 10: "memory", 13: "memory of the CPU"}
    stopped, exact = 15, Options(exact=True, cluster_size=MEMBERS)
    builds = [CULPRITS[bad[n]][0] if n in bad else good for n in range(MEMBERS)]
    jobs = jobs_of(builds, recipe())
    results, heard = run(jobs, frozenset({stopped}), exact)
    assert [result.number for result in results if result.failed] == [*bad, stopped]
    for number, name in bad.items():
        assert CULPRITS[name][1] in str(results[number].error)
    sound = [n for n in range(MEMBERS) if n not in bad and n != stopped]
    for others, options in ((sound, exact), (sound[:3], exact)):
        without, other = run([jobs[number] for number in others], options=options)
        for result in without:
            number = result.number
            assert results[number].metrics == result.metrics
            assert heard.reports[number] == other.reports[number]
            for path, tensor in other.weights[number].items():
                assert torch.equal(heard.weights[number][path], tensor), (number, path)


class Limited(TorchFunctionMode):
    """Memory for tensors of so many bytes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.refused = most, 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.device.type != "meta" and made.nbytes > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError(f"no room for {made.nbytes} bytes")
        return made


@pytest.mark.parametrize("epochs", [3, 20])
def test_members_that_have_no_room_together_are_trained_in_halves(epochs: int) -> None:
    """Twenty epochs are worth to be timed before, which runs out of memory as well."""

    def wide() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))

    jobs = jobs_of([wide] * 8, recipe(epochs=epochs))
    with Limited(2 * 6 * 64 * 8) as limit:  # the weights of two
        results, heard = run(jobs)
    assert limit.refused > 0
    assert [result.error for result in results] == [None] * 8
    for number, job in enumerate(jobs):
        alone = Heard()
        (expected,) = job.run(alone)
        assert results[number].metrics == pytest.approx(
            expected.metrics, rel=TOLERANCE, abs=TOLERANCE
        )
        assert_weights_equal(heard.weights[number], alone.weights[number], number)


def test_what_only_merging_raises_is_told_and_costs_no_trial(
    faults: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: StackedOptimizer, largest: object = None) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(StackedOptimizer, "step", refuses)
    results, _ = run(jobs_of([good] * 4, recipe()))
    (told,) = faults
    faults.clear()
    place = refuses.__code__
    assert f"at {place.co_filename}:{place.co_firstlineno + 1};" in told
    for number, job in enumerate(jobs_of([good] * 4, recipe())):
        (expected,) = job.run(Heard())
        assert results[number].metrics == expected.metrics


def test_metric_that_raises() -> None:
    def metric(outputs: Tensor, target: Tensor) -> float:
        raise ArithmeticError("no number")

    bad = recipe(metrics={"accuracy": metric})
    recipes = [bad if number == BAD else recipe() for number in range(MEMBERS)]
    assert_only_it_failed(jobs_of([good] * MEMBERS, recipes), "ArithmeticError: no number")


def test_recorder_that_raises() -> None:
    assert_only_it_failed(
        jobs_of([good] * MEMBERS, recipe()), "OSError: no room for 5", frozenset({BAD})
    )


def test_loss_that_raises() -> None:
    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        raise LookupError("no loss")

    recipes = [recipe(loss=loss) if number == BAD else recipe() for number in range(MEMBERS)]
    assert_only_it_failed(jobs_of([good] * MEMBERS, recipes), "LookupError: no loss")


def test_every_failure_as_alone() -> None:
    """All at once: what is told of each, and when, is what is told of it alone."""
    builds = [make for make, _ in CULPRITS.values()] + [good, good]
    results = assert_as_alone(builds, recipe(), frozenset({len(builds) - 1}))
    assert [result.failed for result in results] == [True] * len(CULPRITS) + [False, True]


def no_number(outputs: Tensor, target: Tensor) -> Any:
    return outputs.mean(0)


def not_finite(outputs: Tensor, target: Tensor) -> float:
    return float("nan")


def out_of_reach(outputs: Tensor, target: Tensor) -> Tensor:
    return outputs[:, 99].mean()


RECIPES: dict[str, tuple[dict[str, Any], str]] = {
    "loss is nan": ({"loss": lambda o, t: cross_entropy(o, t) * float("nan")}, "Floating"),
    "loss is no tensor": ({"loss": lambda o, t: 1.0}, "TypeError"),
    "loss of each sample": ({"loss_options": {"reduction": "none"}}, "RuntimeError"),
    "loss without gradient": ({"loss": lambda o, t: o.detach().mean()}, "RuntimeError"),
    "metric is nan": ({"metrics": {"accuracy": not_finite}}, "MetricsError"),
    "metric is no number": (
        {"metrics": {"accuracy": no_number}},
        "TypeError: metric 'accuracy' must give a number, not tensor(",
    ),
    "metric raises": ({"metrics": {"accuracy": out_of_reach}}, "IndexError"),
    "no objective": ({"metrics": ["loss"]}, "ValueError: objective 'accuracy'"),
    "no batch": ({"train": (X[:0], Y[:0]), "validation": (X, Y)}, "ValueError: the training data"),
    "nothing to measure": ({"validation": (X[:0], Y[:0])}, "ValueError: there is no data"),
    "classes": ({"train": (X, Y + 7)}, "IndexError: Target"),
    "rate": (
        {"optimizer_options": {"lr": -1}},
        "ValueError: optimizer SGD does not take lr=-1: Invalid learning rate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_what_fails_in_a_recipe_is_told_as_alone_and_in_no_line_of_ours(
    name: str, device: str
) -> None:
    if device != "cpu" and name == "classes":
        pytest.skip("what a kernel raises there ends the use of CUDA in this process")
    given, error = RECIPES[name]
    for result in assert_as_alone([good] * 3, recipe(**given)):
        assert result.error is not None
        assert result.error.startswith(error)
        assert "nas_" not in result.error
        assert "<merged" not in result.error


def test_notes_tell_what_a_member_raised_in_its_own_words() -> None:
    builds = [CULPRITS[name][0] for name in ("forward", "shapes")] + [good] * 2
    results, heard = run(jobs_of(builds, recipe()))
    assert [result.failed for result in results] == [True, True, False, False]
    raised = [note for note in heard.notes if "raised" in note]
    assert "one of trials [0] raised: ValueError: too wide" in raised
    assert any("raised: RuntimeError: mat1 and mat2" in note for note in raised)
    assert not any("RefusedError" in note or ".py:" in note for note in raised)


def raises_of_loss(outputs: Tensor, target: Tensor) -> Tensor:
    raise ValueError("no such loss")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"loss": raises_of_loss}, "raised: ValueError: no such loss"),
        ({"loss_options": {"reduction": "none"}}, "the loss is no number that has a gradient"),
        (
            {"schedule": "ReduceLROnPlateau", "schedule_every": "step"},
            "raised: ValueError: ReduceLROnPlateau follows a metric",
        ),
    ],
)
def test_what_all_raise_is_said_once(changes: dict[str, Any], reason: str) -> None:
    results, heard = run(jobs_of([good] * 5, recipe(**changes)))
    assert all(result.failed for result in results)
    assert [note for note in heard.notes if "trials [0, 1, 2, 3, 4]" in note and reason in note]
    assert len([note for note in heard.notes if reason in note]) == 1


def test_data_that_raises() -> None:
    """It is no member's fault, so all fail, each with its error."""

    def broken() -> Any:
        yield X[:5], Y[:5]
        raise OSError("the disk is gone")

    builds = [good] * 3
    results = assert_as_alone(builds, recipe(train=lambda: Once(broken), validation=(X, Y)))
    assert all("the disk is gone" in str(result.error) for result in results)
    results = assert_as_alone(builds, recipe(validation=(X[:0], Y[:0])))
    assert all("no data" in str(result.error) for result in results)


class Once:
    """Batches that a function makes."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __iter__(self) -> Any:
        return self._make()
