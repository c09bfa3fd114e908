"""``nas plan`` and ``nas bench-engines``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXPLAINING = """
import nas_core as nas

class Engine:
    def problems(self, base_model, evaluator):
        return iter(())

    def build(self, base_model, architecture):
        return nas.build(base_model, architecture)

    def plan(self, base_model, candidates, evaluator):
        raise SystemExit("nothing is to be run")

    def export(self, base_model, architecture, formatter):
        return dict(architecture)

    def configured(self, **options):
        if options.keys() - {"size"}:
            raise nas.errors.EngineOptionError("talker", min(options), known=["size"])
        made = Engine()
        made.size = options["size"]
        return made

    size = 1

    def explain(self, base_model, candidates, evaluator, formatter):
        lines = [f"{c.number} {c.architecture.to_json()} {c.seed}" for c in candidates]
        return "\\n".join([f"{formatter} {type(evaluator).__name__} {self.size}", *lines, ""])

@nas.hookimpl
def nas_engines():
    abilities = frozenset({"inline", "merged", "explain", "export-dict"})
    yield nas.EngineInfo("talker", "it talks", abilities, Engine)
"""


@pytest.fixture
def talker(add_plugin: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install an engine that says what it is given."""

    def install(source: str = EXPLAINING) -> None:
        monkeypatch.syspath_prepend(add_plugin("talker", source))
        monkeypatch.delitem(sys.modules, "talker_plugin", raising=False)

    return install


@pytest.fixture
def talk(talker: Any, nas: Any, search: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``nas`` beside that engine alone."""
    talker()
    search()
    monkeypatch.setenv("NAS_DISABLE_PLUGINS", "py,cgo,graph")
    return nas


def test_the_engine_is_given_different_candidates_of_the_configuration(talk: Any) -> None:
    result = talk("plan", "search.toml", "--sample", "20", "--seed", "3")
    assert result.exit_code == 0, result.stderr
    head, *lines = result.stdout.splitlines()
    assert head == "text FunctionEvaluator 1"
    assert [line.split()[0] for line in lines] == [str(i) for i in range(20)]
    assert len({line.split(" ", 1)[1].rsplit(" ", 1)[0] for line in lines}) == 20
    assert talk("plan", "search.toml", "--sample", "20", "--seed", "3").stdout == result.stdout
    assert talk("plan", "search.toml", "--sample", "20").stdout != result.stdout


def test_architectures_may_be_given_and_samples_added(talk: Any) -> None:
    given = {"width": 3, "body": "skip"}
    arguments = ("plan", "net.py:Net", "--evaluator", "measure.py:evaluator")
    shown = talk(*arguments, "--arch", json.dumps(given)).stdout.splitlines()
    assert len(shown) == 2
    assert json.loads(shown[1].split(" ", 1)[1].rsplit(" ", 1)[0]) == given
    more = talk(*arguments, "--arch", json.dumps(given), "--sample", "2").stdout.splitlines()
    assert len(more) == 4
    assert more[1] == shown[1]


def test_it_is_written_to_a_file_and_options_reach_the_engine(talk: Any, folder: Path) -> None:
    result = talk(
        *("plan", "search.toml", "--sample", "1", "--format", "html", "--output", "plan.html"),
        *("--set", "execution_engine=talker", "--set", "engine_options.size=7"),
    )
    assert result.stdout == "plan.html\n", result.stderr
    assert (folder / "plan.html").read_text().startswith("html FunctionEvaluator 7\n0 ")


def test_a_dash_is_standard_output(talk: Any, folder: Path) -> None:
    shown = talk("plan", "search.toml", "--sample", "2")
    assert talk("plan", "search.toml", "--sample", "2", "--output", "-").stdout == shown.stdout
    assert not (folder / "-").exists()


def test_no_database_is_loaded_for_it(talk: Any, folder: Path) -> None:
    code = (
        "import sys\n"
        "from nas_cli.main import nas\n"
        "nas(['plan', 'search.toml', '--sample', '1'], standalone_mode=False)\n"
        "assert 'torch' in sys.modules and 'sqlalchemy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["net.py:Net"], 2, "no evaluator: give --evaluator"),
        (
            ["net.py:Net", "--evaluator", "net.py:Net"],
            2,
            "the evaluator must have a method evaluate",
        ),
        (["modelless.toml"], 2, "modelless.toml names no model, as in model ="),
        (["search.toml", "--arch", "{width: 3}"], 2, "'{width: 3}' is no JSON"),
        (["search.toml", "--arch", "[3]"], 2, "'[3]' is no object"),
        (["search.toml", "--arch", '{"widht": 3}'], 2, "did you mean 'width'?"),
        (["search.toml", "--sample", "0"], 2, "no candidates"),
        (["serach.toml"], 2, "serach.toml: can't be read"),
        (["search.toml", "--set", "engine_options.sise=3"], 2, "did you mean 'size'?"),
    ],
)
def test_each_mistake_is_named(talk: Any, arguments: list[str], code: int, message: str) -> None:
    Path("modelless.toml").write_text('name = "none"\nmax_trials = 1\n')
    result = talk("plan", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_without_an_engine_that_explains_it_says_how_to_get_one(
    nas: Any, search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    search()
    monkeypatch.setenv("NAS_DISABLE_PLUGINS", "cgo")
    result = nas("plan", "search.toml")
    assert result.exit_code == 4
    assert "pip install nas-engine-cgo" in result.stderr


def test_an_engine_without_options_refuses_them(nas: Any, search: Any) -> None:
    result = nas("run", search(), "--set", "engine_options.exact=true")
    assert result.exit_code == 2
    assert "engine 'py' has no option 'exact' (it has none)" in result.output
    assert not Path("nas-experiments/sizes/trials.sqlite").exists()


def test_an_option_that_the_engine_does_not_have_is_refused_with_its_line(
    talk: Any, folder: Path
) -> None:
    config = folder / "search.toml"
    text = config.read_text().replace('name = "sizes"', 'name = "sizes"\nexecution_engine="talker"')
    config.write_text(f"{text}[engine_options]\nsise = 3\n")
    line = len(config.read_text().splitlines())
    result = talk("plan", "search.toml")
    assert result.exit_code == 2
    assert f"search.toml:{line}: engine 'talker' has no option 'sise'" in result.stderr


def test_options_go_with_their_engine_when_another_is_set(nas: Any, search: Any) -> None:
    config = search(execution_engine="graph")
    config.write_text(f"{config.read_text()}[engine_options]\nexact = true\n")
    assert nas("run", config, "--set", "execution_engine=py").exit_code == 0


def test_engines_are_compared_on_the_same_candidates(nas: Any, search: Any) -> None:
    search()
    arguments = ("search.toml", "--candidates", "3", "--rounds", "2", "--json")
    result = nas("bench-engines", *arguments)
    assert result.exit_code == 0, result.output
    rows = {row["engine"]: row for row in json.loads(result.stdout)}
    assert rows["py"]["failed"] == 0
    assert rows["py"]["seconds_per_candidate"] > 0
    assert min(row["ratio"] for row in rows.values() if row["ratio"]) == 1
    for row in rows.values():
        assert row["reason"] is None
        assert row["compared_with"] == "py"
        assert row["difference"] == 0


SLOW_TO_LOAD = """
import time
import nas_core as nas
from nas_engine_py.engine import PyEngine

class Engine(PyEngine):
    calls = []

    def plan(self, base_model, candidates, evaluator):
        if not self.calls:
            time.sleep(3)
        self.calls.append(len(candidates))
        return super().plan(base_model, candidates, evaluator)

@nas.hookimpl
def nas_engines():
    yield nas.EngineInfo("talker", "it loads", frozenset({"inline"}), Engine)
"""

TRAINED = """
import torch
from nas_search.evaluators import SupervisedEvaluator

x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
evaluator = SupervisedEvaluator(train=(x, x.sum(1).long() % 2), optimizer="SGD",
                                optimizer_options={"lr": 0.1}, epochs=9, batch_size=8)
"""

TRAINABLE = """
import nas_core as nas
import nas_core.nn as nn

@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, nn.ValueChoice([2, 3], label="width"))

    def forward(self, x):
        return self.layer(x)
"""


def test_what_the_first_step_of_all_loads_is_not_counted(
    talker: Any, nas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    talker(SLOW_TO_LOAD)
    monkeypatch.setenv("NAS_DISABLE_PLUGINS", "cgo,graph")
    Path("small.py").write_text(TRAINABLE + TRAINED)
    subject = ("small.py:Net", "--evaluator", "small.py:evaluator")
    bounds = ("--candidates", "2", "--steps", "2", "--rounds", "1", "--json")
    result = nas("bench-engines", *subject, *bounds)
    assert result.exit_code == 0, result.output
    rows = {row["engine"]: row for row in json.loads(result.stdout)}
    assert 2 * rows["talker"]["seconds_per_candidate"] < 3
    assert rows["talker"]["difference"] == 0
    assert rows["talker"]["failed"] == 0


def test_an_engine_that_cannot_take_part_is_listed_with_its_reason(
    talker: Any, nas: Any, search: Any
) -> None:
    search()
    talker(EXPLAINING.replace("return iter(())", "yield 'it only talks'"))
    result = nas("bench-engines", "search.toml", "--rounds", "1")
    assert result.exit_code == 0, result.stderr
    assert "talker: it only talks" in result.stdout
    assert next(line for line in result.stdout.splitlines() if line.startswith("py "))


def test_a_candidate_that_fails_is_counted(nas: Any, search: Any) -> None:
    search(then="if size > 100: raise ValueError('too large')")
    result = nas("bench-engines", "search.toml", "--rounds", "1", "--candidates", "6", "--json")
    rows = {row["engine"]: row for row in json.loads(result.stdout)}
    assert 0 < rows["py"]["failed"] < 6
    assert "too large" in rows["py"]["reason"]
