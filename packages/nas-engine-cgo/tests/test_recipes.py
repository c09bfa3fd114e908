"""Recipes of training: each member of a merged job ends as it does alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from alone import DEVICES, Build, Heard, assert_as_alone, jobs_of
from models import Do
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

pytestmark = pytest.mark.parametrize("device", DEVICES, indirect=True)
SAMPLES, FEATURES, CLASSES = 23, 6, 3


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


X = drawn(SAMPLES, FEATURES)
Y = X[:, :CLASSES].argmax(1)
IMAGES = drawn(SAMPLES, 2, 5, 5)


def mlp(width: int = 5, out: int = CLASSES, dropout: float = 0.2) -> nn.Module:
    return nn.Sequential(
        nn.Linear(FEATURES, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, out)
    )


def cnn(width: int = 3, out: int = CLASSES, depth: int = 1) -> nn.Module:
    body = [
        part
        for _ in range(depth)
        for part in (nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
    ]
    return nn.Sequential(
        nn.Conv2d(2, width, 3), nn.ReLU(), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(width, out),
    )  # fmt: skip


MIXED: tuple[Build, ...] = (mlp, mlp, lambda: mlp(4), lambda: mlp(dropout=0.0))


def recipe(**more: Any) -> SupervisedEvaluator:
    given = {
        "train": (X, Y), "batch_size": 5, "optimizer_options": {"lr": 0.1}, "epochs": 2,
        "threads": 1,
    }  # fmt: skip
    return SupervisedEvaluator(**{**given, **more})


OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.1}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "maximize": ("SGD", {"lr": 0.01, "momentum": 0.5, "maximize": True}),
    "Adam": ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4}),
    "Adam decay": ("Adam", {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-4}),
    "amsgrad": ("Adam", {"lr": 0.01, "amsgrad": True, "eps": 1e-4}),
    "AdamW": ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-4}),
    "RMSprop": ("RMSprop", {"lr": 0.01, "eps": 1e-3}),
    "RMSprop centered": ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-2, "alpha": 0.9}),
    "RMSprop momentum": (
        "RMSprop", {"lr": 0.01, "momentum": 0.8, "weight_decay": 0.1, "eps": 1e-3},
    ),
    "Adagrad": ("Adagrad", {"lr": 0.01}),
    "rate in a tensor": ("Adam", {"lr": torch.tensor(0.01, dtype=torch.float32), "eps": 1e-4}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    kind, options = OPTIMIZERS[name]
    assert_as_alone(MIXED, recipe(optimizer=kind, optimizer_options=options))


@pytest.mark.parametrize("name", ["momentum", "Adam", "AdamW", "RMSprop"])
def test_complex_parameters(name: str) -> None:
    def waves() -> nn.Module:
        return Do(
            lambda m, x: m.out(torch.fft.irfft(torch.fft.rfft(x) * m.scale, n=FEATURES)),
            scale=torch.randn(4, dtype=torch.complex128), out=nn.Linear(FEATURES, CLASSES),
        )  # fmt: skip

    kind, options = OPTIMIZERS[name]
    assert_as_alone([waves] * 3, recipe(optimizer=kind, optimizer_options=options, clip_norm=0.1))


OWN: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "rate and decay": (
        "SGD", [{"lr": 0.1}, {"lr": 0.2, "weight_decay": 0.1}, {"lr": 0.05, "momentum": 0.9}],
    ),
    "momentum and dampening": (
        "SGD",
        [
            {"lr": 0.1, "momentum": momentum, "dampening": dampening}
            for momentum, dampening in ((0, 0.5), (0.9, 0.2), (0.5, 0))
        ],
    ),
    "Adam": (
        "Adam",
        [
            {"lr": 0.01, "betas": (beta, 0.9), "eps": eps}
            for beta, eps in ((0.9, 1e-4), (0.5, 1e-3), (0.8, 1e-2))
        ],
    ),
    "AdamW": (
        "AdamW",
        [
            {"lr": lr, "weight_decay": decay, "eps": 1e-4}
            for lr, decay in ((0.1, 0.0), (0.01, 0.1), (0.02, 0.5))
        ],
    ),
    "RMSprop": (
        "RMSprop",
        [
            {"lr": lr, "momentum": momentum, "eps": 1e-3}
            for lr, momentum in ((0.1, 0.0), (0.01, 0.9), (0.02, 0.5))
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_every_member_has_its_own_numbers(name: str) -> None:
    kind, each = OWN[name]
    recipes = [recipe(optimizer=kind, optimizer_options=options) for options in each]
    assert_as_alone([mlp] * len(each), recipes)


def test_groups_of_parameters() -> None:
    def factory(parameters: Any, lr: float) -> torch.optim.Optimizer:
        given = list(parameters)
        groups = [{"params": given[:2], "lr": lr}, {"params": given[2:], "momentum": 0.9}]
        return torch.optim.SGD(groups, lr=0.3)

    def by_size(parameters: Any) -> torch.optim.Optimizer:
        given = list(parameters)
        return torch.optim.SGD(given, lr=1 / sum(p.numel() for p in given))

    def flags(parameters: Any) -> torch.optim.Optimizer:
        given = list(parameters)
        return torch.optim.Adam(
            [{"params": given[:2], "amsgrad": True}, {"params": given[2:]}], eps=1e-4
        )

    for optimizer, options in ((factory, {"lr": 0.1}), (by_size, {}), (flags, {})):
        assert_as_alone(MIXED, recipe(optimizer=optimizer, optimizer_options=options))


def clipped(parameters: Any, lr: float) -> torch.optim.Optimizer:
    made = torch.optim.SGD(given := list(parameters), lr=lr)
    made.register_step_pre_hook(lambda *_: nn.utils.clip_grad_value_(given, 0.01))
    return made


def bounded(parameters: Any, lr: float) -> torch.optim.Optimizer:
    made = torch.optim.SGD(given := list(parameters), lr=lr)
    made.register_step_post_hook(lambda *_: [p.data.clamp_(-0.3, 0.3) for p in given] and None)
    return made


def replaced(parameters: Any, lr: float) -> torch.optim.Optimizer:
    made = torch.optim.SGD(list(parameters), lr=lr)
    step = made.step

    def twice(*_: Any) -> None:
        step()
        step()

    made.step = twice  # type: ignore[assignment, method-assign]
    return made


def hooking(optimizer: torch.optim.Optimizer) -> Any:
    optimizer.register_step_pre_hook(
        lambda *_: nn.utils.clip_grad_value_(optimizer.param_groups[0]["params"], 0.01)
    )
    return torch.optim.lr_scheduler.StepLR(optimizer, 1)


@pytest.mark.parametrize("optimizer", [clipped, bounded, replaced, "SGD"])
def test_steps_that_do_more(optimizer: Any) -> None:
    more = {"schedule": hooking} if optimizer == "SGD" else {}
    assert_as_alone(MIXED, recipe(optimizer=optimizer, **more))


@pytest.mark.parametrize("way", ["layer", "function"])
@pytest.mark.parametrize("exact", [False, True])
def test_gradients_that_are_sparse(way: str, exact: bool) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        rows = m.table(x) if way == "layer" else F.embedding(x, m.table.weight, sparse=True)
        return m.out(rows.sum(1))

    def sparse() -> nn.Module:
        table = nn.Embedding(9, 4, sparse=way == "layer")
        return Do(forward, table=table, out=nn.Linear(4, CLASSES))

    ids = torch.arange(SAMPLES * 2).reshape(SAMPLES, 2) % 9
    given = recipe(train=(ids, Y))
    assert_as_alone([sparse] * 3, given, options=Options(exact=exact))
    heard = Heard()
    list(MergedJob(tuple(jobs_of([sparse] * 3, given))).run(heard))  # type: ignore[arg-type]
    assert any("sparse" in note for note in heard.notes)


SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "StepLR": ("StepLR", {"step_size": 1, "gamma": 0.5}),
    "CosineAnnealingLR": ("CosineAnnealingLR", {}),
    "OneCycleLR": ("OneCycleLR", {"max_lr": 0.3}),
    "CyclicLR": ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2}),
    "LambdaLR": ("LambdaLR", {"lr_lambda": lambda step: 1 / (1 + step)}),
    "ReduceLROnPlateau": ("ReduceLROnPlateau", {"patience": 0, "factor": 0.3}),
}


@pytest.mark.parametrize(
    ("name", "every"),
    [
        (name, every)
        for name in SCHEDULES
        for every in ("epoch", "step")
        if (name, every) != ("ReduceLROnPlateau", "step")  # It wants a metric.
    ],
)
def test_schedules(name: str, every: Any) -> None:
    kind, options = SCHEDULES[name]
    assert_as_alone(
        MIXED,
        recipe(
            schedule=kind, schedule_options=options, schedule_every=every, epochs=3,
            optimizer_options={"lr": 0.1, "momentum": 0.9}, validate_every=2,
        ),
    )  # fmt: skip


class Shrinking(torch.optim.lr_scheduler.LambdaLR):
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(optimizer, lambda _: 1.0)

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        for parameter in self.optimizer.param_groups[0]["params"] if self.last_epoch else ():
            parameter.data.mul_(0.9)


class OfWeights(torch.optim.lr_scheduler.LRScheduler):
    def get_lr(self) -> list[float]:  # type: ignore[override]
        (group,) = self.optimizer.param_groups
        return [1 / (5 + sum(float(p.detach().norm()) for p in group["params"]))]


class OfGradients(torch.optim.lr_scheduler.LRScheduler):
    def get_lr(self) -> list[float]:  # type: ignore[override]
        (group,) = self.optimizer.param_groups
        felt = [p.grad for p in group["params"] if p.grad is not None]
        return [1 / (5 + sum(float(grad.norm()) for grad in felt))]


def by_lambda(draw: Callable[[], float]) -> Callable[..., Any]:
    return lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: draw())


OWN_SCHEDULES = {
    "weights changed": Shrinking, "weights read": OfWeights, "gradients read": OfGradients,
    "python": by_lambda(random.random), "numpy": by_lambda(np.random.random),
    "torch": by_lambda(lambda: float(torch.rand(()))),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN_SCHEDULES)
@pytest.mark.parametrize("every", ["epoch", "step"])
def test_schedules_that_look_at_more_than_numbers(name: str, every: Any) -> None:
    assert_as_alone(MIXED, recipe(schedule=OWN_SCHEDULES[name], schedule_every=every, epochs=3))


def test_momentum_that_a_schedule_moves() -> None:
    schedule = {"schedule": "OneCycleLR", "schedule_options": {"max_lr": 0.05}}
    adam = {"optimizer": "Adam", "optimizer_options": {"lr": 0.01, "eps": 1e-3}}
    assert_as_alone(MIXED, recipe(**schedule, **adam, schedule_every="step"))


@pytest.mark.parametrize("norms", [[0.1] * 4, [0.1, 0.5, 1e9, 0.01], [None, 0.1, None, 0.3]])
def test_clipping(norms: Sequence[float | None]) -> None:
    assert_as_alone(MIXED, [recipe(clip_norm=norm) for norm in norms])


REAL, BINARY = drawn(SAMPLES, 2, seed=1), (drawn(SAMPLES, 2, seed=1) > 0).double()
MAPS = (IMAGES.flatten(2).sum(1)[:, :16].view(-1, 4, 4) > 0).long()
CHANCES = drawn(SAMPLES, CLASSES, seed=2).softmax(1)
WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
HIDDEN = torch.where(torch.arange(SAMPLES) % 4 == 0, -100, Y)


def segments() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 2), nn.ReLU(), nn.Conv2d(4, CLASSES, 1))


def chances() -> nn.Module:
    return nn.Sequential(mlp(), nn.LogSoftmax(1))


def single() -> nn.Module:
    return nn.Sequential(mlp(out=1), nn.Flatten(0))


def powers() -> nn.Module:
    return nn.Sequential(mlp(out=2), nn.Sigmoid())


def own_loss(outputs: Tensor, target: Tensor) -> Tensor:
    return ((outputs - target) ** 2).mean(1).clamp(max=2).sum()


class Weighted(nn.Module):
    """A loss that is a module, with a tensor and an option."""

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power
        self.register_buffer("weights", torch.tensor([0.3, 0.7], dtype=torch.float64))

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return ((outputs - target).abs() ** self.power * self.weights).sum(1).mean()


REGRESSION = lambda: mlp(out=2)  # noqa: E731
LOSSES: dict[str, tuple[Any, dict[str, Any], Build, Tensor, Tensor]] = {
    "cross_entropy": ("cross_entropy", {}, mlp, X, Y),
    "many classes": (
        "cross_entropy", {"label_smoothing": 0.1}, lambda: mlp(out=20), X, Y * 7 % 20,
    ),
    "sum": ("cross_entropy", {"reduction": "sum"}, mlp, X, Y),
    "smoothing": ("cross_entropy", {"label_smoothing": 0.2}, mlp, X, Y),
    "class weights": ("cross_entropy", {"weight": WEIGHTS}, mlp, X, Y),
    "class weights smoothing": (
        "cross_entropy", {"weight": WEIGHTS, "label_smoothing": 0.2}, mlp, X, HIDDEN,
    ),
    "class weights sum": ("cross_entropy", {"weight": WEIGHTS, "reduction": "sum"}, mlp, X, Y),
    "ignored": ("cross_entropy", {}, mlp, X, HIDDEN),
    "ignored class": (
        "cross_entropy", {"ignore_index": 1, "label_smoothing": 0.1}, mlp, X, Y,
    ),
    "probabilities": ("cross_entropy", {}, mlp, X, CHANCES),
    "probabilities smoothing": ("cross_entropy", {"label_smoothing": 0.1}, mlp, X, CHANCES),
    "probabilities weights": ("cross_entropy", {"weight": WEIGHTS}, mlp, X, CHANCES),
    "segments": ("cross_entropy", {}, segments, IMAGES, MAPS),
    "segments ignored": ("cross_entropy", {"ignore_index": 1}, segments, IMAGES, MAPS),
    "segments weights": ("cross_entropy", {"weight": WEIGHTS}, segments, IMAGES, MAPS),
    "segments probabilities": (
        "cross_entropy", {}, segments, IMAGES,
        F.one_hot(MAPS, CLASSES).movedim(-1, 1).double(),
    ),
    "segments smoothing": ("cross_entropy", {"label_smoothing": 0.1}, segments, IMAGES, MAPS),
    "nll_loss": ("nll_loss", {}, chances, X, Y),
    "nll_loss weights": ("nll_loss", {"weight": WEIGHTS, "ignore_index": 0}, chances, X, Y),
    "mse_loss": ("mse_loss", {}, REGRESSION, X, REAL),
    "mse_loss sum": ("mse_loss", {"reduction": "sum"}, REGRESSION, X, REAL),
    "mse_loss of a vector": ("mse_loss", {}, single, X, REAL[:, 0]),
    "l1_loss": ("l1_loss", {}, REGRESSION, X, REAL),
    "smooth_l1_loss": ("smooth_l1_loss", {"beta": 0.3}, REGRESSION, X, REAL),
    "huber_loss": ("huber_loss", {"delta": 0.3}, REGRESSION, X, REAL),
    "binary_cross_entropy": ("binary_cross_entropy", {}, powers, X, BINARY),
    "with_logits": ("binary_cross_entropy_with_logits", {}, REGRESSION, X, BINARY),
    "pos_weight": (
        "binary_cross_entropy_with_logits", {"pos_weight": WEIGHTS[:2]}, REGRESSION, X, BINARY,
    ),
    "soft_margin_loss": ("soft_margin_loss", {}, REGRESSION, X, BINARY * 2 - 1),
    "multilabel": ("multilabel_soft_margin_loss", {}, REGRESSION, X, BINARY),
    "poisson": ("poisson_nll_loss", {"full": True}, REGRESSION, X, REAL.abs()),
    "own": (own_loss, {}, REGRESSION, X, REAL),
    "module": (nn.CrossEntropyLoss, {"label_smoothing": 0.1}, mlp, X, Y),
    "module with weights": (nn.CrossEntropyLoss, {"weight": WEIGHTS}, mlp, X, Y),
    "own module": (Weighted, {"power": 1.5}, REGRESSION, X, REAL),
    "none": ("mse_loss", {"reduction": "none"}, REGRESSION, X, REAL),
    "divergence": (nn.KLDivLoss, {"reduction": "batchmean"}, chances, X, CHANCES),
    "margins": (nn.MultiMarginLoss, {}, mlp, X, Y),
}  # fmt: skip


def test_every_loss_is_tried() -> None:
    from nas_search.evaluators.parts import LOSSES as NAMED

    assert set(NAMED) <= {loss for loss, *_ in LOSSES.values() if isinstance(loss, str)}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    loss, options, build, x, y = LOSSES[name]
    results = assert_as_alone(
        [build] * 3,
        recipe(
            train=(x, y), loss=loss, loss_options=options, metrics=["loss"],
            objectives={"loss": "minimize"}, optimizer_options={"lr": 0.01},
        ),
    )  # fmt: skip
    assert all(result.failed == (name == "none") for result in results)


def test_members_with_different_losses() -> None:
    recipes = [
        recipe(loss_options={"label_smoothing": 0.1}), recipe(), recipe(loss="cross_entropy"),
        recipe(loss=lambda outputs, target: F.cross_entropy(outputs, target) * 2),
    ]  # fmt: skip
    assert_as_alone(MIXED, recipes)


class Augmented(Dataset[tuple[Tensor, Tensor]]):
    """Draws from torch's, Python's and no other generator."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(FEATURES, dtype=torch.float64) * random.random()
        return X[index] + noise, Y[index]


def loader(generator: torch.Generator) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, Y), batch_size=7, shuffle=True, generator=generator)


DATA: dict[str, dict[str, Any]] = {
    "own order": {"data_seed": None},
    "dataset": {"train": Augmented(), "validation": (X, Y)},
    "dataset in own order": {"train": Augmented(), "data_seed": None},
    "loader": {"train": loader, "validation": (X, Y)},
    "loader in own order": {"train": loader, "validation": (X, Y), "data_seed": None},
    "more measured": {"also_measure": {"test": (X[:9], Y[:9])}, "validate_every": 3},
    "steps": {"steps": 7, "epochs": 99},
    "no steps": {"steps": 0, "objectives": {"loss": "minimize"}},
    "last batch of one": {"train": (X[:16], Y[:16]), "validation": (X, Y), "batch_size": 5},
    "batch of one": {"batch_size": 1, "epochs": 1},
    "dropped": {"drop_last": True},
    "model metrics": {"metrics": ["accuracy", "loss", "parameters", "flops"]},
    "metrics by name": {
        "metrics": {"gap": lambda outputs, target: float(outputs.std()) - len(target)},
        "objectives": {"gap": "maximize"},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", DATA)
def test_data(name: str) -> None:
    assert_as_alone(MIXED, recipe(**DATA[name]))


def test_convolutions_of_different_width_and_depth() -> None:
    builds = [cnn, cnn, lambda: cnn(4), lambda: cnn(depth=2), lambda: cnn(depth=0)]
    assert_as_alone(builds, recipe(train=(IMAGES, Y), drop_last=True))


def test_several_inputs() -> None:
    def two() -> nn.Module:
        return Do(
            lambda m, a, b: m.out(F.relu(m.first(a)) * m.second(b)),
            first=nn.Linear(FEATURES, 4), second=nn.Linear(2, 4), out=nn.Linear(4, CLASSES),
        )  # fmt: skip

    assert_as_alone([two] * 3, recipe(train=(X, REAL, Y)))


def test_two_members_with_one_size_of_the_batch_only() -> None:
    """A value that does not depend on the batch must not be taken for one that does."""

    def own(m: Any, x: Tensor) -> Tensor:
        return x.t() @ F.softmax(m.s, 0)[: x.shape[0]]

    def square(size: int) -> nn.Module:
        return Do(
            lambda m, x: m.body((m.s.exp() * 1.0).sum(0) + x), s=torch.randn(size, FEATURES),
            body=nn.Linear(FEATURES, CLASSES),
        )  # fmt: skip

    def rows() -> nn.Module:
        return Do(
            lambda m, x: m.body((x.exp() * 1.0).sum(0) + x * m.s), s=torch.randn(5, FEATURES)[0],
            body=nn.Linear(FEATURES, CLASSES),
        )  # fmt: skip

    assert_as_alone([lambda: square(5), rows, lambda: square(4), rows], recipe())


class ByBatch(nn.Module):
    """Small batches go another way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.large, self.small = nn.Linear(FEATURES, CLASSES), nn.Linear(FEATURES, CLASSES)
        self.way = way

    def forward(self, x: Tensor) -> Any:
        if len(x) == 5:
            return self.large(x)
        match self.way:
            case "other parameters":
                return self.small(x)
            case "data":
                return self.large(x) if x.sum() > 0 else self.large(-x)
            case "nothing":
                return self.large(x.detach()).detach() + self.small.weight.sum()
            case _:
                return self.large(x * len(x))


@pytest.mark.parametrize("way", ["other parameters", "data", "nothing", "scale"])
def test_forward_that_depends_on_the_batch(way: str) -> None:
    momentum = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    builds = [lambda: ByBatch(way), lambda: ByBatch(way), lambda: ByBatch("scale")]
    assert_as_alone(builds, recipe(optimizer_options=momentum))
    assert_as_alone(builds[:2], recipe(optimizer_options=momentum))


def test_parameters_without_a_gradient_do_not_decay() -> None:
    def part(kind: str) -> Callable[[], nn.Module]:
        def forward(m: Any, x: Tensor) -> Tensor:
            y = m.a(x)
            match kind:
                case "shape":
                    return m.b(x)[:, :1].expand_as(y) + torch.zeros_like(y)
                case "detached":
                    return m.b(x) + y.detach()
                case _:
                    return m.b(x) + y

        return lambda: Do(forward, a=nn.Linear(FEATURES, 3), b=nn.Linear(FEATURES, 3))

    decay = {"lr": 0.1, "weight_decay": 0.5, "momentum": 0.9}
    builds = [part("shape"), part("detached"), part("both"), part("both")]
    assert_as_alone(builds, recipe(optimizer_options=decay))


def test_python_draws_in_forward() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.body(x) if random.random() < 0.5 else m.body(-x)

    assert_as_alone([lambda: Do(forward, body=mlp())] * 3, recipe())


def beta(outputs: Tensor, target: Tensor) -> Tensor:
    share = np.random.beta(0.5, 0.5)
    return share * F.cross_entropy(outputs, target) + F.cross_entropy(outputs, target.flip(0))


def noisy(outputs: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(outputs + torch.randn_like(outputs), target) * (1 + random.random())


@pytest.mark.parametrize("loss", [beta, noisy])
def test_losses_that_draw_draw_as_metrics_too(loss: Any) -> None:
    recipes = recipe(loss=loss, metrics=["loss"], objectives={"loss": "minimize"})
    assert_as_alone(MIXED, recipes)


def test_metrics_have_no_gradient() -> None:
    def metric(outputs: Tensor, target: Tensor) -> bool:
        return outputs.clone().requires_grad_().exp().requires_grad

    recipes = recipe(metrics={"felt": metric}, objectives={"felt": "minimize"})
    results = assert_as_alone(MIXED, recipes)
    assert {result.metrics["felt"] for result in results if result.metrics} == {0.0}


class Warming:
    """A loss that counts how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return F.cross_entropy(outputs, target) * (1 - 0.5**self.calls)


class Centred(nn.Module):
    """A loss that keeps the mean of what it has seen."""

    def __init__(self, assigned: bool) -> None:
        super().__init__()
        self.assigned = assigned
        self.register_buffer("mean", torch.zeros(CLASSES, dtype=torch.float64))

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        new = 0.9 * self.mean + 0.1 * outputs.detach().mean(0)
        if self.assigned:
            self.mean = new
        else:
            self.mean.copy_(new)
        return F.cross_entropy(outputs - self.mean, target)


@pytest.mark.parametrize(
    ("loss", "options"),
    [(Warming, {}), (Centred, {"assigned": True}), (Centred, {"assigned": False})],
)
@pytest.mark.parametrize("exact", [False, True])
def test_losses_that_remember(loss: Any, options: dict[str, Any], exact: bool) -> None:
    recipes = recipe(loss=loss, loss_options=options, metrics=["accuracy"])
    assert_as_alone(MIXED, recipes, options=Options(exact=exact))


def test_hooks_of_parameters() -> None:
    def hooked() -> nn.Module:
        made = mlp()
        made[0].weight.register_hook(lambda grad: grad * 3)  # type: ignore[index, operator]
        made[3].bias.register_post_accumulate_grad_hook(  # type: ignore[index, operator]
            lambda parameter: parameter.grad.clamp_(-0.01, 0.01)
        )
        return made

    assert_as_alone([hooked, hooked, *MIXED], recipe())


class Late(nn.Module):
    """Draws from Python's or NumPy's generators, but not from the beginning."""

    def __init__(self, calls: int, draw: Callable[[], float]) -> None:
        super().__init__()
        self.calls, self.draw = calls, draw

    def forward(self, x: Tensor) -> Tensor:
        self.calls -= 1
        return x if self.calls >= 0 else x * self.draw()


@pytest.mark.parametrize("calls", [0, 1, 3, 6])
@pytest.mark.parametrize("draw", [random.random, np.random.random, np.random.randn])
def test_modules_that_draw_late(calls: int, draw: Callable[[], float]) -> None:
    builds = [lambda: nn.Sequential(Late(calls, draw), mlp())] * 2
    assert_as_alone([*builds, mlp, mlp], recipe(epochs=3))


def test_metrics_that_draw_late() -> None:
    """As soon as the outputs of a member are large, of which the first measurement has none."""

    def metric(outputs: Tensor, target: Tensor) -> float:
        return float(outputs.abs().max()) * (random.random() if outputs.abs().max() > 9 else 1.0)

    def large() -> nn.Module:
        made = mlp()
        made[3].weight.data *= 8  # type: ignore[index, union-attr]
        return made

    given = recipe(
        metrics={"m": metric}, objectives={"m": "maximize"}, epochs=4,
        optimizer_options={"lr": 0.5, "momentum": 0.9},
    )  # fmt: skip
    assert_as_alone([mlp, large, mlp], given)


@pytest.mark.parametrize("kind", ["tuple", "dict"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_several_outputs(kind: str, precision: str) -> None:
    def heads() -> nn.Module:
        def forward(m: Any, x: Tensor) -> Any:
            found = m.first(x), m.second(x.tanh())
            return found if kind == "tuple" else dict(zip("ab", found, strict=True))

        return Do(forward, first=mlp(), second=nn.Linear(FEATURES, 1))

    def parts(outputs: Any) -> tuple[Tensor, Tensor]:
        return outputs if kind == "tuple" else (outputs["a"], outputs["b"])

    def loss(outputs: Any, target: Tensor) -> Tensor:
        return F.cross_entropy(parts(outputs)[0], target) + parts(outputs)[1].pow(2).mean()

    def metric(outputs: Any, target: Tensor) -> Tensor:
        assert {len(part) for part in parts(outputs)} == {len(target)}
        return parts(outputs)[0].mean() - parts(outputs)[1].std()

    given = recipe(
        loss=loss, metrics={"m": metric}, objectives={"m": "maximize"}, precision=precision
    )
    assert not any(result.failed for result in assert_as_alone([heads] * 3, given))


def test_what_measures_alone_is_trained_merged() -> None:
    """Also on batches of a size that comes after the first measurement."""

    def forward(m: Any, x: Tensor) -> Tensor:
        if m.training:
            return m.body(x)
        return m.body(x if x.sum() > 0 else -x)

    class Shrinking:
        """Other sizes in each epoch; there is one measurement of three members after each."""

        def __iter__(self) -> Any:
            sizes = [(5, 5, 5), (5, 4, 3), (5, 2)][len(measured) // 3]
            return iter([(X[:size], Y[:size]) for size in sizes])

    measured: list[float] = []

    def metric(outputs: Tensor, target: Tensor) -> float:
        measured.append(float(outputs.sum()))
        return measured[-1]

    builds = [lambda: Do(forward, body=mlp())] * 3
    given = recipe(
        train=Shrinking, validation=(X, Y), epochs=3, metrics={"m": metric},
        objectives={"m": "maximize"},
    )  # fmt: skip
    heard = Heard()
    list(MergedJob(tuple(jobs_of(builds, given))).run(heard))  # type: ignore[arg-type]
    assert not any("raised" in note for note in heard.notes), heard.notes


def test_float16_where_numbers_are_of_double_precision_by_default() -> None:
    torch.set_default_dtype(torch.float64)
    heard = Heard()
    jobs = tuple(jobs_of(MIXED, recipe(precision="float16")))
    list(MergedJob(jobs).run(heard))  # type: ignore[arg-type]
    assert not any("raised" in note for note in heard.notes), heard.notes


class Moving(nn.Module):
    """Puts another tensor in the place of its buffer, in training, in evaluation, or in both."""

    def __init__(self, when: tuple[bool, ...]) -> None:
        super().__init__()
        self.when = when
        self.register_buffer("mean", torch.zeros(FEATURES, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training in self.when:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean


@pytest.mark.parametrize("when", [(True,), (False,), (True, False)], ids=["train", "eval", "both"])
@pytest.mark.parametrize("read", [False, True], ids=["kept", "read by another"])
def test_buffers_that_are_replaced(when: tuple[bool, ...], read: bool) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.body(m.moving(x) + (m.moving.mean if read else 0.0))

    builds = [lambda: Do(forward, moving=Moving(when), body=mlp())] * 3
    assert_as_alone(builds, recipe(epochs=3))
    heard = Heard()
    list(MergedJob(tuple(jobs_of(builds, recipe(epochs=3)))).run(heard))  # type: ignore[arg-type]
    assert not any("raised" in note for note in heard.notes)


def test_inputs_are_left_alone() -> None:
    builds = [lambda: nn.Sequential(nn.ReLU(inplace=True), mlp())] * 2
    assert_as_alone([*builds, mlp], recipe())
