"""How far members of a merged job end from where each of them ends alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from nas_core.testing import Recording
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from torch import Tensor, nn

__all__ = ["Outcome", "assert_each_as_alone"]


@dataclass
class Outcome:
    """What the training of one member has come to: numbers by name, and weights."""

    error: str | None
    numbers: dict[str, float]
    weights: dict[str, Tensor]


def run(job: Any) -> dict[int, Outcome]:
    recorder = Recording()
    results = {result.number: result for result in job.run(recorder)}
    outcomes: dict[int, Outcome] = {}
    for number, result in results.items():
        reports = [(step, metrics) for n, step, metrics in recorder.reports if n == number]
        numbers = {
            f"{name} after report {i} of step {step}": value
            for i, (step, metrics) in enumerate([*reports, (None, result.metrics or {})])
            for name, value in metrics.items()
        }
        model = recorder.models[number].state_dict() if result.error is None else {}
        outcomes[number] = Outcome(result.error, numbers, model)
    return outcomes


def distance(found: Outcome, expected: Outcome) -> tuple[float, str]:
    """How far numbers and weights are apart at most, relative to 1 and more, and which."""
    assert found.error == expected.error, (found.details, expected.details)
    pairs = []
    for one, other in ((found.numbers, expected.numbers), (found.weights, expected.weights)):
        assert one.keys() == other.keys()
        pairs += [(torch.as_tensor(one[x]), torch.as_tensor(other[x]), x) for x in one]
    return max(((_apart(a, b), name) for a, b, name in pairs), default=(0.0, ""))


def _apart(found: Tensor, expected: Tensor) -> float:
    a, b = found.double(), expected.double()
    apart = (a - b).abs() / (1 + b.abs())
    apart[(a == b) | (a.isnan() & b.isnan())] = 0.0
    return float(apart.nan_to_num(math.inf).max()) if apart.numel() else 0.0


@contextmanager
def moved(kind: type, seed: int) -> Iterator[None]:
    """Let the models of such jobs begin with weights that differ in their last bit."""
    build = kind.build  # type: ignore[attr-defined]

    def built(job: Any) -> nn.Module:
        model: nn.Module = build(job)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                sign = torch.randint(0, 3, parameter.shape, generator=generator) - 1
                parameter.mul_(1 + sign * torch.finfo(parameter.dtype).eps)
        return model

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kind, "build", built)
        yield


def unsteadiness(job: Any, alone: Outcome) -> float:
    """How far a member that is trained alone comes from there if it begins a last bit apart."""
    (number,) = (candidate.number for candidate in job.candidates)
    apart = []
    for seed in range(3):
        with moved(type(job), seed):
            apart.append(distance(run(job)[number], alone)[0])
    return max(apart)


def assert_each_as_alone(jobs: Sequence[Any], options: Options, tolerance: float) -> list[Outcome]:
    """Each member of a merged job comes to where it comes alone, as far as rounding can tell."""
    merged = run(MergedJob(tuple(jobs), options))
    assert sorted(merged) == list(range(len(jobs)))
    for number, job in enumerate(jobs):
        alone = run(job)[number]
        apart, name = distance(merged[number], alone)
        # A training that amplifies rounding does so whoever rounds.
        assert apart <= tolerance or (tolerance and apart <= 10 * unsteadiness(job, alone)), (
            f"{name} of member {number} is {apart} from where it is alone"
        )
    return [merged[number] for number in range(len(jobs))]
