"""Laws of ``export``: the formats that an engine claims work, the others are refused helpfully."""

from __future__ import annotations

import json

import pytest
import torch

from nas_core import Space
from nas_core.errors import InvalidArchitectureError, UnsupportedFormatError
from nas_core.plugins import load_plugins
from nas_core.protocols import FORMATS, Engine, EngineInfo
from nas_core.testing.references import Reference
from nas_core.testing.running import served
from nas_core.testing.subject import Subject, architectures, each_reference, serves

__all__ = ["ExportingContract"]


class ExportingContract(Subject):
    """Tests of ``export``."""

    @each_reference
    def test_each_format_gives_what_it_promises(
        self, engine: Engine, info: EngineInfo, reference: Reference
    ) -> None:
        if not serves(engine, info, reference):
            return
        model = reference.model()
        for architecture in architectures(reference):
            by_hand = reference.by_hand(architecture)
            if "export-dict" in info.capabilities:
                found = engine.export(model, architecture, "dict")
                assert type(found) is dict
                assert architecture == json.loads(json.dumps(found))
            if "export-instance" in info.capabilities:
                instance = engine.export(model, architecture, "instance")
                assert isinstance(instance, torch.nn.Module)
                assert list(instance.state_dict()) == list(by_hand.state_dict())
            if "export-code" in info.capabilities:
                source = engine.export(model, architecture, "code")
                assert isinstance(source, str)
                assert source == engine.export(model, architecture, "code")
                compile(source, "exported.py", "exec")

    def test_other_formats_are_refused_and_engines_named_that_have_them(
        self, engine: Engine, info: EngineInfo
    ) -> None:
        model = served(engine, info).model()
        architecture = Space.of(model).default()
        for formatter in FORMATS:
            if f"export-{formatter}" in info.capabilities:
                continue
            with pytest.raises(UnsupportedFormatError) as caught:
                engine.export(model, architecture, formatter)
            message = str(caught.value)
            assert info.name in message
            assert formatter in message
            for name, record in load_plugins().engines.items():
                able = f"export-{formatter}" in record.info.capabilities
                assert not able or repr(name) in message

    def test_an_unknown_format_is_refused(self, engine: Engine, info: EngineInfo) -> None:
        model = served(engine, info).model()
        with pytest.raises(UnsupportedFormatError, match="did you mean 'instance'"):
            engine.export(model, Space.of(model).default(), "instanec")

    def test_a_wrong_architecture_is_not_exported(self, engine: Engine, info: EngineInfo) -> None:
        model = served(engine, info).model()
        for formatter in FORMATS:
            if f"export-{formatter}" in info.capabilities:
                with pytest.raises(InvalidArchitectureError):
                    engine.export(model, {"no such label": 1}, formatter)
