"""A user's own function as an evaluator."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from nas_core import Problem, Space
from nas_core.protocols import Direction, Metrics, Report


class FunctionEvaluator:
    """Calls ``fn(model, **options)``, which gives back a number or a mapping of metrics.

    Args:
        fn: the function. It is also given ``seed`` (the trial's) and ``report`` (to hand in
            intermediate metrics, or the main objective alone, as ``report(step, metrics)``) if it
            has parameters of these names.
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
        return f"FunctionEvaluator({self._name}, {self.objectives}{options})"

    @property
    def _name(self) -> str:
        return getattr(self.fn, "__qualname__", repr(self.fn))

    def problems(self, space: Space, objectives: Sequence[str]) -> Iterator[Problem]:
        """Why the function can't be called: what it is not given, or does not take."""
        if type(self).evaluate is not FunctionEvaluator.evaluate:
            return  # it may be called in another way
        try:
            signature = inspect.signature(self.fn)
        except (TypeError, ValueError):  # some builtins have none
            return
        offered = _keywords(self.fn) & {"seed", "report"}
        try:
            signature.bind(None, **{**dict.fromkeys(offered), **self.options})
        except TypeError as error:
            given = ", ".join(["model", *sorted(offered | self.options.keys())])
            yield Problem(f"{self._name}{signature} is called with ({given}): {error}")

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
