"""Small evaluators and a recorder for tests of engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from nas_core.protocols import Direction, Metrics, Report
from nas_core.pruned import Pruned

__all__ = ["CountParameters", "Fit", "Misbehaving", "Recording", "tensors_in"]


class CountParameters:
    """The number of parameters, as a plain number.

    >>> evaluator = CountParameters()
    >>> evaluator.evaluate(torch.nn.Linear(3, 2), seed=0, report=lambda step, metrics: None)
    8.0
    """

    objectives: Mapping[str, Direction] = {"parameters": "minimize"}

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Report) -> float:
        return float(sum(p.numel() for p in model.parameters()))


class Fit:
    """Train for a few steps of gradient descent on one batch, towards zero outputs.

    Args:
        inputs: makes the arguments of the model's forward.
        lr: the learning rate; may be a choice.
        steps: how many; each is reported.
    """

    objectives: Mapping[str, Direction] = {"loss": "minimize"}

    def __init__(
        self, inputs: Callable[[], tuple[torch.Tensor, ...]], lr: Any = 0.05, steps: int = 3
    ) -> None:
        self.inputs = inputs
        self.lr = lr
        self.steps = steps

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Report) -> dict[str, float]:
        inputs, loss = self.inputs(), torch.zeros(())
        for step in range(self.steps):
            model.zero_grad()
            outputs = list(tensors_in(model(*inputs)))
            loss = torch.stack([out.square().mean() for out in outputs]).sum()
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(parameter.grad, alpha=self.lr)
            report(step, {"loss": loss.item()})
        return {"loss": loss.item(), "lr": float(self.lr)}


class Misbehaving:
    """Goes wrong for some seeds, counts the parameters for the others.

    Args:
        faults: seed → ``"raise"``, ``"exit"``, ``"nan"``, ``"missing"`` or ``"text"``.
    """

    objectives: Mapping[str, Direction] = {"parameters": "minimize"}

    def __init__(self, faults: Mapping[int, str]) -> None:
        self.faults = dict(faults)

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Report) -> Any:
        match self.faults.get(seed):
            case "raise":
                raise RuntimeError("this candidate is broken")
            case "exit":
                raise SystemExit("this candidate leaves")
            case "nan":
                return float("nan")
            case "missing":
                return {"size": 1.0}
            case "text":
                return "a lot"
            case _:
                return CountParameters().evaluate(model, seed=seed, report=report)


class Recording:
    """A recorder that keeps what it is told.

    Args:
        prunes: number of a candidate → the step at whose report it is pruned.
    """

    def __init__(self, prunes: Mapping[int, int] | None = None) -> None:
        self.prunes = dict(prunes or {})
        self.reports: list[tuple[int, int, dict[str, float]]] = []
        self.models: dict[int, torch.nn.Module] = {}
        self.notes: list[str] = []

    def report(self, number: int, step: int, metrics: Metrics) -> None:
        self.reports.append((number, step, dict(metrics)))
        if self.prunes.get(number) == step:
            raise Pruned(number, f"at step {step}")

    def trained(self, number: int, model: torch.nn.Module) -> None:
        self.models[number] = model

    def note(self, text: str) -> None:
        self.notes.append(text)


def tensors_in(outputs: Any) -> list[torch.Tensor]:
    """The tensors of nested tuples, lists and dicts, in order.

    >>> len(tensors_in((torch.zeros(1), {"a": [torch.zeros(2)]})))
    2
    """
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    return [tensor for part in outputs for tensor in tensors_in(part)]
