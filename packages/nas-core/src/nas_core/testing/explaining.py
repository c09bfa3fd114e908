"""Laws of what an engine may have besides: options, and saying what it would do."""

from __future__ import annotations

import random

import pytest
import torch

from nas_core.errors import EngineOptionError, UnsupportedFormatError
from nas_core.plugins import load_plugins
from nas_core.protocols import EXPLANATIONS, Configurable, Engine, EngineInfo, Explains
from nas_core.testing.evaluators import Fit
from nas_core.testing.running import served
from nas_core.testing.subject import Subject, candidates

__all__ = ["ExplainingContract"]


class ExplainingContract(Subject):
    """Tests of ``configured`` and ``explain``."""

    def test_an_unknown_option_is_refused(self, engine: Engine) -> None:
        if isinstance(engine, Configurable):
            with pytest.raises(EngineOptionError, match="no option 'no_such_option'"):
                engine.configured(no_such_option=1)
        elif self.engine_name in load_plugins().engines:
            with pytest.raises(EngineOptionError, match="it has none"):
                load_plugins().engine(self.engine_name, no_such_option=1)

    def test_it_explains_if_it_says_so(self, engine: Engine, info: EngineInfo) -> None:
        assert isinstance(engine, Explains) == ("explain" in info.capabilities)

    def test_explanations_name_every_candidate_and_change_nothing(
        self, engine: Engine, info: EngineInfo
    ) -> None:
        if not isinstance(engine, Explains):
            return
        reference = served(engine, info)
        model, chosen, evaluator = reference.model(), candidates(reference), Fit(reference.inputs)
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        states = torch.get_rng_state(), random.getstate()
        for formatter in EXPLANATIONS:
            text = engine.explain(model, chosen, evaluator, formatter)
            assert all(str(candidate.number) in text for candidate in chosen), formatter
        assert torch.equal(states[0], torch.get_rng_state())
        assert states[1] == random.getstate()
        assert all(torch.equal(weights[name], now) for name, now in model.state_dict().items())

    def test_source_is_python_and_a_page_needs_nothing_from_elsewhere(
        self, engine: Engine, info: EngineInfo
    ) -> None:
        if not isinstance(engine, Explains):
            return
        reference = served(engine, info)
        given = reference.model(), candidates(reference), Fit(reference.inputs)
        compile(engine.explain(*given, "source"), "explained.py", "exec")
        page = engine.explain(*given, "html").lower()
        assert page.startswith("<!doctype html>")
        shown = page.replace("http://www.w3.org/", "")  # What SVG is, not where something lies.
        assert not any(outside in shown for outside in ("http:", "https:", "src=", "<link"))
        assert engine.explain(*given, "svg").startswith("<svg")

    def test_an_unknown_explanation_is_refused(self, engine: Engine, info: EngineInfo) -> None:
        if isinstance(engine, Explains):
            reference = served(engine, info)
            with pytest.raises(UnsupportedFormatError, match="did you mean 'source'"):
                engine.explain(reference.model(), [], Fit(reference.inputs), "sorce")
