"""Plugins on disk, as pip would install them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Add = Callable[..., Path]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Adds a distribution whose plugin is a module with this source."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def add_distribution(
        name: str, source: str = "", entries: str | None = None, version: str = "1.2"
    ) -> Path:
        module = f"{name.replace('-', '_')}_plugin"
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entries or f"[nas]\n{name} = {module}\n")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        return info

    yield add_distribution
    for module in set(sys.modules) - before:
        if module.endswith("_plugin"):
            del sys.modules[module]


@pytest.fixture
def good(add: Add) -> None:
    """A plugin that is in order, beside which the others may break; sorts after most of them."""
    add(
        "sound",
        """
        from nas_core import EngineInfo, hookimpl

        told = []

        class Engine:
            def problems(self, base_model, evaluator): return iter(())
            def build(self, base_model, architecture): return base_model
            def plan(self, base_model, candidates, evaluator): return []
            def export(self, base_model, architecture, formatter): return {}

        @hookimpl
        def nas_engines():
            return [EngineInfo("sound", "works", frozenset({"inline"}), Engine)]

        @hookimpl
        def nas_trial_started(number):
            told.append(number)
        """,
    )
