"""Engines of strangers: a new one works from end to end, broken ones hurt only themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from functools import partial
from pathlib import Path

import pytest

LIST = """
import json, sys
from nas_core.plugins import load_plugins
plugins = load_plugins()
assert "torch" not in sys.modules
print(json.dumps({
    "engines": {name: record.distribution for name, record in plugins.engines.items()},
    "broken": {b.distribution: b.reason for b in plugins.broken},
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distribution ``nas-engine-demo``, as ``nas new-engine`` writes it."""
    folder = tmp_path_factory.mktemp("demo")
    nas = [sys.executable, "-m", "nas_cli", "new-engine", "demo"]
    subprocess.run(nas, cwd=folder, check=True, capture_output=True)
    return folder / "nas-engine-demo"


@pytest.fixture(scope="module")
def demo(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that has the demo engine, and besides what this one has."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    (site,) = environment.glob("lib/*/site-packages")
    # addsitedir, since the packages of this repository may be here by such files themselves.
    here = sysconfig.get_path("purelib")
    (site / "beside.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    python = environment / "bin" / "python"
    options = "--quiet --no-deps --no-build-isolation --disable-pip-version-check --no-compile"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", *options.split(), folder]
    subprocess.run(pip, check=True)
    return python


def run(python: Path, *arguments: str | Path, cwd: Path, beside: Path | None = None) -> str:
    """What a fresh Python prints, which finds another folder too; its errors fail the test."""
    env = os.environ | ({"PYTHONPATH": str(beside)} if beside else {})
    done = subprocess.run(
        [python, *arguments], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_engine_is_found(demo: Path, tmp_path: Path) -> None:
    found = json.loads(run(demo, "-c", LIST, cwd=tmp_path))
    assert found["engines"]["demo"] == "nas-engine-demo"
    assert found["engines"]["py"] == "nas-engine-py"
    assert found["broken"] == {}


def test_a_new_engine_passes_its_tests(demo: Path, folder: Path, tmp_path: Path) -> None:
    tests = shutil.copytree(folder / "tests", tmp_path / "tests")
    shown = run(demo, "-m", "pytest", "-q", tests, cwd=tmp_path)
    assert re.search(r"^(?!.*(failed|skipped|error))\d{2,} passed", shown, re.MULTILINE), shown


def test_a_new_engine_serves_the_command(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "search.toml").write_text(SEARCH)
    nas = partial(run, demo, "-m", "nas_cli", cwd=tmp_path)
    (listed,) = (e for e in json.loads(nas("list-engines", "--json")) if e["name"] == "demo")
    assert (listed["distribution"], listed["state"]) == ("nas-engine-demo", "ready")
    best = json.loads(nas("run", "search.toml", "--json"))["best"]
    assert [trial["metrics"]["size"] for trial in best] == [10, 15]
    nas("export", "run", "--formatter", "instance", "--output", "best")
    assert (tmp_path / "best" / "trial-0.pt").is_file()


NET = """
import nas_core as nas
import nas_core.nn as nn
from nas_search.evaluators import FunctionEvaluator


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label="width"))

    def forward(self, x):
        return self.layer(x)


def measure(model):
    known = getattr(model, "nas_architecture", {"width": None})["width"]
    return {"size": sum(p.numel() for p in model.parameters()), "known": known or 0}


evaluator = FunctionEvaluator(measure, objectives={"size": "minimize"})
"""

SEARCH = """
name = "run"
model = "net.py:Net"
evaluator = "net.py:evaluator"
execution_engine = "demo"
trial_concurrency = 2
strategy = { name = "grid" }
"""

EXPERIMENT = """
import json, sys
sys.path.insert(0, "")
from nas_search import Experiment, ExperimentConfig
from nas_search.strategies import GridSearch
from net import Net, evaluator

config = ExperimentConfig(name="run", execution_engine=sys.argv[1], executor="inline")
experiment = Experiment(Net(), evaluator, GridSearch(), config)
experiment.run()
best = experiment.export_top_models(top_k=1, formatter="instance")[0]
print(json.dumps([[dict(t.architecture), t.metrics] for t in experiment.trials]))
"""


@pytest.mark.parametrize(("engine", "known"), [("demo", [2.0, 3.0]), ("py", [0.0, 0.0])])
def test_an_engine_runs_an_experiment_beside_broken_plugins(
    engine: str, known: list[float], demo: Path, broken: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(NET)
    shown = run(demo, "-c", EXPERIMENT, engine, cwd=tmp_path, beside=broken)
    assert json.loads(shown.splitlines()[-1]) == [
        [{"width": 2}, {"size": 10.0, "known": known[0]}],
        [{"width": 3}, {"size": 15.0, "known": known[1]}],
    ]


def hook(body: str) -> str:
    return f"from nas_core import EngineInfo, hookimpl\n@hookimpl\ndef nas_engines():\n    {body}\n"


def info(name: str, load: str = "object") -> str:
    return f"EngineInfo({name!r}, 'broken', frozenset({{'inline'}}), {load})"


# Distribution -> its plugin module, its entry point, and what the reason says.
BROKEN = {
    "a-import-error": ("import nothing_like_this", "{module}", "No module named 'nothing_like_th"),
    "a-system-exit": ("raise SystemExit('bye')", "{module}", "SystemExit: bye"),
    "a-wrong-type": (hook("return [42]"), "{module}", "42, which is no EngineInfo"),
    "a-misspelt-hook": (
        hook("return []").replace("nas_engines", "nas_enignes"),
        "{module}",
        "no hook is called 'nas_enignes'; did you mean 'nas_engines'?",
    ),
    # By its name it comes before nas-engine-demo, which has what it is named after.
    "a-duplicate": (
        hook(f"return [{info('demo')}]"),
        "{module}",
        "the engine name 'demo' belongs to nas-engine-demo, which is installed",
    ),
    "a-missing-module": ("", "not_there", "No module named 'not_there'"),
    "a-missing-attribute": ("", "{module}:plugin", "has no attribute 'plugin'"),
    "a-raising-hook": (hook("raise OSError('no licence')"), "{module}", "OSError: no licence"),
}
UNLOADABLE = "a-raising-load"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one distribution for each way of being broken."""
    folder = tmp_path_factory.mktemp("broken")
    late = (hook(f"return [{info('late', 'lambda: 1 / 0')}]"), "{module}", "")
    for name, (source, entry, _) in {**BROKEN, UNLOADABLE: late}.items():
        module = name.replace("-", "_")
        (folder / f"{module}.py").write_text(source + "\n")
        metadata = folder / f"{module}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        target = entry.format(module=module)
        (metadata / "entry_points.txt").write_text(f"[nas]\n{name} = {target}\n")
    return folder


def test_broken_plugins_hurt_only_themselves(demo: Path, broken: Path, tmp_path: Path) -> None:
    found = json.loads(run(demo, "-c", LIST, cwd=tmp_path, beside=broken))
    assert found["engines"] == {
        "demo": "nas-engine-demo",
        "py": "nas-engine-py",
        "late": UNLOADABLE,
    } | {k: v for k, v in found["engines"].items() if v.startswith("nas-engine-")}
    assert found["broken"].keys() == BROKEN.keys()
    for distribution, (_, _, reason) in BROKEN.items():
        assert reason in found["broken"][distribution]


def test_an_engine_that_does_not_load_is_one_clear_error(
    demo: Path, broken: Path, tmp_path: Path
) -> None:
    code = (
        "import nas_core as nas\n"
        "try:\n    nas.engine('late')\n"
        "except nas.NasError as error:\n    print(error)\n"
        "print(type(nas.engine('demo')).__name__)\n"
    )
    shown = run(demo, "-c", code, cwd=tmp_path, beside=broken).splitlines()
    assert shown[0].startswith(
        "engine 'late' of plugin 'a-raising-load' (a-raising-load 1.0) can't be loaded: "
        "ZeroDivisionError: division by zero"
    )
    assert shown[1:] == ["DemoEngine"]
