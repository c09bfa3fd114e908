"""The named parts of a recipe: losses, optimisers, schedules and metrics."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

import torch
from nas_core.errors import nearest
from torch.nn import functional
from torch.optim import Optimizer, lr_scheduler

LossFunction: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Metric: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor | float]
Scheduler: TypeAlias = lr_scheduler.LRScheduler

LOSSES: Mapping[str, Callable[..., torch.Tensor]] = {
    name: getattr(functional, name)
    for name in (
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cross_entropy",
        "huber_loss",
        "l1_loss",
        "mse_loss",
        "multilabel_soft_margin_loss",
        "nll_loss",
        "poisson_nll_loss",
        "smooth_l1_loss",
        "soft_margin_loss",
    )
}
OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, Optimizer) and kind is not Optimizer
}
SCHEDULES: Mapping[str, type[Scheduler]] = {
    name: kind
    for name, kind in vars(lr_scheduler).items()
    if inspect.isclass(kind)
    and issubclass(kind, Scheduler)
    and kind is not Scheduler
    and name[0] != "_"
}


def loss_function(
    loss: str | Callable[..., Any],
    options: Mapping[str, Any],
    device: torch.device | None = None,
) -> LossFunction:
    """Give the loss of a recipe: ``torch.nn.functional`` by name, a module class, or any function.

    Its tensors, such as the weights of classes, are moved to the device of the outputs, if given.

    >>> loss_function("cross_entropi", {})
    Traceback (most recent call last):
    ValueError: no loss 'cross_entropi'; did you mean 'cross_entropy'?
    """
    if device is not None:
        options = {
            k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in options.items()
        }
    function: LossFunction
    if isinstance(loss, type):
        function, options = _called("loss", loss, (), options), {}
    else:
        function = _named("loss", loss, LOSSES)
        _check_options("loss", function, options)
    if device is not None and isinstance(function, torch.nn.Module):
        function.to(device)
    return partial(function, **options) if options else function


def make_optimizer(
    optimizer: str | Callable[..., Optimizer],
    options: Mapping[str, Any],
    parameters: Iterable[torch.nn.Parameter],
) -> Optimizer:
    """Make the optimiser of a recipe for some parameters.

    >>> make_optimizer("SGD", {"lr": 0.1}, torch.nn.Linear(1, 1).parameters()).defaults["lr"]
    0.1
    """
    factory = _named("optimizer", optimizer, OPTIMIZERS)
    if factory is torch.optim.LBFGS:
        raise ValueError("LBFGS computes the loss several times in a step, which is not done here")
    made: Optimizer = _called("optimizer", factory, (parameters,), options)
    return made


def make_schedule(
    schedule: str | Callable[..., Scheduler],
    options: Mapping[str, Any],
    optimizer: Optimizer,
    *,
    moves: int,
    direction: str,
) -> Scheduler:
    """Make the learning-rate schedule of a recipe.

    ``T_max`` (cosine annealing) and ``total_steps`` (one cycle) are the number of ``moves`` unless
    the options say otherwise; ``mode`` (reduce on plateau) is the direction of the main objective.
    """
    factory = _named("schedule", schedule, SCHEDULES)
    known = inspect.signature(factory).parameters
    fitting = {"T_max": moves, "total_steps": moves, "mode": direction[:3]}
    if "epochs" in options or "steps_per_epoch" in options:
        del fitting["total_steps"]
    defaults = {
        name: value for name, value in fitting.items() if name in known and name not in options
    }
    if "mode" in defaults and "patience" not in known:
        del defaults["mode"]  # CyclicLR has a mode of another kind
    made: Scheduler = _called("schedule", factory, (optimizer,), {**defaults, **options})
    return made


def metric_functions(
    metrics: Sequence[str | Metric] | Mapping[str, Metric], loss: LossFunction
) -> dict[str, Metric]:
    """Give the metrics of a recipe that compare outputs with targets, by name.

    >>> list(metric_functions(["accuracy", "loss"], torch.nn.functional.cross_entropy))
    ['accuracy', 'loss']
    """
    if isinstance(metrics, Mapping):
        return dict(metrics)
    if isinstance(metrics, str):
        raise TypeError(f"metrics are several names or functions, as in ({metrics!r},), no text")
    known: dict[str, Metric] = {"accuracy": accuracy, "loss": loss}
    functions: dict[str, Metric] = {}
    for metric in metrics:
        name = (
            metric
            if isinstance(metric, str)
            else getattr(metric, "__name__", type(metric).__name__)
        )
        if name not in MODEL_METRICS or callable(metric):
            functions[name] = _named("metric", metric, known, MODEL_METRICS)
    return functions


MODEL_METRICS = ("parameters", "flops")
"""Metrics of the model itself, measured once."""

READY_METRICS = ("accuracy", "loss", *MODEL_METRICS)
"""Metrics that a name is enough for."""


def accuracy(outputs: torch.Tensor, target: torch.Tensor) -> float:
    """Give the share of samples whose highest output, along dimension 1, is the target.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    if not isinstance(outputs, torch.Tensor):
        raise TypeError(
            f"accuracy needs outputs that are one tensor, not a {type(outputs).__name__}"
        )
    if outputs.ndim != target.ndim + 1:
        raise ValueError(
            f"accuracy needs outputs of shape (N, classes, ...) for a target of shape (N, ...), "
            f"not {tuple(outputs.shape)} for {tuple(target.shape)}"
        )
    return int((outputs.argmax(1) == target).sum()) / target.numel()


def _named(part: str, given: Any, known: Mapping[str, Any], more: Iterable[str] = ()) -> Any:
    if callable(given):
        return given
    if given in known:
        return known[given]
    names = [*known, *more]
    meant = nearest(str(given), names) or f" (there are: {', '.join(names)}, and any function)"
    raise ValueError(f"no {part} {given!r}{meant}")


def _called(
    part: str, factory: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    _check_options(part, factory, options)
    try:
        return factory(*args, **options)
    except (TypeError, ValueError) as error:
        if not options or not factory.__module__.startswith("torch."):
            raise  # it says what is missing, or is the user's own
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise type(error)(f"{part} {factory.__name__} does not take {given}: {error}") from error


def _check_options(part: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    if not options:
        return
    names = _options_of_class(factory) if isinstance(factory, type) else _options_of(factory)
    for option in options:
        if names is not None and option not in names:
            name = getattr(factory, "__name__", repr(factory))
            raise TypeError(
                f"{part} {name} has no option {option!r} (it has: {', '.join(names)})"
                f"{nearest(option, names)}"
            )


def _options_of(factory: Callable[..., Any]) -> tuple[str, ...] | None:
    """The names of the options that are taken; None if any are."""
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    given = ("params", "optimizer", "input", "target", "self")
    return tuple(p.name for p in parameters if p.name not in given)


_options_of_class = lru_cache(_options_of)
"""A search makes the same optimiser for each of its trials."""
