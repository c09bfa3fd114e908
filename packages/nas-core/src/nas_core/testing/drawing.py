"""Laws of ``draw``, for engines that have the capability ``graph``: whatever labels say."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import re
from typing import Any, cast
from xml.etree import ElementTree

import pytest
import torch

import nas_core.nn as nn
from nas_core import Space, model_wrapper
from nas_core.errors import InvalidArchitectureError, UnsupportedFormatError
from nas_core.protocols import GRAPH_FORMATS, Draws, Engine, EngineInfo
from nas_core.testing.references import Reference
from nas_core.testing.running import served
from nas_core.testing.subject import Subject, each_reference, serves

__all__ = ["DrawingContract"]

HOSTILE = '"];</title><script>alert(1)</script>&lt;\\N\\l<b>\x1b\n'


@model_wrapper
class Hostile(nn.Module):
    """A model whose choice is called as badly as possible."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LayerChoice({"<i>": nn.Linear(4, 4), "-->": nn.Identity()}, label=HOSTILE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


class DrawingContract(Subject):
    """Tests of ``draw``."""

    def test_an_engine_draws_if_and_only_if_it_says_so(
        self, engine: Engine, info: EngineInfo
    ) -> None:
        assert callable(getattr(engine, "draw", None)) == ("graph" in info.capabilities)

    @each_reference
    def test_each_graph_format_is_what_it_says(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if "graph" not in info.capabilities or not serves(engine, info, reference):
            return
        model, draw = reference.model(), cast(Draws, engine).draw
        architecture = Space.of(model).default()
        drawn = {name: draw(model, architecture, name) for name in GRAPH_FORMATS}
        assert all(type(text) is str and text.strip() for text in drawn.values())
        compile(drawn["source"], "drawn.py", "exec")
        assert "digraph" in drawn["dot"]
        assert ElementTree.fromstring(drawn["svg"]).tag.endswith("svg")  # noqa: S314  our own
        assert "<svg" in drawn["html"]
        again = {name: draw(model, architecture, name) for name in ("text", "dot", "source")}
        assert again == {name: drawn[name] for name in again}

    def test_shapes_are_shown_where_inputs_are_given(
        self, engine: Engine, info: EngineInfo
    ) -> None:
        if "graph" not in info.capabilities:
            return
        draw, model = cast(Draws, engine).draw, Hostile()
        architecture = Space.of(model).default()
        inputs = (torch.empty(7, 4, dtype=torch.float32),)
        for name in ("text", "dot", "svg", "html"):
            assert "[7, 4]" in draw(model, architecture, name, inputs)
            assert "[7, 4]" not in draw(model, architecture, name)

    def test_labels_are_text_whatever_they_say(self, engine: Engine, info: EngineInfo) -> None:
        if "graph" not in info.capabilities:
            return
        draw, model = cast(Draws, engine).draw, Hostile()
        architecture = Space.of(model).default()
        svg = draw(model, architecture, "svg")
        shown = "".join(ElementTree.fromstring(svg).itertext())  # noqa: S314  our own
        assert "<script>alert(1)</script>&lt;" in shown
        for picture in (svg, draw(model, architecture, "html")):
            assert "<script>alert" not in picture
            assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", picture)
            assert "\x1b" not in picture

    def test_other_graph_formats_are_refused(self, engine: Engine, info: EngineInfo) -> None:
        if "graph" not in info.capabilities:
            return
        draw, model = cast(Draws, engine).draw, served(engine, info).model()
        architecture: Any = Space.of(model).default()
        with pytest.raises(UnsupportedFormatError, match="did you mean 'html'"):
            draw(model, architecture, "htm")
        with pytest.raises(InvalidArchitectureError, match="no such label"):
            draw(model, {"no such label": 1}, "text")
