"""What the tests of ``nas`` share: a fresh folder, installed plugins on disk, the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nas_cli.main import nas as nas_group

Invoke = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]
AddPlugin = Callable[..., Path]

NAS = Path(sys.executable).with_name("nas")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own, without settings of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("NAS_DISABLE_PLUGINS", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def nas() -> Invoke:
    """The command in this process: output and exit code of ``nas("top", "digits")``."""
    return lambda *args: CliRunner().invoke(nas_group, [str(arg) for arg in args], prog_name="nas")


@pytest.fixture
def shell(folder: Path) -> Shell:
    """The installed command in a process of its own."""

    def run(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [NAS, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=50,
            cwd=folder,
            env=os.environ | env,
            check=False,
        )

    return run


@pytest.fixture
def add_plugin(folder: Path) -> AddPlugin:
    """Put a distribution with one plugin module on disk, as pip would; answers its site folder."""

    def add(name: str, source: str) -> Path:
        site = folder / "site"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[nas]\n{name} = {name}_plugin\n")
        (site / f"{name}_plugin.py").write_text(source)
        return site

    return add
