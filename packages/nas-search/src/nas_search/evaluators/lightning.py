"""PyTorch Lightning as an evaluator, for those who have their training in a ``LightningModule``."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from nas_core.protocols import Direction, Report

from nas_search.errors import MissingExtraError
from nas_search.evaluators.streams import Stream

QUIET = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class LightningEvaluator:
    """Fits ``module(model)`` with a ``lightning.Trainer``; the metrics are those that it logs.

    Needs the extra ``nas-search[lightning]``. All arguments may be choices, or hold them.

    Args:
        module: makes the ``LightningModule`` of a built model; also given ``options``.
        data: makes the data of one fit: a ``LightningDataModule``, or what ``Trainer.fit`` takes as
            ``train_dataloaders`` or ``(train_dataloaders, val_dataloaders)``.
        objectives: logged name → direction, the main one first.
        trainer: arguments of ``lightning.Trainer``; without a logger, checkpoints or progress bar
            unless named. Each fit has copies of its callbacks, for many keep what they have seen.
        options: passed on to ``module``.

    Each epoch's logged metrics are reported when its validation (or, without one, its training)
    ends.
    """

    def __init__(
        self,
        module: Callable[..., Any],
        data: Callable[[], Any],
        objectives: Mapping[str, Direction],
        trainer: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        _require_makers(module, data)
        self.module = module
        self.data = data
        self.objectives: Mapping[str, Direction] = dict(objectives)
        self.trainer = dict(trainer or {})
        self.options = options

    def evaluate(
        self,
        model: torch.nn.Module,
        *,
        seed: int,
        report: Report,
    ) -> dict[str, float]:
        """Fit the model and give back what was logged."""
        lightning = _lightning()
        modes = [(module, module.training) for module in model.modules()]
        callbacks = [*_own_callbacks(self.trainer), _reporter(lightning, report)]
        # Not lightning.seed_everything: it also writes to the environment.
        with Stream(seed).active():
            torch.cuda.manual_seed_all(seed)
            trainer = lightning.Trainer(**{**QUIET, **self.trainer, "callbacks": callbacks})
            trainer.fit(
                self.module(model, **self.options), **_fit_arguments(lightning, self.data())
            )
        for module, training in modes:
            module.training = training
        return _logged(trainer)


def _require_makers(module: object, data: object) -> None:
    """Refuse what has been made already: each fit needs its own.

    Raises:
        TypeError: the module or the data is no function or class.
    """
    needed = "LightningEvaluator needs {}, not an object of the class {}"
    if not callable(module) or isinstance(module, torch.nn.Module):
        what = "the class of a LightningModule, or a function from a model to one"
        raise TypeError(needed.format(what, type(module).__name__))
    if not callable(data):
        what = "a function or class that makes the data of a fit"
        raise TypeError(needed.format(what, type(data).__name__))


def _own_callbacks(trainer: Mapping[str, Any]) -> list[Any]:
    given = trainer.get("callbacks") or ()  # one, several or none, as for the Trainer
    return copy.deepcopy([*given] if isinstance(given, (list, tuple)) else [given])


def _lightning() -> Any:
    try:
        import lightning  # an optional dependency
    except ImportError as error:
        raise MissingExtraError("LightningEvaluator", "lightning") from error
    return lightning


def _fit_arguments(lightning: Any, data: Any) -> dict[str, Any]:
    if isinstance(data, lightning.LightningDataModule):
        return {"datamodule": data}
    if isinstance(data, tuple):
        train, validation = data
        return {"train_dataloaders": train, "val_dataloaders": validation}
    return {"train_dataloaders": data}


def _logged(trainer: Any) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _reporter(lightning: Any, report: Report) -> Any:
    class Reporter(lightning.Callback):  # type: ignore[misc]  # the base class is only known at run time
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            report(trainer.current_epoch + 1, _logged(trainer))

    return Reporter()
