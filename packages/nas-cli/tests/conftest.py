"""What the tests of ``nas`` share: a fresh folder, installed plugins on disk, the real command."""

from __future__ import annotations

import json
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
            timeout=600,
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


NET = """import nas_core as nas
import nas_core.nn as nn

@nas.model_wrapper
class Net(nn.Module):
    def __init__(self, classes: int = 10):
        super().__init__()
        width = nn.ValueChoice(list(range(2, 12)), label="width")
        deep = nn.Sequential(
            nn.Linear(width, width), nn.Dropout(nn.ValueChoice([0.1, 0.5], label="rate"))
        )
        self.stem = nn.Linear(8, width)
        self.body = nn.LayerChoice({"deep": deep, "skip": nn.Identity()}, label="body")
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(self.stem(x)))
"""

EVALUATOR = """import time
from nas_search.evaluators import FunctionEvaluator

def measure(model, report):
    time.sleep({seconds})
    print("a worker says [red]hello")
    size = sum(p.numel() for p in model.parameters())
    report(0, {{"size": size + 1}})
    {then}
    return {{"size": size, "half": size / 2}}

evaluator = FunctionEvaluator(measure, objectives={{"size": "minimize"}})

from nas_search.executors import local
# Only optimisers need it: without it workers start sooner.
local.PRELOAD[:] = [name for name in local.PRELOAD if name != "torch._dynamo"]
"""


@pytest.fixture
def search(folder: Path) -> Callable[..., Path]:
    """Write a model space of 30 architectures, an evaluator, and the TOML file of a search."""

    def write(seconds: float = 0, then: str = "", **settings: object) -> Path:
        (folder / "net.py").write_text(NET)
        (folder / "measure.py").write_text(EVALUATOR.format(seconds=seconds, then=then))
        chosen = {
            "name": "sizes",
            "model": "net.py:Net",
            "evaluator": "measure.py:evaluator",
            "executor": "inline",
            "max_trials": 4,
        } | settings
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in chosen.items())
        config = folder / "search.toml"
        config.write_text("".join(lines) + '[strategy]\nname = "random"\n')
        return config

    return write
