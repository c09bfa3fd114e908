"""SupervisedEvaluator does what a hand-written PyTorch loop does, bit for bit."""

import copy
import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from nas_core import Space, resolve
from nas_core.nn import ValueChoice
from nas_search.evaluators import SupervisedEvaluator
from nas_search.evaluators.parts import loss_function
from nas_search.evaluators.streams import Stream, derive
from nas_search.evaluators.training import Learner
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

Reports = list[tuple[int, dict[str, float]]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def blobs(count: int = 90, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of three classes that a small network tells apart."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (count,), generator=generator)
    x = torch.randn(count, 1, 4, 4, generator=generator)
    x[:, 0, 0] += y[:, None] * 2.5
    return x, y


def net(seed: int = 0, dropout: float = 0.25) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Linear(64, 3),
    )


class Outputs(NamedTuple):
    """What a model with two heads gives."""

    logits: torch.Tensor
    powers: torch.Tensor


def run(
    recipe: SupervisedEvaluator, model: nn.Module, seed: int = 5
) -> tuple[dict[str, float], Reports]:
    reports: Reports = []
    metrics = recipe.evaluate(
        model, seed=seed, report=lambda step, m: reports.append((step, dict(m)))
    )
    return metrics, reports


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return list(left) == list(right) and all(torch.equal(left[k], right[k]) for k in left)


def numpy_state() -> str:
    return str(np.random.get_state())


class Hand:
    """The hand-written loop."""

    def __init__(self, model: nn.Module, seed: int, batch_size: int, data_seed: int = 0) -> None:
        self.model, self.batch_size = model, batch_size
        self.order = torch.Generator().manual_seed(derive(data_seed, "order"))
        torch.manual_seed(seed)

    def train(
        self,
        optimizer: torch.optim.Optimizer,
        after_backward: Callable[[], object] = lambda: None,
        after_step: Callable[[], object] = lambda: None,
    ) -> float:
        x, y = blobs()
        self.model.train()
        total = 0.0
        for chunk in torch.randperm(len(x), generator=self.order).split(self.batch_size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(self.model(x[chunk]), y[chunk])
            loss.backward()
            after_backward()
            optimizer.step()
            after_step()
            total += loss.item() * len(chunk)
        return total / len(x)

    def validate(self) -> dict[str, float]:
        x, y = blobs(40, seed=1)
        self.model.eval()
        with torch.no_grad():
            outputs = torch.cat([self.model(part) for part in x.split(self.batch_size)])
        return {
            "accuracy": (outputs.argmax(1) == y).sum().item() / len(y),
            "loss": functional.cross_entropy(outputs, y).item(),
        }


def recipe_of(**options: Any) -> SupervisedEvaluator:
    defaults: dict[str, Any] = {
        "train": blobs(),
        "validation": blobs(40, seed=1),
        "batch_size": 16,
        "epochs": 3,
        "device": "cpu",
        "optimizer_options": {"lr": 0.05},
    }
    return SupervisedEvaluator(**{**defaults, **options})


class TestEqualsTheHandWrittenLoop:
    def check(
        self,
        recipe: SupervisedEvaluator,
        make: Callable[[nn.Module], torch.optim.Optimizer],
        *,
        after_backward: Callable[[nn.Module], object] = lambda model: None,
        by_step: Callable[[torch.optim.Optimizer], Any] | None = None,
        by_epoch: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        ours, theirs = net(), net()
        hand = Hand(theirs, seed=5, batch_size=16)
        optimizer = make(theirs)
        schedule = (by_step or by_epoch or (lambda o: None))(optimizer)
        expected: Reports = []
        for epoch in range(1, 4):
            train_loss = hand.train(
                optimizer,
                lambda: after_backward(theirs),
                lambda: schedule.step() if by_step else None,
            )
            metrics = {**hand.validate(), "train_loss": train_loss}
            expected.append((epoch, metrics))
            if by_epoch:
                schedule.step()
        metrics, reports = run(recipe, ours)
        assert [step for step, _ in reports] == [1, 2, 3]
        for (_, got), (_, wanted) in zip(reports, expected, strict=True):
            assert got["train_loss"] == pytest.approx(wanted.pop("train_loss"), rel=1e-15)
            assert {k: v for k, v in got.items() if k != "train_loss"} == wanted
        assert metrics == reports[-1][1]
        assert same_weights(ours, theirs)

    def test_sgd(self) -> None:
        recipe = recipe_of(optimizer_options={"lr": 0.05, "momentum": 0.9, "nesterov": True})
        self.check(
            recipe, lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, nesterov=True)
        )

    def test_adam_by_class(self) -> None:
        recipe = recipe_of(
            optimizer=torch.optim.AdamW, optimizer_options={"lr": 0.01, "weight_decay": 0.1}
        )
        self.check(recipe, lambda m: torch.optim.AdamW(m.parameters(), lr=0.01, weight_decay=0.1))

    def test_clipped_gradients(self) -> None:
        self.check(
            recipe_of(clip_norm=0.1),
            lambda m: torch.optim.SGD(m.parameters(), lr=0.05),
            after_backward=lambda m: nn.utils.clip_grad_norm_(m.parameters(), 0.1),
        )

    def test_a_schedule_by_step_that_gets_its_length_from_the_data(self) -> None:
        self.check(
            recipe_of(
                schedule="OneCycleLR", schedule_options={"max_lr": 0.2}, schedule_every="step"
            ),
            lambda m: torch.optim.SGD(m.parameters(), lr=0.05),
            by_step=lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=18),
        )

    def test_a_schedule_by_epoch(self) -> None:
        self.check(
            recipe_of(schedule="CosineAnnealingLR"),
            lambda m: torch.optim.SGD(m.parameters(), lr=0.05),
            by_epoch=lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=3),
        )

    def test_the_hand_written_loop_would_show_a_difference(self) -> None:
        with pytest.raises(AssertionError):
            self.check(
                recipe_of(optimizer_options={"lr": 0.051}),
                lambda m: torch.optim.SGD(m.parameters(), lr=0.05),
            )


class TestRandomStreams:
    def test_the_result_follows_from_weights_and_seed(self) -> None:
        recipe = recipe_of()
        torch.manual_seed(99)
        first = run(recipe, a := net())
        torch.rand(17)
        second = run(recipe, b := net())
        assert first == second
        assert same_weights(a, b)
        assert run(recipe, net(), seed=6) != first  # dropout draws from the seed

    def test_the_callers_generators_are_left_as_they_were(self) -> None:
        class Noisy(Dataset[Any]):
            def __len__(self) -> int:
                return 20

            def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
                noise = torch.rand(1, 4, 4) + random.random() + np.random.normal()
                return noise, index % 3

        model = net()
        before = torch.get_rng_state(), random.getstate(), numpy_state()
        run(recipe_of(train=Noisy(), validation=Noisy()), model)
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1] == random.getstate()
        assert before[2] == numpy_state()

    def test_the_data_does_not_disturb_what_the_model_draws(self) -> None:
        x, y = blobs()

        class Drawing(Dataset[Any]):
            def __len__(self) -> int:
                return len(x)

            def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
                torch.rand(3)
                return x[index], y[index]

        quiet, drawing = net(), net()
        assert run(recipe_of(), quiet) == run(recipe_of(train=Drawing()), drawing)
        assert same_weights(quiet, drawing)

    def test_augmentation_is_equal_for_equal_data_seeds_only(self) -> None:
        class Noisy(Dataset[Any]):
            def __len__(self) -> int:
                return 30

            def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
                return torch.randn(1, 4, 4) + index % 3, index % 3

        def losses(data_seed: int | None, seed: int) -> list[float]:
            recipe = recipe_of(train=Noisy(), data_seed=data_seed)
            return [metrics["train_loss"] for _, metrics in run(recipe, net(dropout=0.0), seed)[1]]

        assert losses(0, seed=1) == losses(0, seed=2)
        assert losses(0, seed=1) != losses(1, seed=1)
        assert losses(None, seed=1) != losses(None, seed=2)
        assert losses(None, seed=1) == losses(None, seed=1)

    def test_modes_and_threads_are_put_back(self) -> None:
        model = net()
        model.train()
        model[1].eval()
        modes = [module.training for module in model.modules()]
        run(recipe_of(threads=2), model)
        assert [module.training for module in model.modules()] == modes
        assert torch.get_num_threads() == 1


class TestData:
    def test_tensors_dataset_and_loader_give_the_same_result(self) -> None:
        x, y = blobs()

        def loader(generator: torch.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
            class Epochs(list[Any]):
                def __iter__(self) -> Iterator[Any]:
                    order = torch.randperm(len(x), generator=generator)
                    return iter([(x[chunk], y[chunk]) for chunk in order.split(16)])

            return Epochs()

        results = [
            run(recipe_of(train=data), net()) for data in (blobs(), TensorDataset(*blobs()), loader)
        ]
        assert results[0] == results[1] == results[2]

    def test_a_loader_of_torch(self) -> None:
        def loader() -> DataLoader[Any]:
            return DataLoader(TensorDataset(*blobs()), batch_size=16, shuffle=True)

        recipe = recipe_of(
            train=loader,
            schedule="OneCycleLR",
            schedule_every="step",
            schedule_options={"max_lr": 0.1},
        )
        assert run(recipe, net()) == run(recipe, net())

    def test_a_share_is_held_out_the_same_for_all(self) -> None:
        tensors, dataset = (
            recipe_of(validation=0.25),
            recipe_of(train=TensorDataset(*blobs()), validation=0.25),
        )
        assert run(tensors, net()) == run(dataset, net())
        feeds = [
            recipe_of(validation=0.25, data_seed=None).feeds(seed, torch.device("cpu"))
            for seed in (1, 2)
        ]
        held_out = [torch.cat([y for _, y in measured[""].epoch()]) for _, measured in feeds]
        trained = [
            torch.cat([x.flatten(1).sum(1) for x, _ in training.epoch()]) for training, _ in feeds
        ]
        assert torch.equal(*held_out)
        assert len(held_out[0]) == 22
        assert not torch.equal(*trained)
        assert torch.equal(*(part.sort().values for part in trained))

    def test_several_inputs(self) -> None:
        class Sum(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = nn.Parameter(torch.ones(()))

            def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
                return (a + b) * self.scale

        a, b = torch.arange(8.0), torch.ones(8)
        recipe = SupervisedEvaluator(
            train=(a, b, 2 * (a + b)),
            validation=(a, b, 2 * (a + b)),
            loss="mse_loss",
            metrics=("loss",),
            objectives={"loss": "minimize"},
            epochs=30,
            batch_size=8,
            optimizer_options={"lr": 0.01},
            device="cpu",
        )
        model = Sum()
        assert run(recipe, model)[0]["loss"] < 1e-6
        assert model.scale.item() == pytest.approx(2)

    def test_more_data_to_measure(self) -> None:
        recipe = recipe_of(also_measure={"test": blobs(50, seed=2), "again": blobs(40, seed=1)})
        metrics, reports = run(recipe, net())
        assert metrics["again_accuracy"] == metrics["accuracy"]
        assert metrics["again_loss"] == metrics["loss"]
        assert "test_accuracy" in metrics
        assert all("test_accuracy" not in report for _, report in reports)

    def test_the_last_incomplete_batch(self) -> None:
        def sizes(**options: Any) -> list[int]:
            training, _ = recipe_of(**options).feeds(0, torch.device("cpu"))
            return [len(y) for _, y in training.epoch()]

        assert sizes() == [16] * 5 + [10]
        assert sizes(drop_last=True) == [16] * 5

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"train": 3}, "data must be a tuple of tensors, a Dataset or a function"),
            ({"train": (torch.zeros(3),)}, "one or more inputs, then the target"),
            ({"train": (torch.zeros(3), torch.zeros(4))}, r"equally long, not \[3, 4\]"),
            ({"validation": 1.5}, "between 0 and 1, not 1.5"),
            ({"train": list, "validation": 0.5}, "give validation its own data"),
            ({"train": list}, "gave no batch in epoch 1"),
            ({"train": lambda: iter([blobs()])}, "gave no batch in epoch 2"),
            ({"train": lambda: [torch.zeros(3)]}, "a batch must be a tuple"),
            (
                {"train": lambda: [(torch.zeros(2, 1, 4, 4), [0, 1])]},
                "the target of a batch must be a tensor, not list",
            ),
            (
                {
                    "train": lambda: (b for b in [blobs()]),
                    "schedule_every": "step",
                    "schedule": "CosineAnnealingLR",
                },
                "a schedule by step needs steps",
            ),
        ],
    )
    def test_wrong_data_is_named(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            run(recipe_of(**options), net())


class Endless(IterableDataset[Any]):
    """Gives samples one after the other, and does not say how many."""

    def __iter__(self) -> Iterator[Any]:
        return iter(list(zip(*blobs(), strict=True)))


class TestLength:
    def test_loaders_of_data_without_a_length(self) -> None:
        def loader() -> DataLoader[Any]:
            return DataLoader(Endless(), batch_size=16)

        endless, counted = net(), net()
        options = {"validation": blobs(20), "batch_size": 16, "epochs": 2}
        run(recipe_of(train=loader, **options), endless)
        run(recipe_of(train=lambda: DataLoader(TensorDataset(*blobs()), 16), **options), counted)
        assert same_weights(endless, counted)
        steps = {"schedule": "CosineAnnealingLR", "schedule_every": "step"}
        with pytest.raises(ValueError, match="a schedule by step needs steps"):
            run(recipe_of(train=loader, **options, **steps), net())
        run(recipe_of(train=loader, **options, **steps, steps=9), net())

    def test_steps_instead_of_epochs(self) -> None:
        whole, counted = net(), net()
        _, by_epoch = run(recipe_of(epochs=2), whole)
        _, by_step = run(recipe_of(epochs=1, steps=12), counted)
        assert by_epoch == by_step
        assert same_weights(whole, counted)

    def test_steps_may_end_within_an_epoch(self) -> None:
        metrics, reports = run(recipe_of(steps=8), net())
        assert [step for step, _ in reports] == [1, 2]
        assert metrics == reports[-1][1]

    def test_nothing_to_train(self) -> None:
        model = net()
        before = copy.deepcopy(model)
        metrics, reports = run(recipe_of(epochs=0), model)
        assert same_weights(model, before)
        assert sorted(metrics) == ["accuracy", "loss"]
        assert reports == []

    def test_measuring_less_often_changes_nothing_else(self) -> None:
        often, seldom = net(), net()
        metrics, _ = run(recipe_of(), often)
        rare, reports = run(recipe_of(validate_every=2), seldom)
        assert rare == metrics
        assert same_weights(often, seldom)
        assert [sorted(report) for _, report in reports] == [
            ["train_loss"],
            ["accuracy", "loss", "train_loss"],
            ["accuracy", "loss", "train_loss"],
        ]


class Balanced(nn.CrossEntropyLoss):
    """Weights of its own."""

    def __init__(self) -> None:
        super().__init__(weight=torch.ones(2))


class TestParts:
    def test_loss_by_name_class_and_function(self) -> None:
        def smoothed(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(outputs, target, label_smoothing=0.1)

        options = {"label_smoothing": 0.1}
        results = [
            run(recipe_of(loss="cross_entropy", loss_options=options), net()),
            run(recipe_of(loss=nn.CrossEntropyLoss, loss_options=options), net()),
            run(recipe_of(loss=nn.CrossEntropyLoss(label_smoothing=0.1)), net()),
            run(recipe_of(loss=smoothed), net()),
        ]
        assert results[0] == results[1] == results[2] == results[3]
        assert results[0] != run(recipe_of(), net())

    def test_tensors_of_the_loss_lie_where_the_outputs_do(self) -> None:
        here, there = {"weight": torch.ones(2), "label_smoothing": 0.1}, torch.device("meta")
        by_name = loss_function("cross_entropy", here, there)
        by_class = loss_function(nn.CrossEntropyLoss, here, there)
        ready = loss_function(nn.CrossEntropyLoss(**here), {}, there)
        of_its_own = loss_function(Balanced, {}, there)
        for loss in (by_name, by_class, ready, of_its_own):
            made = loss(torch.zeros(3, 2, device=there), torch.zeros(3, device=there).long())
            assert made.device == there
        assert here["weight"].device == torch.device("cpu")

    def test_metrics_by_name_and_function(self) -> None:
        def worst(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            assert len(outputs) == len(target) == 40
            return outputs.gather(1, target[:, None]).min()

        metrics, _ = run(
            recipe_of(metrics=["accuracy", worst, "parameters", "flops"]), model := net()
        )
        assert sorted(metrics) == ["accuracy", "flops", "parameters", "train_loss", "worst"]
        assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
        assert metrics["flops"] == 2 * (16 * 9 * 4 + 64 * 3)
        named, _ = run(recipe_of(metrics={"low": worst}, objectives={"low": "maximize"}), net())
        assert named["low"] == metrics["worst"]

    def test_plateaus_follow_the_main_objective(self) -> None:
        rates: list[float] = []

        def plateau(optimizer: torch.optim.Optimizer, mode: str, patience: int) -> Any:
            assert mode == "max"
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, mode, patience=patience
            )
            real = schedule.step

            def step(value: float) -> None:
                rates.append(value)
                real(value)

            schedule.step = step  # type: ignore[method-assign,assignment]
            return schedule

        _, reports = run(recipe_of(schedule=plateau, schedule_options={"patience": 1}), net())
        assert rates == [metrics["accuracy"] for _, metrics in reports]

    def test_cyclic_rates_keep_their_own_mode(self) -> None:
        options = {"base_lr": 0.01, "max_lr": 0.1}
        run(recipe_of(schedule="CyclicLR", schedule_options=options, schedule_every="step"), net())

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_mixed_precision(self, precision: str) -> None:
        seen: set[torch.dtype] = set()
        model = net()
        model[0].register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
        metrics, _ = run(recipe_of(precision=precision, epochs=10, clip_norm=5.0), model)
        assert seen == {getattr(torch, precision)}
        assert metrics["accuracy"] > 0.8
        assert all(p.dtype == torch.float32 for p in model.parameters())

    def test_it_learns(self) -> None:
        metrics, _ = run(recipe_of(epochs=15), net())
        assert metrics["accuracy"] > 0.85

    def test_a_diverged_model_is_an_error(self) -> None:
        with pytest.raises(FloatingPointError, match=r"training loss became (nan|inf) in epoch 2"):
            run(recipe_of(optimizer_options={"lr": 1e38}, batch_size=90), net())

    def test_a_metric_that_is_no_number_is_named_with_its_line(self) -> None:
        def means(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return outputs.mean(0)

        line = means.__code__.co_firstlineno
        message = rf"metric 'means' must give a number, not tensor\(.*test_supervised.py:{line}\)"
        with pytest.raises(TypeError, match=message):
            run(recipe_of(metrics=["accuracy", means]), net())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"loss": "cross_entropi"}, "no loss 'cross_entropi'; did you mean 'cross_entropy'"),
            ({"loss_options": {"label_smothing": 1}}, "did you mean 'label_smoothing'"),
            ({"optimizer": "AdmW"}, "no optimizer 'AdmW'; did you mean 'AdamW'"),
            (
                {"optimizer_options": {"momentun": 1}},
                "SGD has no option 'momentun'.*did you mean 'momentum'",
            ),
            (
                {"schedule": "CosineAnealingLR"},
                "no schedule 'CosineAnealingLR'; did you mean 'CosineAnnealingLR'",
            ),
            ({"metrics": ["acuracy"]}, "no metric 'acuracy'; did you mean 'accuracy'"),
            ({"objectives": {"acc": "maximize"}}, "objective 'acc' is not among the metrics"),
            ({"batch_size": 0}, "batch_size must be a whole number >= 1, not 0"),
            ({"epochs": 1.5}, r"epochs must be a whole number >= 0, not 1\.5"),
            ({"validate_every": 0}, "validate_every must be a whole number >= 1, not 0"),
            ({"schedule_every": "batch"}, "schedule_every must be 'epoch' or 'step', not 'batch'"),
            (
                {"precision": "float8"},
                "precision must be one of float32, bfloat16, float16, not 'float8'",
            ),
        ],
    )
    def test_a_misspelt_part_gets_the_nearest_match(
        self, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            run(recipe_of(**options), net())

    @pytest.mark.parametrize("kind", ["tuple", "named", "dict", "nested"])
    def test_outputs_may_be_several_tensors(self, kind: str) -> None:
        class Heads(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.body = net()

            def forward(self, x: torch.Tensor) -> Any:
                logits = self.body(x)
                match kind:
                    case "tuple":
                        return logits, logits.exp()
                    case "named":
                        return Outputs(logits, logits.exp())
                    case "dict":
                        return {"logits": logits, "powers": logits.exp()}
                    case _:
                        return [logits, {"powers": (logits.exp(),)}]

        def logits_of(outputs: Any) -> torch.Tensor:
            return outputs["logits"] if kind == "dict" else outputs[0]

        def powers_of(outputs: Any) -> torch.Tensor:
            if kind == "dict":
                return outputs["powers"]
            return outputs[1]["powers"][0] if kind == "nested" else outputs[1]

        def loss(outputs: Any, target: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(logits_of(outputs), target)

        def right(outputs: Any, target: torch.Tensor) -> float:
            assert kind != "named" or isinstance(outputs, Outputs)
            assert torch.equal(powers_of(outputs), logits_of(outputs).exp())
            return float((logits_of(outputs).argmax(1) == target).float().mean())

        several, _ = run(recipe_of(loss=loss, metrics={"accuracy": right, "loss": loss}), Heads())
        single, _ = run(recipe_of(), net())
        assert several == pytest.approx(single)

    def test_accuracy_is_of_one_tensor(self) -> None:
        class Pair(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> Any:
                return x, x

        with pytest.raises(TypeError, match="one tensor, not a tuple"):
            run(recipe_of(epochs=0, metrics=["accuracy"]), Pair())

    def test_accuracy_says_which_shapes_it_needs(self) -> None:
        x, _ = blobs()
        with pytest.raises(ValueError, match=r"not \(40, 3\) for \(40, 3\)"):
            run(
                recipe_of(
                    loss="mse_loss",
                    train=(x, torch.zeros(90, 3)),
                    validation=(x[:40], torch.zeros(40, 3)),
                ),
                net(),
            )


def test_several_candidates_may_be_trained_in_one_loop_on_one_data_stream() -> None:
    """What an engine needs that trains many at once is all there, and changes no bit."""
    options = {"schedule": "CosineAnnealingLR", "schedule_every": "step", "clip_norm": 1.0}
    rates, seeds = (0.01, 0.05, 0.2), (1, 2, 3)
    recipes = [recipe_of(optimizer_options={"lr": rate}, **options) for rate in rates]
    alone = [net(seed) for seed in seeds]
    for recipe, model, seed in zip(recipes, alone, seeds, strict=True):
        run(recipe, model, seed)

    together = [net(seed) for seed in seeds]
    training, _ = recipes[0].feeds(0, torch.device("cpu"))
    learners = [Learner.of(r, m, training) for r, m in zip(recipes, together, strict=True)]
    streams = [Stream(seed) for seed in seeds]
    for _ in range(3):
        for model in together:
            model.train()
        for batch in training.epoch():
            for learner, stream in zip(learners, streams, strict=True):
                with stream.active():
                    learner.step(batch)
    assert all(same_weights(a, b) for a, b in zip(alone, together, strict=True))
    assert not same_weights(together[0], together[1])


class TestRecipe:
    def test_arguments_may_be_choices(self) -> None:
        lr = ValueChoice([0.01, 0.1], label="lr")
        recipe = recipe_of(
            optimizer=ValueChoice(["SGD", "Adam"], label="optimizer"),
            optimizer_options={"lr": lr * 2},
            epochs=ValueChoice([1, 2], label="epochs"),
            batch_size=ValueChoice([16, 32], label="batch"),
        )
        space = Space.of(recipe)
        assert sorted(space.labels) == ["batch", "epochs", "lr", "optimizer"]
        architecture = {"optimizer": "Adam", "lr": 0.1, "epochs": 2, "batch": 32}
        resolved = resolve(recipe, architecture)
        plain = recipe_of(optimizer="Adam", optimizer_options={"lr": 0.2}, epochs=2, batch_size=32)
        assert run(resolved, net()) == run(plain, net())

    def test_options_may_be_a_choice_as_a_whole(self) -> None:
        options = ValueChoice({"slow": {"lr": 0.01}, "fast": {"lr": 0.1}}, label="pace")
        resolved = resolve(recipe_of(optimizer_options=options), {"pace": "fast"})
        assert resolved.optimizer_options == {"lr": 0.1}

    def test_it_is_frozen_keeps_copies_and_pickles(self) -> None:
        options = {"lr": 0.05}
        recipe = recipe_of(optimizer_options=options)
        options["lr"] = 7.0
        with pytest.raises(AttributeError):
            recipe.epochs = 4  # type: ignore[misc]
        assert recipe.optimizer_options == {"lr": 0.05}
        assert run(pickle.loads(pickle.dumps(recipe)), net()) == run(recipe, net())

    def test_training_twice_starts_afresh(self) -> None:
        recipe = recipe_of()
        assert run(recipe, net()) == run(recipe, net())

    def test_objectives_are_data(self) -> None:
        recipe: Mapping[str, str] = recipe_of().objectives
        assert recipe == {"accuracy": "maximize"}
