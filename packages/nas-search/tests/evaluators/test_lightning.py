"""LightningEvaluator fits what the user has, reports its epochs, and is optional."""

import builtins
from collections.abc import Mapping
from typing import Any

import lightning
import pytest
import torch
from nas_core import Pruned, Space, resolve
from nas_core.nn import ValueChoice
from nas_search.evaluators import LightningEvaluator
from nas_search.strategies import MissingExtraError
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

pytestmark = pytest.mark.filterwarnings("ignore")  # lightning has much to say about small data
TRAINER = {"max_epochs": 2, "accelerator": "cpu"}


def loader() -> DataLoader[Any]:
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16, shuffle=True)


class Regression(lightning.LightningModule):
    def __init__(self, model: torch.nn.Module, lr: float = 0.1) -> None:
        super().__init__()
        self.model, self.lr = model, lr

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        loss = functional.mse_loss(self.model(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("val_loss", functional.mse_loss(self.model(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=self.lr)


class Data(lightning.LightningDataModule):
    def train_dataloader(self) -> DataLoader[Any]:
        return loader()

    def val_dataloader(self) -> DataLoader[Any]:
        return loader()


Reports = list[tuple[int, dict[str, float]]]


def run(evaluator: LightningEvaluator, model: torch.nn.Module) -> tuple[dict[str, float], Reports]:
    reports: Reports = []

    def report(step: int, metrics: Mapping[str, float]) -> None:
        reports.append((step, dict(metrics)))

    return evaluator.evaluate(model, seed=3, report=report), reports


def linear() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(4, 1)


@pytest.mark.parametrize("data", [Data, lambda: (loader(), loader())], ids=["module", "loaders"])
def test_fits_and_reports_each_epoch(data: Any) -> None:
    evaluator = LightningEvaluator(Regression, data, {"val_loss": "minimize"}, TRAINER)
    metrics, reports = run(evaluator, model := linear())
    assert [step for step, _ in reports] == [1, 2]
    assert reports[1][1] == metrics
    assert reports[1][1]["val_loss"] < reports[0][1]["val_loss"]
    x, y = loader().dataset.tensors  # type: ignore[attr-defined]
    with torch.no_grad():
        assert metrics["val_loss"] == pytest.approx(
            functional.mse_loss(model(x), y).item(), rel=1e-5
        )


def test_the_seed_decides_the_result() -> None:
    evaluator = LightningEvaluator(Regression, Data, {"val_loss": "minimize"}, TRAINER)
    assert run(evaluator, linear()) == run(evaluator, linear())


def stopping() -> Any:
    return lightning.pytorch.callbacks.EarlyStopping("val_loss", min_delta=0.05, patience=2)


@pytest.mark.parametrize(
    "form", [lambda x: x, lambda x: [x], lambda x: (x,)], ids=["one", "list", "tuple"]
)
def test_callbacks_are_given_as_to_the_trainer_and_forget_between_fits(form: Any) -> None:
    trainer = {**TRAINER, "max_epochs": 20}

    def fit(evaluator: LightningEvaluator) -> Any:
        return run(evaluator, linear())

    def evaluator() -> LightningEvaluator:
        callbacks = {"callbacks": form(stopping())}
        return LightningEvaluator(Regression, Data, {"val_loss": "minimize"}, trainer | callbacks)

    shared = evaluator()
    first = fit(shared)
    assert 3 < len(first[1]) < 20
    assert fit(shared) == first == fit(evaluator())


def test_no_callbacks_may_be_none() -> None:
    trainer = {**TRAINER, "callbacks": None}
    evaluator = LightningEvaluator(Regression, Data, {"val_loss": "minimize"}, trainer)
    assert len(run(evaluator, linear())[1]) == 2


@pytest.mark.parametrize(
    ("module", "data", "message"),
    [
        (Regression, loader(), "needs a function or class that makes the data of a fit, not an ob"),
        (Regression, (loader(), loader()), "not an object of the class tuple"),
        (Regression, Data(), "not an object of the class Data"),
        (Regression(linear()), Data, "needs the class of a LightningModule, or a function from a"),
        ("Regression", Data, "not an object of the class str"),
    ],
)
def test_what_was_made_already_is_refused(module: Any, data: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        LightningEvaluator(module, data, {"val_loss": "minimize"})


def test_training_data_alone() -> None:
    evaluator = LightningEvaluator(Regression, loader, {"train_loss": "minimize"}, TRAINER)
    metrics, reports = run(evaluator, linear())
    assert sorted(metrics) == ["train_loss"]
    assert len(reports) == 2


def test_arguments_may_be_choices_and_callbacks_are_kept() -> None:
    epochs: list[int] = []

    class Counts(lightning.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            epochs.append(trainer.current_epoch)

    counts = Counts()
    evaluator = LightningEvaluator(
        Regression,
        Data,
        {"val_loss": "minimize"},
        {
            "max_epochs": ValueChoice([1, 3], label="epochs"),
            "accelerator": "cpu",
            "callbacks": [counts],
        },
        lr=ValueChoice([0.01, 0.1], label="lr"),
    )
    assert Space.of(evaluator).options == {"epochs": (1, 3), "lr": (0.01, 0.1)}
    _, reports = run(resolve(evaluator, {"epochs": 3, "lr": 0.01}), linear())
    assert len(reports) == len(epochs) == 3


def test_the_mode_is_put_back() -> None:
    model = linear().eval()
    run(LightningEvaluator(Regression, Data, {"val_loss": "minimize"}, TRAINER), model)
    assert not model.training


def test_without_lightning_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_lightning(name: str, *args: Any, **options: Any) -> Any:
        if name == "lightning":
            raise ImportError("No module named 'lightning'")
        return real(name, *args, **options)

    evaluator = LightningEvaluator(Regression, Data, {"val_loss": "minimize"}, TRAINER)
    monkeypatch.setattr(builtins, "__import__", no_lightning)
    with pytest.raises(MissingExtraError, match=r"pip install 'nas-search\[lightning\]'"):
        run(evaluator, linear())


def test_what_prunes_passes_and_callbacks_hear_of_it() -> None:
    ended: list[BaseException] = []

    class Ends(lightning.Callback):
        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            ended.append(exception)

    trainer = {**TRAINER, "callbacks": [Ends()]}
    evaluator = LightningEvaluator(Regression, Data, {"val_loss": "minimize"}, trainer)

    def report(step: int, metrics: Mapping[str, float]) -> None:
        raise Pruned(0, f"at step {step}")

    model = linear()
    state = torch.get_rng_state()
    with pytest.raises(Pruned, match="at step 1") as caught:
        evaluator.evaluate(model, seed=3, report=report)
    assert ended == [caught.value]
    assert torch.equal(torch.get_rng_state(), state)
