"""The contract itself: an engine in ten lines passes it, and each way of being wrong is caught."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nas_core as nas
import pytest
import torch
from nas_core import Candidate, EngineInfo, Problem, Recorder, Result, Space
from nas_core.errors import NasError, UnsupportedSpaceError
from nas_core.formats import format_refused
from nas_core.model import Recipe
from nas_core.testing import REFERENCES, EngineContract


@dataclass(frozen=True)
class SmallJob:
    candidates: tuple[Candidate, ...]
    recipe: Recipe
    evaluator: Any

    def run(self, recorder: Recorder) -> Iterator[Result]:
        for candidate in self.candidates:
            build = functools.partial(nas.build, self.recipe, candidate.architecture)
            yield nas.run_candidate(candidate, build, self.evaluator, recorder)


class Small:
    """All candidates in one job; exports nothing."""

    def problems(self, base_model: Any, evaluator: Any) -> Iterator[Problem]:
        try:
            nas.recipe(base_model)
        except NasError as error:
            yield Problem(str(error))

    def build(self, base_model: Any, architecture: Mapping[str, Any]) -> torch.nn.Module:
        return nas.build(base_model, architecture)

    def plan(
        self, base_model: Any, candidates: Sequence[Candidate], evaluator: Any
    ) -> Sequence[SmallJob]:
        recipe = nas.recipe(base_model)
        return [SmallJob(tuple(candidates), recipe, evaluator)] if candidates else []

    def export(self, base_model: Any, architecture: Any, formatter: str) -> Any:
        raise format_refused("small", formatter, [], "it is small")


ALL = frozenset({"inline", "choose", "any-python"})


class TestSmall(EngineContract):
    engine_name = "small"

    @pytest.fixture
    def info(self) -> EngineInfo:
        return EngineInfo("small", "for this test", ALL, Small)


class WithoutChoose(Small):
    def problems(self, base_model: Any, evaluator: Any) -> Iterator[Problem]:
        yield from super().problems(base_model, evaluator)
        if type(base_model).__name__ in ("ChooseSpace", "GeneratorSpace"):
            yield Problem(f"{type(base_model).__name__} can't be read")

    def build(self, base_model: Any, architecture: Any) -> torch.nn.Module:
        if found := tuple(self.problems(base_model, None)):
            raise UnsupportedSpaceError(found)
        return super().build(base_model, architecture)

    def plan(self, base_model: Any, candidates: Any, evaluator: Any) -> Any:
        if found := tuple(self.problems(base_model, evaluator)):
            raise UnsupportedSpaceError(found)
        return super().plan(base_model, candidates, evaluator)


class TestAnEngineWithFewerCapabilities(EngineContract):
    engine_name = "fewer"

    @pytest.fixture
    def info(self) -> EngineInfo:
        return EngineInfo("small", "for this test", frozenset({"inline"}), WithoutChoose)


class Wrapping(Small):
    def build(self, base_model: Any, architecture: Any) -> torch.nn.Module:
        return torch.nn.Sequential(super().build(base_model, architecture))


class Redrawing(Small):
    def build(self, base_model: Any, architecture: Any) -> torch.nn.Module:
        torch.rand(1)
        return super().build(base_model, architecture)


class Scaling(Small):
    def build(self, base_model: Any, architecture: Any) -> torch.nn.Module:
        model = super().build(base_model, architecture)
        model.register_forward_hook(
            lambda m, i, out: out * (1 + 1e-3) if torch.is_tensor(out) else out
        )
        return model


class Keeping(Small):
    def build(self, base_model: Any, architecture: Any) -> torch.nn.Module:
        Space.of(base_model).validate(architecture)
        return copy.deepcopy(base_model)  # type: ignore[no-any-return]


class Sharing(Small):
    def build(self, base_model: Any, architecture: Any) -> torch.nn.Module:
        built = super().build(base_model, architecture)
        for name, module in built.named_children():
            for own, other in zip(
                module.parameters(), getattr(base_model, name).parameters(), strict=False
            ):
                own.data = other.data
        return built


class Lax(Small):
    def build(self, base_model: Any, architecture: Any) -> torch.nn.Module:
        return nas.build(nas.recipe(base_model), architecture)


class Losing(Small):
    def plan(self, base_model: Any, candidates: Any, evaluator: Any) -> Any:
        return super().plan(base_model, candidates[:-1], evaluator)


class FragileJob(SmallJob):
    def run(self, recorder: Recorder) -> Iterator[Result]:
        for result in super().run(recorder):
            if result.failed:
                raise RuntimeError(result.error)
            yield result


class Fragile(Small):
    def plan(self, base_model: Any, candidates: Any, evaluator: Any) -> Any:
        return [FragileJob(tuple(candidates), nas.recipe(base_model), evaluator)]


class UnseededJob(SmallJob):
    def run(self, recorder: Recorder) -> Iterator[Result]:
        for candidate in self.candidates:
            build = functools.partial(nas.build, self.recipe, candidate.architecture)
            noisy = Candidate(candidate.number, candidate.architecture, seed=torch.seed())
            yield nas.run_candidate(noisy, build, self.evaluator, recorder)


class Unseeded(Small):
    def plan(self, base_model: Any, candidates: Any, evaluator: Any) -> Any:
        return [UnseededJob(tuple(candidates), nas.recipe(base_model), evaluator)]


class Bound(Small):
    """Its jobs hold something that can't be sent."""

    def plan(self, base_model: Any, candidates: Any, evaluator: Any) -> Any:
        jobs = super().plan(base_model, candidates, evaluator)
        for job in jobs:
            object.__setattr__(job, "generator", (x for x in ()))
        return jobs


class Raising(Small):
    def problems(self, base_model: Any, evaluator: Any) -> Iterator[Problem]:
        nas.recipe(base_model)
        return iter(())


class Ignoring(Small):
    """Makes what the constructor makes, whatever the model needs besides."""

    def problems(self, base_model: Any, evaluator: Any) -> Iterator[Problem]:
        return iter(())


class Silent(Small):
    def export(self, base_model: Any, architecture: Any, formatter: str) -> Any:
        return None


CAUGHT: list[tuple[type[Small], str, tuple[Any, ...]]] = [
    (Wrapping, "test_state_dict_is_that_of_the_model_written_by_hand", (REFERENCES[0],)),
    (Redrawing, "test_initial_weights_are_those_of_the_model_written_by_hand", (REFERENCES[0],)),
    (
        Scaling,
        "test_equal_weights_give_equal_outputs_gradients_and_buffers",
        (REFERENCES[0],),
    ),
    (Keeping, "test_a_built_model_is_plain_pytorch", (REFERENCES[0],)),
    (Sharing, "test_what_is_built_shares_nothing", (REFERENCES[0],)),
    (Lax, "test_a_wrong_architecture_is_refused", ()),
    (Losing, "test_each_candidate_is_answered_once", (REFERENCES[0],)),
    (Fragile, "test_a_bad_candidate_fails_alone", ("nan",)),
    (Fragile, "test_a_model_that_cannot_be_built_fails_alone", ()),
    (Unseeded, "test_results_are_reproducible", ()),
    (
        Unseeded,
        "test_a_candidate_trains_as_the_model_written_by_hand",
        (REFERENCES[0],),
    ),
    (Bound, "test_jobs_can_be_sent_elsewhere", ()),
    (Fragile, "test_planning_nothing_is_no_work", ()),
    (Raising, "test_an_unusual_model_gets_problems_not_exceptions", (torch.nn.ReLU,)),
    (Ignoring, "test_a_model_that_needs_what_the_engine_lacks_is_refused", ("mutators",)),
    (Silent, "test_other_formats_are_refused_and_engines_named_that_have_them", ()),
    (Silent, "test_an_unknown_format_is_refused", ()),
    (WithoutChoose, "test_state_dict_is_that_of_the_model_written_by_hand", (REFERENCES[-1],)),
]


@pytest.mark.parametrize(("engine", "test", "arguments"), CAUGHT)
def test_a_wrong_engine_is_caught(
    engine: type[Small], test: str, arguments: tuple[Any, ...]
) -> None:
    """The law that a sound engine keeps is broken by one that is wrong in this way."""
    info = EngineInfo("small", "for this test", ALL, engine)
    law = getattr(EngineContract(), test)
    given = {"info": info} if "info" in law.__code__.co_varnames else {}
    names = [n for n in law.__code__.co_varnames if n not in ("self", "engine", "info")]
    given |= dict(zip(names, arguments, strict=False))
    law(engine=Small(), **given)
    with pytest.raises((Exception, pytest.fail.Exception)):
        law(engine=engine(), **given)
