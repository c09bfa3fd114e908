"""Supervised training as a recipe: data, so that an engine may do it for many models at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from nas_core import Space
from nas_core.protocols import Direction, Problem, Report
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nas_search.evaluators.data import Data, Feed, open_feed, split
from nas_search.evaluators.parts import (
    LossFunction,
    Metric,
    Scheduler,
    loss_function,
    make_optimizer,
    make_schedule,
    metric_functions,
)
from nas_search.evaluators.problems import problems
from nas_search.evaluators.streams import derive
from nas_search.evaluators.training import train

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SupervisedEvaluator:
    """Trains a model on inputs and targets, and measures it on data that it was not trained on.

    It is a recipe: every argument is kept as it is given, may be a choice (or hold choices), and is
    looked at when the model is trained. Names are those of torch: losses of
    ``torch.nn.functional``, optimisers of ``torch.optim``, schedules of
    ``torch.optim.lr_scheduler``.

    The result follows from the model's weights and the seed. Three random streams are kept apart:
    the order of the data, what the data itself draws (augmentation), and what the model draws
    (dropout); the last is the global generator, seeded with the trial's seed. All three leave the
    caller's generators as they were.

    >>> x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    >>> recipe = SupervisedEvaluator(train=(x, (x.sum(1) > 0).long()), optimizer="SGD",
    ...                              optimizer_options={"lr": 0.5, "momentum": 0.9}, epochs=20)
    >>> metrics = recipe.evaluate(torch.nn.Linear(4, 2), seed=0, report=lambda step, metrics: None)
    >>> sorted(metrics), metrics["accuracy"] > 0.8
    (['accuracy', 'loss', 'train_loss'], True)
    """

    train: Data
    """Tensors ``(inputs, ..., target)``, a ``Dataset``, or a function that makes a DataLoader."""
    validation: Data | float = 0.2
    """Such data, or the share of the training data to hold out, the same for all candidates."""
    also_measure: Mapping[str, Data] = field(default_factory=dict)
    """More data to measure once at the end: ``{"test": ...}`` adds ``test_accuracy`` and so on."""
    batch_size: int = 64
    drop_last: bool = False
    loss: str | Callable[..., Any] = "cross_entropy"
    """A name, a module class, or a function of outputs and target. Outputs are what the model
    gives: a tensor, or a tuple, list or dictionary of such, for losses and metrics of your own."""
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    """Tensors among them, such as ``weight``, are moved to the device."""
    optimizer: str | Callable[..., torch.optim.Optimizer] = "SGD"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str | Callable[..., Scheduler] | None = None
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    schedule_every: Literal["epoch", "step"] = "epoch"
    """When the schedule moves on."""
    epochs: int = 1
    """0 trains nothing: the model is measured as it is initialised, as in a search without
    training."""
    steps: int | None = None
    """At most so many optimiser steps, whatever the epochs."""
    clip_norm: float | None = None
    """The largest norm of all gradients together."""
    metrics: Sequence[str | Metric] | Mapping[str, Metric] = ("accuracy", "loss")
    """``accuracy``, ``loss``, ``parameters``, ``flops``, or functions of outputs and targets."""
    objectives: Mapping[str, Direction] = field(default_factory=lambda: {"accuracy": "maximize"})
    """Metric name → direction, the main one first."""
    validate_every: int = 1
    """Measure, and report, after so many epochs (and always at the end)."""
    device: str = "auto"
    """``cpu``, ``cuda``, any device of torch, or ``auto``: CUDA where there is one."""
    precision: Precision = "float32"
    """``bfloat16`` and ``float16`` run the model under autocast, the latter with scaled
    gradients."""
    threads: int | None = None
    """CPU threads to train with. Results may differ in the last bits between numbers of threads, so
    fix it where they have to be equal for any ``trial_concurrency``."""
    data_seed: int | None = 0
    """Decides the order of the data, its augmentation and the split, equally for all candidates;
    None: order and augmentation differ from candidate to candidate, by its seed."""

    def __post_init__(self) -> None:
        # Copies: what the caller does to its dictionaries later is not part of the recipe.
        for name in (
            "also_measure",
            "loss_options",
            "optimizer_options",
            "schedule_options",
            "objectives",
        ):
            if isinstance(given := getattr(self, name), Mapping):  # it may also be a choice
                object.__setattr__(self, name, dict(given))

    def evaluate(
        self,
        model: torch.nn.Module,
        *,
        seed: int,
        report: Report,
    ) -> dict[str, float]:
        """Train the model in place and measure it; reports the metrics of each epoch as it ends."""
        return train(self, model, seed, report)

    def problems(self, space: Space, objectives: Sequence[str]) -> Iterator[Problem]:
        """Say what is wrong whatever the candidate: names, options, numbers, objectives, data.

        Optimisers, schedules and data loaders of the user's own are not made, and no data is read.

        >>> recipe = SupervisedEvaluator(train=(torch.zeros(9, 4), torch.zeros(9)),
        ...                              optimizer="SDG")
        >>> print(*recipe.problems(Space(()), ["accuracy"]))
        no optimizer 'SDG'; did you mean 'SGD'?
        """
        return problems(self, space, objectives)

    def feeds(self, seed: int, device: torch.device) -> tuple[Feed, dict[str, Feed]]:
        """Open the data for a candidate of this seed: to train on, and by prefix to measure on."""
        data_seed = derive(seed, "data") if self.data_seed is None else self.data_seed
        training, validation = self.train, self.validation
        if isinstance(validation, float | int):
            training, validation = split(training, validation, self.data_seed or 0)
        opened = {
            prefix: open_feed(
                data, batch_size=self.batch_size, seed=derive(data_seed, prefix), device=device
            )
            for prefix, data in {
                "": validation,
                **{f"{k}_": v for k, v in self.also_measure.items()},
            }.items()
        }
        return open_feed(
            training,
            batch_size=self.batch_size,
            seed=data_seed,
            device=device,
            shuffle=True,
            drop_last=self.drop_last,
        ), opened

    def loss_function(self, device: torch.device | None = None) -> LossFunction:
        """Give the loss as a function of outputs and target, which lie on the device."""
        return loss_function(self.loss, self.loss_options, device)

    def metric_functions(self, device: torch.device | None = None) -> dict[str, Metric]:
        """Give the metrics that compare outputs with targets on the device, by name."""
        return metric_functions(self.metrics, self.loss_function(device))

    def make_optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """Make the optimiser for a model."""
        return make_optimizer(self.optimizer, self.optimizer_options, model.parameters())

    def make_schedule(self, optimizer: torch.optim.Optimizer, moves: int) -> Scheduler | None:
        """Make the schedule for an optimiser, None if there is none; it will move so many times."""
        if self.schedule is None:
            return None
        direction = next(iter(self.objectives.values()))
        made = make_schedule(
            self.schedule, self.schedule_options, optimizer, moves=moves, direction=direction
        )
        if isinstance(made, ReduceLROnPlateau) and self.schedule_every == "step":
            raise ValueError(
                "ReduceLROnPlateau follows a metric, which there is after each epoch: "
                "schedule_every must be 'epoch'"
            )
        return made
