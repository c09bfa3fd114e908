"""Engines of strangers: a sound one works from end to end, broken ones hurt only themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parent / "third_party" / "nas-engine-demo"

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
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the demo engine from its own project."""
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(DEMO, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = "--quiet --no-deps --no-build-isolation --disable-pip-version-check --no-compile"
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", *options.split(), "--target", target, source]
    subprocess.run(pip, check=True)
    return target


def python(*arguments: str | Path, paths: tuple[Path, ...], cwd: Path) -> str:
    """What a fresh Python prints that finds these folders; its errors fail the test."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run(
        [sys.executable, *arguments], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_engine_is_found(site: Path, tmp_path: Path) -> None:
    found = json.loads(python("-c", LIST, paths=(site,), cwd=tmp_path))
    assert found["engines"]["demo"] == "nas-engine-demo"
    assert found["engines"]["py"] == "nas-engine-py"
    assert found["broken"] == {}


def test_an_installed_engine_passes_the_contract(site: Path, tmp_path: Path) -> None:
    tests = shutil.copytree(DEMO / "tests", tmp_path / "tests")
    shown = python("-m", "pytest", "-q", tests, paths=(site,), cwd=tmp_path)
    assert "failed" not in shown
    assert "skipped" not in shown
    assert " passed" in shown


EXPERIMENT = """
import json, sys
from pathlib import Path

Path("net.py").write_text('''
import nas_core as nas
import nas_core.nn as nn


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label="width"))

    def forward(self, x):
        return self.layer(x)


def measure(model):
    known = getattr(model, "architecture", {"width": None})["width"]
    return {"size": sum(p.numel() for p in model.parameters()), "known": known or 0}
''')
sys.path.insert(0, "")
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.strategies import GridSearch
from net import Net, measure

config = ExperimentConfig(name="run", execution_engine=sys.argv[1], executor="inline")
evaluator = FunctionEvaluator(measure, objectives={"size": "minimize"})
experiment = Experiment(Net(), evaluator, GridSearch(), config)
experiment.run()
best = experiment.export_top_models(top_k=1, formatter="instance")[0]
print(json.dumps([[dict(t.architecture), t.metrics] for t in experiment.trials]))
"""


@pytest.mark.parametrize(("engine", "known"), [("demo", [2.0, 3.0]), ("py", [0.0, 0.0])])
def test_an_engine_runs_an_experiment_beside_broken_plugins(
    engine: str, known: list[float], site: Path, broken: Path, tmp_path: Path
) -> None:
    shown = python("-c", EXPERIMENT, engine, paths=(site, broken), cwd=tmp_path)
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
    # By its name it comes after nas-engine-demo, which keeps what it has.
    "z-duplicate": (
        hook(f"return [{info('demo')}]"),
        "{module}",
        "the engine name 'demo' is already taken by plugin 'demo' (nas-engine-demo 1.0)",
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


def test_broken_plugins_hurt_only_themselves(site: Path, broken: Path, tmp_path: Path) -> None:
    found = json.loads(python("-c", LIST, paths=(site, broken), cwd=tmp_path))
    assert found["engines"] == {
        "demo": "nas-engine-demo",
        "py": "nas-engine-py",
        "late": UNLOADABLE,
    } | {k: v for k, v in found["engines"].items() if v.startswith("nas-engine-")}
    assert found["broken"].keys() == BROKEN.keys()
    for distribution, (_, _, reason) in BROKEN.items():
        assert reason in found["broken"][distribution]


def test_an_engine_that_does_not_load_is_one_clear_error(
    site: Path, broken: Path, tmp_path: Path
) -> None:
    code = (
        "import nas_core as nas\n"
        "try:\n    nas.engine('late')\n"
        "except nas.NasError as error:\n    print(error)\n"
        "print(type(nas.engine('demo')).__name__)\n"
    )
    shown = python("-c", code, paths=(site, broken), cwd=tmp_path).splitlines()
    assert shown[0].startswith(
        "engine 'late' of plugin 'a-raising-load' (a-raising-load 1.0) can't be loaded: "
        "ZeroDivisionError: division by zero"
    )
    assert shown[1:] == ["DemoEngine"]
