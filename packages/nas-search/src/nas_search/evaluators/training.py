"""The training loop of a recipe, for one model."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from nas_core.errors import Place, nearest
from nas_core.protocols import Report
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nas_search.evaluators.data import Batch, Feed
from nas_search.evaluators.parts import (
    MODEL_METRICS,
    READY_METRICS,
    LossFunction,
    Metric,
    Scheduler,
)
from nas_search.memory import kept_memory
from nas_search.metrics import flops, parameters

if TYPE_CHECKING:
    from nas_search.evaluators.supervised import SupervisedEvaluator

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def train(
    recipe: "SupervisedEvaluator", model: torch.nn.Module, seed: int, report: Report
) -> dict[str, float]:
    """Train a model in place as the recipe says, and measure it.

    Raises:
        FloatingPointError: the training loss is no longer finite.
        ValueError, TypeError: a part of the recipe is not what it should be.
    """
    check_numbers(recipe)
    check_objectives(recipe)
    device = pick_device(recipe.device)
    with _surroundings(model, device, seed, recipe.threads):
        model.to(device)
        training, measured = recipe.feeds(seed, device)
        metrics = _train(recipe, model, training, measured[""], report)
        for prefix, feed in measured.items():
            if prefix or not metrics:
                metrics |= measure(recipe, model, feed, prefix)
        return metrics | model_metrics(recipe, model, measured[""])


def pick_device(name: str) -> torch.device:
    """Give the device of a recipe, as it is on the machine that trains.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(name)


@dataclass(frozen=True)
class Learner:
    """A model with all that one step of its training needs."""

    model: torch.nn.Module
    loss: LossFunction
    optimizer: torch.optim.Optimizer
    schedule: Scheduler | None
    scaler: torch.amp.GradScaler
    recipe: "SupervisedEvaluator"

    @classmethod
    def of(cls, recipe: "SupervisedEvaluator", model: torch.nn.Module, training: Feed) -> "Learner":
        """Make what a recipe says for a model that is to be trained on this data."""
        optimizer = recipe.make_optimizer(model)
        schedule = None
        if recipe.schedule:
            schedule = recipe.make_schedule(optimizer, moves_of(recipe, training))
        return cls(
            model,
            recipe.loss_function(training.device),
            optimizer,
            schedule,
            torch.amp.GradScaler(training.device.type, enabled=recipe.precision == "float16"),
            recipe,
        )

    def step(self, batch: Batch) -> torch.Tensor:
        """Take one step; gives back the loss before it."""
        *inputs, target = batch
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.recipe, target.device):
            loss = self.loss(self.model(*inputs), target)
        torch.autograd.backward(self.scaler.scale(loss))
        if self.recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.schedule is not None and self.recipe.schedule_every == "step":
            self.schedule.step()
        return loss.detach()

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """Let a schedule by epoch move on."""
        if self.schedule is None or self.recipe.schedule_every == "step":
            return
        if isinstance(self.schedule, ReduceLROnPlateau):
            main = next(iter(self.recipe.objectives))
            self.schedule.step(metrics.get(main, metrics["train_loss"]))
        else:
            self.schedule.step()


def measure(
    recipe: "SupervisedEvaluator", model: torch.nn.Module, feed: Feed, prefix: str = ""
) -> dict[str, float]:
    """Give the metrics of a model in evaluation mode, computed on all outputs at once."""
    model.eval()
    outputs, targets = [], []
    with torch.no_grad():
        for *inputs, target in feed.epoch():
            with autocast(recipe, target.device):
                outputs.append(model(*inputs))
            targets.append(target)
        check_measurable(outputs, prefix)
        return measured_metrics(recipe, outputs, torch.cat(targets), prefix)


def check_measurable(outputs: Sequence[Any], prefix: str = "") -> None:
    """Refuse data that gave no batch."""
    if not outputs:
        raise ValueError(f"there is no data to measure {prefix or 'validation '}metrics on")


def measured_metrics(
    recipe: "SupervisedEvaluator", outputs: Sequence[Any], targets: torch.Tensor, prefix: str = ""
) -> dict[str, float]:
    """Give the metrics of what a model gave for the batches that have these targets.

    Raises:
        TypeError: a metric is no number.
    """
    joined = concatenated(recipe, outputs)
    return {
        f"{prefix}{name}": _number(name, metric, metric(joined, targets))
        for name, metric in recipe.metric_functions(targets.device).items()
    }


def _number(name: str, metric: Metric, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        code = getattr(metric, "__code__", None)
        where = "" if code is None else f" ({Place(code.co_filename, code.co_firstlineno)})"
        raise TypeError(f"metric {name!r} must give a number, not {value!r:.200}{where}") from error


def concatenated(recipe: "SupervisedEvaluator", parts: Sequence[Any]) -> Any:
    """Join what a model gave for several batches: tensors, or equal structures of such.

    In lower precision they are numbers of single precision.

    Raises:
        TypeError: they are something else.
    """
    first = parts[0]
    match first:
        case torch.Tensor():
            low = recipe.precision != "float32"
            return torch.cat([part.float() for part in parts] if low else list(parts))
        case dict():
            return {key: concatenated(recipe, [part[key] for part in parts]) for key in first}
        case tuple() | list():
            columns = [concatenated(recipe, column) for column in zip(*parts, strict=True)]
            return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
        case _:
            raise TypeError(
                "a model must give a tensor, or a tuple, list or dictionary of such, "
                f"not {type(first).__name__}"
            )


def autocast(recipe: "SupervisedEvaluator", device: torch.device) -> AbstractContextManager[object]:
    """Make the context in which a recipe's model runs."""
    if recipe.precision == "float32":
        return nullcontext()
    if recipe.precision not in DTYPES:
        names = ", ".join(["float32", *DTYPES])
        raise ValueError(f"precision must be one of {names}, not {recipe.precision!r}")
    return torch.autocast(device.type, DTYPES[recipe.precision])


def _train(
    recipe: "SupervisedEvaluator",
    model: torch.nn.Module,
    training: Feed,
    validation: Feed,
    report: Report,
) -> dict[str, float]:
    left = recipe.epochs if recipe.steps is None else recipe.steps
    if left <= 0:
        return {}
    learner = Learner.of(recipe, model, training)
    metrics: dict[str, float] = {}
    for epoch in count(1):
        steps, train_loss = _epoch(learner, training, left if recipe.steps else None, epoch)
        left -= steps if recipe.steps else 1
        if left <= 0 or epoch % recipe.validate_every == 0:
            metrics = measure(recipe, model, validation)
        metrics = {**metrics, "train_loss": train_loss}
        learner.end_epoch(metrics)
        report(epoch, metrics)
        if left <= 0:
            break
    return metrics


def _epoch(learner: Learner, training: Feed, limit: int | None, epoch: int) -> tuple[int, float]:
    """Train for an epoch, at most ``limit`` steps; gives back the steps and the mean loss."""
    learner.model.train()
    losses, sizes = [], []
    for batch in training.epoch():
        losses.append(learner.step(batch))
        sizes.append(len(batch[-1]))
        if len(losses) == limit:
            break
    check_trained(losses, epoch)
    total = math.fsum(
        loss * size for loss, size in zip(torch.stack(losses).tolist(), sizes, strict=True)
    )
    mean = total / sum(sizes)
    check_finite(mean, epoch)
    return len(losses), mean


def check_trained(losses: Sequence[torch.Tensor], epoch: int) -> None:
    """Refuse data that gave no batch."""
    if not losses:
        raise ValueError(
            f"the training data gave no batch in epoch {epoch}: it must be readable in every epoch"
        )


def check_finite(loss: float, epoch: int) -> None:
    """Refuse to train a model on whose mean loss is no number."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"the training loss became {loss} in epoch {epoch}")


def moves_of(recipe: "SupervisedEvaluator", training: Feed) -> int:
    """Count how often the schedule will move on."""
    by_step = recipe.schedule_every == "step"
    if recipe.steps is None and not by_step:
        return recipe.epochs
    if recipe.steps is not None and by_step:
        return recipe.steps
    if training.batches is None:
        raise ValueError(
            "the length of the training data is not known: a schedule by step needs steps=..."
        )
    return (
        recipe.epochs * training.batches
        if recipe.steps is None
        else -(-recipe.steps // training.batches)
    )


def model_metrics(
    recipe: "SupervisedEvaluator", model: torch.nn.Module, feed: Feed
) -> dict[str, float]:
    """Give the metrics of the model itself that the recipe asks for."""
    named = set(map(str, recipe.metrics)) & set(MODEL_METRICS)
    metrics: dict[str, float] = {}
    if "parameters" in named:
        metrics["parameters"] = parameters(model)
    if "flops" in named:
        *inputs, _ = next(feed.epoch())
        metrics["flops"] = flops(model, *(part[:1] for part in inputs))
    return metrics


LEAST = {"batch_size": 1, "epochs": 0, "validate_every": 1}
LEAST_OR_NONE = {"steps": 1, "threads": 1}
NUMBERS = (*LEAST, *LEAST_OR_NONE, "clip_norm", "schedule_every")


def check_numbers(recipe: "SupervisedEvaluator", names: Sequence[str] = NUMBERS) -> None:
    """Refuse a number that is none or too small, by its name."""
    for name in names:
        value = getattr(recipe, name)
        least = LEAST.get(name, LEAST_OR_NONE.get(name))
        may_be_none = name not in LEAST
        if least is not None and not (value is None and may_be_none):
            if not isinstance(value, int) or value < least:
                none = ", or None" if may_be_none else ""
                raise ValueError(f"{name} must be a whole number >= {least}{none}, not {value!r}")
        elif name == "clip_norm" and value is not None:
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"clip_norm must be a number > 0, or None, not {value!r}")
        elif name == "schedule_every" and value not in ("epoch", "step"):
            raise ValueError(f"schedule_every must be 'epoch' or 'step', not {value!r}")


def metric_names(recipe: "SupervisedEvaluator") -> list[str]:
    """Give the names of all metrics that a recipe yields."""
    functions = list(recipe.metric_functions())
    names = [
        f"{prefix}{name}"
        for prefix in ("", *(f"{k}_" for k in recipe.also_measure))
        for name in functions
    ]
    trained = ["train_loss"] if recipe.epochs else []
    return [*names, *trained, *(name for name in MODEL_METRICS if name in recipe.metrics)]


def check_objectives(
    recipe: "SupervisedEvaluator", objectives: Iterable[str] | None = None
) -> None:
    """Refuse an objective, by default of the recipe itself, that it yields no metric of."""
    names = metric_names(recipe)
    for objective in recipe.objectives if objectives is None else objectives:
        if objective not in names:
            ready = objective in READY_METRICS
            hint = (
                f"; {objective!r} is one if named in them" if ready else nearest(objective, names)
            )
            raise ValueError(
                f"objective {objective!r} is not among the metrics ({', '.join(names)}){hint}"
            )


@contextmanager
def _surroundings(
    model: torch.nn.Module, device: torch.device, seed: int, threads: int | None
) -> Iterator[None]:
    """Seed the global generator, set the threads; put back both, and the mode of every module.

    Memory is kept meanwhile.
    """
    modes = [(module, module.training) for module in model.modules()]
    outer_threads = torch.get_num_threads()
    with kept_memory(), torch.random.fork_rng([device.index] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        try:
            if threads is not None:
                torch.set_num_threads(threads)
            yield
        finally:
            torch.set_num_threads(outer_threads)
            for module, training in modes:
                module.training = training
