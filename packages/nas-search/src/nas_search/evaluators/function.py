"""A user's own function as an evaluator."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from nas_core.protocols import Direction, Metrics, Report


class FunctionEvaluator:
    """Calls ``fn(model, **options)``, which gives back a number or a mapping of metrics.

    Args:
        fn: the function. It is also given ``seed`` (the trial's) and ``report`` (to hand in
            intermediate metrics as ``report(step, metrics)``) if it has parameters of these names.
        objectives: metric name → direction, the main one first. A plain number is the main
            objective.
        options: passed on as keywords; they may be choices.

    >>> count = FunctionEvaluator(lambda model: sum(p.numel() for p in model.parameters()),
    ...                           objectives={"size": "minimize"})
    >>> count.evaluate(torch.nn.Linear(3, 2), seed=0, report=lambda step, metrics: None)
    8
    """

    def __init__(
        self,
        fn: Callable[..., Metrics | float],
        objectives: Mapping[str, Direction] | None = None,
        **options: Any,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"FunctionEvaluator needs a function of a model, not {fn!r}")
        self.fn = fn
        self.objectives: Mapping[str, Direction] = dict(objectives or {"value": "maximize"})
        self.options = options

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        name = getattr(self.fn, "__qualname__", self.fn)
        return f"FunctionEvaluator({name}, {self.objectives}{options})"

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Report) -> Metrics | float:
        """Call the function with what its signature asks for."""
        offered = {"seed": seed, "report": report}
        wanted = {name: offered[name] for name in _keywords(self.fn) & offered.keys()}
        return self.fn(model, **{**wanted, **self.options})


def _keywords(fn: Callable[..., object]) -> set[str]:
    try:
        parameters = list(inspect.signature(fn).parameters.values())[1:]  # the first is the model
    except (TypeError, ValueError):  # some builtins have no signature
        return set()
    return {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
