"""Laws of ``problems`` and ``build``: what an engine builds is the model written by hand."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import copy

import cloudpickle  # type: ignore[import-untyped]
import pytest
import torch

import nas_core.nn as nn
from nas_core import Space
from nas_core.errors import InvalidArchitectureError, UnsupportedSpaceError
from nas_core.plugins import engines
from nas_core.protocols import CAPABILITIES, Engine, EngineInfo
from nas_core.testing.evaluators import CountParameters
from nas_core.testing.references import REFERENCES, Reference
from nas_core.testing.subject import Subject, architectures, each_reference, run_model, serves

__all__ = ["BuildingContract"]

OPEN = (nn.LayerChoice, nn.InputChoice, nn.Repeat)


class Undecorated(nn.Module):
    """A model space whose class does not record how it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label="width"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class BuildingContract(Subject):
    """Tests of ``EngineInfo``, ``problems`` and ``build``."""

    def test_the_info_says_what_the_engine_can(self, info: EngineInfo) -> None:
        assert info.name
        assert info.summary
        assert info.capabilities <= set(CAPABILITIES)
        assert info.capabilities & {"inline", "choose", "mutators"}, "it serves no kind of choice"

    @each_reference
    def test_a_model_is_served_or_refused_with_a_reason(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        model, evaluator = reference.model(), CountParameters()
        if serves(engine, info, reference):
            assert engine.build(model, Space.of(model).default()) is not model
            return
        for problem in engine.problems(model, evaluator):
            assert problem.message
        with pytest.raises(UnsupportedSpaceError):
            engine.build(model, Space.of(model).default())
        with pytest.raises(UnsupportedSpaceError):
            engine.plan(model, (), evaluator)

    @each_reference
    def test_state_dict_is_that_of_the_model_written_by_hand(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not serves(engine, info, reference):
            return
        model = reference.model()
        for architecture in architectures(reference):
            built = engine.build(model, architecture).state_dict()
            by_hand = reference.by_hand(architecture).state_dict()
            assert list(built) == list(by_hand)
            assert {k: v.shape for k, v in built.items()} == {
                k: v.shape for k, v in by_hand.items()
            }

    @each_reference
    def test_equal_weights_give_equal_outputs_gradients_and_buffers(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not serves(engine, info, reference):
            return
        model = reference.model()
        for architecture in architectures(reference):
            built, by_hand = engine.build(model, architecture), reference.by_hand(architecture)
            built.load_state_dict(by_hand.state_dict())
            for training in (True, False):
                results = [
                    run_model(m.train(training), reference.inputs()) for m in (built, by_hand)
                ]
                torch.testing.assert_close(*results)
            torch.testing.assert_close(built.state_dict(), by_hand.state_dict())

    @each_reference
    def test_initial_weights_are_those_of_the_model_written_by_hand(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not (self.initial_weights_as_written and serves(engine, info, reference)):
            return
        model = reference.model()
        for architecture in architectures(reference):
            torch.manual_seed(3)
            built, after = engine.build(model, architecture), torch.rand(())
            torch.manual_seed(3)
            by_hand, after_by_hand = reference.by_hand(architecture), torch.rand(())
            torch.testing.assert_close(built.state_dict(), by_hand.state_dict(), rtol=0, atol=0)
            assert after == after_by_hand, "building drew other random numbers"

    @each_reference
    def test_a_built_model_is_plain_pytorch(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not serves(engine, info, reference):
            return
        model = reference.model()
        for architecture in architectures(reference):
            built = engine.build(model, architecture)
            assert [m for m in built.modules() if isinstance(m, OPEN)] == []
            assert Space.of(built).labels == ()
            for twin in (copy.deepcopy(built), cloudpickle.loads(cloudpickle.dumps(built))):
                torch.testing.assert_close(
                    run_model(twin, reference.inputs()), run_model(built, reference.inputs())
                )

    @each_reference
    def test_what_is_built_shares_nothing(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not serves(engine, info, reference):
            return
        model = reference.model()
        before = copy.deepcopy(model.state_dict())
        architecture = Space.of(model).default()
        built = [engine.build(model, architecture) for _ in range(2)]
        storages = [
            {x.data_ptr() for x in m.state_dict(keep_vars=True).values() if x.numel()}
            for m in (model, *built)
        ]
        assert sum(map(len, storages)) == len(set().union(*storages))
        torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)

    @pytest.mark.parametrize("need", ["mutators", "merged"])
    def test_a_model_that_needs_what_the_engine_lacks_is_refused(
        self, engine: Engine, info: EngineInfo, need: str
    ) -> None:
        if need in info.capabilities:
            return
        model = type("Needing", (Undecorated,), {"nas_needs": need})()
        (problem,) = engine.problems(model, CountParameters())
        with pytest.raises(UnsupportedSpaceError):
            engine.build(model, Space.of(model).default())
        assert repr(need) in problem.message
        able = [name for name, e in engines().items() if need in e.info.capabilities]
        assert all(repr(name) in problem.message for name in able)

    def test_a_wrong_architecture_is_refused(self, engine: Engine, info: EngineInfo) -> None:
        reference = next(r for r in REFERENCES if serves(engine, info, r))
        model = reference.model()
        architecture = Space.of(model).default()
        label = next(iter(architecture))
        for named, wrong in (
            ("no such label", {**architecture, "no such label": 1}),
            (label, {**architecture, label: "no such option"}),
            (label, {k: v for k, v in architecture.items() if k != label}),
        ):
            with pytest.raises(InvalidArchitectureError, match=named):
                engine.build(model, wrong)

    @pytest.mark.parametrize("make", [Undecorated, lambda: torch.nn.Linear(2, 2)])
    def test_an_unusual_model_gets_problems_not_exceptions(
        self, engine: Engine, make: object
    ) -> None:
        assert callable(make)
        model = make()
        architecture = Space.of(model).default()
        if not tuple(engine.problems(model, CountParameters())):
            assert isinstance(engine.build(model, architecture), torch.nn.Module)
            return
        with pytest.raises(UnsupportedSpaceError) as caught:
            engine.build(model, architecture)
        assert type(model).__name__ in str(caught.value)
