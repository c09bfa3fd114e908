"""A format that an engine lacks is refused with the way to get it."""

from __future__ import annotations

import pytest
from nas_core import formats
from nas_core.errors import UnsupportedFormatError
from nas_core.formats import format_refused
from nas_core.plugins import EngineRecord
from nas_core.protocols import EngineInfo


def installed(*infos: tuple[str, str]) -> dict[str, EngineRecord]:
    return {
        name: EngineRecord(EngineInfo(name, "", frozenset({word}), object), "d", "1", name)  # type: ignore[arg-type]
        for name, word in infos
    }


def message(
    formatter: str, records: dict[str, EngineRecord], monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setattr(formats, "engines", lambda: records)
    error = format_refused("py", formatter, ["dict"], "it keeps no source")
    assert isinstance(error, UnsupportedFormatError)
    return str(error)


def test_the_engines_that_can_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    records = installed(("graph", "export-code"), ("py", "export-dict"), ("cgo", "export-code"))
    assert message("code", records, monkeypatch) == (
        "the engine 'py' can't export 'code', only dict: it keeps no source; "
        "installed engines that can: 'cgo', 'graph'"
    )


def test_without_one_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "pip install nas-engine-graph" in message("code", installed(), monkeypatch)
    assert "no installed engine can" in message("instance", installed(), monkeypatch)


def test_a_format_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean 'dict'?" in message("dic", installed(), monkeypatch)
