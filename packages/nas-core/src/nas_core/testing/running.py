"""Laws of ``plan`` and of jobs: one result per candidate, reproducible, and none hurts another."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Sequence
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest
import torch

import nas_core as nas
import nas_core.nn as nn
from nas_core import Space
from nas_core.protocols import Candidate, Engine, EngineInfo, Evaluator, Job, Result
from nas_core.testing.evaluators import CountParameters, Fit, Misbehaving, Recording
from nas_core.testing.references import REFERENCES, Reference
from nas_core.testing.subject import Subject, candidates, each_reference, serves

__all__ = ["RunningContract"]


def served(engine: Engine, info: EngineInfo) -> Reference:
    """Some model that the engine takes."""
    return next(r for r in REFERENCES if serves(engine, info, r))


def run_jobs(jobs: Iterable[Job], recorder: Recording | None = None) -> dict[int, Result]:
    """The results of jobs by number; each candidate of a job must have exactly one."""
    results: dict[int, Result] = {}
    for job in jobs:
        own = list(job.run(recorder or Recording()))
        assert sorted(r.number for r in own) == sorted(c.number for c in job.candidates)
        results |= {r.number: r for r in own}
    return results


def run_plan(
    engine: Engine, reference: Reference, chosen: Sequence[Candidate], evaluator: Evaluator
) -> dict[int, Result]:
    return run_jobs(engine.plan(reference.model(), chosen, evaluator))


def metrics_of(results: dict[int, Result]) -> dict[int, dict[str, float] | None]:
    for result in results.values():
        assert result.error is None, f"{result.error}\n{result.details}"
    return {number: result.metrics for number, result in results.items()}


def close(a: object, b: object, rtol: float = 1e-4) -> None:
    """Metrics that agree up to what merging computations may change."""
    torch.testing.assert_close(a, b, rtol=rtol, atol=1e-5)


class RunningContract(Subject):
    """Tests of ``plan`` and of the jobs that it makes."""

    @each_reference
    def test_each_candidate_is_answered_once(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not serves(engine, info, reference):
            return
        chosen, recorder = candidates(reference), Recording()
        jobs = engine.plan(reference.model(), chosen, Fit(reference.inputs))
        assert sorted(c.number for job in jobs for c in job.candidates) == [10, 11, 12, 13]
        metrics_of(run_jobs(jobs, recorder))
        for candidate in chosen:
            steps = [step for number, step, _ in recorder.reports if number == candidate.number]
            assert steps == [0, 1, 2]
            handed_over = recorder.models[candidate.number].state_dict()
            assert list(handed_over) == list(reference.by_hand(candidate.architecture).state_dict())

    @each_reference
    def test_a_candidate_trains_as_the_model_written_by_hand(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not (self.initial_weights_as_written and serves(engine, info, reference)):
            return
        chosen, evaluator = candidates(reference), Fit(reference.inputs)
        found = metrics_of(run_plan(engine, reference, chosen, evaluator))
        for c in chosen:
            build = functools.partial(reference.by_hand, c.architecture)
            by_hand = nas.run_candidate(c, build, evaluator, Recording())
            close(found[c.number], by_hand.metrics)

    def test_candidates_together_fare_as_alone(self, engine: Engine, info: EngineInfo) -> None:
        reference = served(engine, info)
        chosen, evaluator = candidates(reference), Fit(reference.inputs)
        together = metrics_of(run_plan(engine, reference, chosen, evaluator))
        for candidate in chosen:
            alone = metrics_of(run_plan(engine, reference, [candidate], evaluator))
            close(together[candidate.number], alone[candidate.number])

    def test_results_are_reproducible(self, engine: Engine, info: EngineInfo) -> None:
        reference = served(engine, info)
        chosen, evaluator = candidates(reference), Fit(reference.inputs)
        found = []
        for noise in range(2):
            torch.manual_seed(noise)
            random.seed(noise)
            found.append(metrics_of(run_plan(engine, reference, chosen, evaluator)))
        assert found[0] == found[1]

    def test_jobs_can_be_sent_elsewhere(self, engine: Engine, info: EngineInfo) -> None:
        reference = served(engine, info)
        jobs = engine.plan(reference.model(), candidates(reference), Fit(reference.inputs))
        sent = [cloudpickle.loads(cloudpickle.dumps(job)) for job in jobs]
        assert metrics_of(run_jobs(sent)) == metrics_of(run_jobs(jobs))

    @pytest.mark.parametrize("fault", ["raise", "exit", "nan", "missing", "text"])
    def test_a_bad_candidate_fails_alone(
        self, engine: Engine, info: EngineInfo, fault: str
    ) -> None:
        reference = served(engine, info)
        chosen = candidates(reference)
        bad = chosen[1]
        found = run_plan(engine, reference, chosen, Misbehaving({bad.seed: fault}))
        failed = found.pop(bad.number)
        assert failed.failed
        assert failed.error
        assert failed.details
        sound = [c for c in chosen if c is not bad]
        assert metrics_of(found) == metrics_of(
            run_plan(engine, reference, sound, CountParameters())
        )

    def test_a_pruned_candidate_ends_alone(self, engine: Engine, info: EngineInfo) -> None:
        reference = served(engine, info)
        chosen, evaluator = candidates(reference), Fit(reference.inputs)
        first, last = chosen[1].number, chosen[3].number
        recorder = Recording({first: 0, last: 1})
        found = run_jobs(engine.plan(reference.model(), chosen, evaluator), recorder)
        for number, step in recorder.prunes.items():
            pruned = found.pop(number)
            assert (pruned.pruned, pruned.metrics) == (f"at step {step}", None)
            assert not pruned.failed
            assert pruned.error is None
            assert [s for n, s, _ in recorder.reports if n == number] == list(range(step + 1))
            assert number not in recorder.models
        whole = run_plan(engine, reference, chosen, evaluator)
        close(metrics_of(found), metrics_of({number: whole[number] for number in found}))

    def test_a_model_that_cannot_be_built_fails_alone(
        self, engine: Engine, info: EngineInfo
    ) -> None:
        model = Brittle()
        if "any-python" not in info.capabilities:
            # It may read the constructor's other branch, or refuse the class; not raise.
            assert all(p.message for p in engine.problems(model, CountParameters()))
            return
        chosen = [Candidate(i, a, seed=i) for i, a in enumerate(Space.of(model).enumerate())]
        found = run_jobs(engine.plan(model, chosen, CountParameters()))
        assert [found[i].failed for i in range(3)] == [False, True, False]
        assert "no layer of width 3" in str(found[1].error)
        assert "building.py" not in str(found[1].error)

    def test_choices_of_the_evaluator_are_decided(self, engine: Engine, info: EngineInfo) -> None:
        reference = served(engine, info)
        model = reference.model()
        evaluator = Fit(reference.inputs, lr=nn.ValueChoice([0.01, 0.02], label="lr"))
        space = Space.of(model, evaluator)
        architecture = Space.of(model).default()
        chosen = [
            Candidate(i, space.validate({**architecture, "lr": lr}), seed=i)
            for i, lr in enumerate([0.02, 0.01])
        ]
        found = metrics_of(run_jobs(engine.plan(model, chosen, evaluator)))
        assert [(found[i] or {})["lr"] for i in range(2)] == [0.02, 0.01]

    def test_a_model_of_a_closure_can_be_sent_elsewhere(
        self, engine: Engine, info: EngineInfo
    ) -> None:
        size = 4

        @nas.model_wrapper
        class Local(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(size, nn.ValueChoice([2, 3], label="width"))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.layer(x)

        model = Local()
        if tuple(engine.problems(model, CountParameters())):
            assert "any-python" not in info.capabilities
            return
        candidate = Candidate(0, Space.of(model).validate({"width": 3}), seed=0)
        jobs = engine.plan(model, [candidate], CountParameters())
        sent = [cloudpickle.loads(cloudpickle.dumps(job)) for job in jobs]
        assert metrics_of(run_jobs(sent)) == {0: {"parameters": 15.0}}

    def test_planning_nothing_is_no_work(self, engine: Engine, info: EngineInfo) -> None:
        assert list(engine.plan(served(engine, info).model(), [], CountParameters())) == []


@nas.basic_unit
class Width(nn.Module):
    """A layer whose constructor refuses one of the widths."""

    def __init__(self, width: int) -> None:
        super().__init__()
        if width == 3:
            raise ValueError("no layer of width 3")
        self.layer = torch.nn.Linear(4, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@nas.model_wrapper
class Brittle(nn.Module):
    """A model that can't be built at one point of its space."""

    def __init__(self) -> None:
        super().__init__()
        width: Any = nn.ValueChoice([2, 3, 4], label="width")
        self.layer = Width(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)
