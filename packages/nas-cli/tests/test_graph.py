"""``nas graph``, with an engine that says what it was asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ENGINE = """
import json
import nas_core as nas

class Engine:
    def problems(self, base_model, evaluator):
        return iter(())

    build = plan = export = problems

    def draw(self, base_model, architecture, formatter, inputs=()):
        shown = [[list(x.shape), str(x.dtype)] for x in inputs]
        return json.dumps([type(base_model).__name__, dict(architecture), formatter, shown])

@nas.hookimpl
def nas_engines():
    yield nas.EngineInfo("artist", "draws", frozenset({"inline", "graph"}), Engine)
"""


@pytest.fixture
def artist(add_plugin: Any, search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that draws, and the model space of the other tests."""
    search()
    monkeypatch.syspath_prepend(add_plugin("artist", ENGINE))
    monkeypatch.setenv("NAS_DISABLE_PLUGINS", "nas-engine-graph,nas-engine-cgo")


@pytest.mark.usefixtures("artist")
def test_the_default_architecture_is_shown_as_text(nas: Any) -> None:
    result = nas("graph", "net.py:Net")
    assert result.exit_code == 0, result.output
    first = {"width": 2, "body": "deep", "rate": 0.1}
    assert json.loads(result.stdout) == ["Net", first, "text", []]
    assert nas("graph", "net.py:Net", "--output", "-").stdout == result.stdout


@pytest.mark.usefixtures("artist")
def test_what_an_architecture_leaves_out_has_its_first_option(nas: Any) -> None:
    for given in ('{"width": 5, "rate": 0.5}', "@arch.json"):
        Path("arch.json").write_text('{"width": 5, "rate": 0.5}')
        result = nas("graph", "net.py:Net", "--arch", given, "--format", "svg")
        assert json.loads(result.stdout)[1:3] == [{"width": 5, "body": "deep", "rate": 0.5}, "svg"]


@pytest.mark.usefixtures("artist")
def test_inputs_have_shapes_and_dtypes(nas: Any) -> None:
    shapes = ("1,3,32,32", "1x8:int64", "4:bool", ":float16")
    arguments = [word for shape in shapes for word in ("--input", shape)]
    result = nas("graph", "net.py:Net", *arguments)
    assert json.loads(result.stdout)[3] == [
        [[1, 3, 32, 32], "torch.float32"],
        [[1, 8], "torch.int64"],
        [[4], "torch.bool"],
        [[], "torch.float16"],
    ]


@pytest.mark.usefixtures("artist")
@pytest.mark.parametrize(
    ("name", "formatter"),
    [("a.svg", "svg"), ("a.HTML", "html"), ("a.dot", "dot"), ("a.py", "source"), ("a", "text")],
)
def test_a_file_is_written_in_the_format_of_its_name(nas: Any, name: str, formatter: str) -> None:
    Path(name).write_text("old")
    result = nas("graph", "net.py:Net", "--output", name)
    assert result.stdout == f"{name}\n"
    assert json.loads(Path(name).read_text())[2] == formatter
    nas("graph", "net.py:Net", "--output", name, "--format", "dot")
    assert json.loads(Path(name).read_text())[2] == "dot"


BAD = {
    ("--arch", "{"): "--arch is not JSON",
    ("--arch", "[1]"): "is a JSON list, not an object",
    ("--arch", "@none.json"): "'none.json' can't be read: No such file",
    ("--arch", '{"widht": 3}'): "unknown label 'widht'; did you mean 'width'?",
    ("--arch", '{"width": 99}'): "'width' is 99, which is not an option",
    ("--arch", '{"body": "skip", "rate": 0.5}'): "'rate'",
    ("--format", "svgg"): "'svgg' is not one of 'text', 'source', 'dot', 'svg', 'html'",
    ("--input", "big"): "'big' is no shape",
    ("--input", "3:float23"): "torch has no dtype 'float23'; did you mean 'float32'?",
    ("--output", "none/a.svg"): "none/a.svg can't be written: No such file or directory",
}


@pytest.mark.usefixtures("artist")
@pytest.mark.parametrize("option", BAD)
def test_bad_input_gets_one_message(nas: Any, option: tuple[str, str]) -> None:
    result = nas("graph", "net.py:Net", *option)
    assert result.exit_code == 2
    assert BAD[option] in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.usefixtures("artist")
def test_only_models_have_graphs(nas: Any) -> None:
    Path("bad.py").write_text(
        "import nas_core as nas\nimport net\nspace = nas.Space.of(net.Net())\n"
    )
    result = nas("graph", "bad.py:space")
    assert result.exit_code == 2
    assert "is a Space: only models have graphs" in result.stderr


@pytest.mark.usefixtures("artist")
def test_an_engine_that_shows_none_is_named_with_those_that_do(nas: Any) -> None:
    result = nas("graph", "net.py:Net", "--engine", "py")
    assert result.exit_code == 4
    assert "the engine 'py' shows no graphs (engines that do: artist)" in result.stderr
    result = nas("graph", "net.py:Net", "--engine", "artits")
    assert result.exit_code == 4
    assert "did you mean 'artist'" in result.stderr


def test_without_such_an_engine_one_is_told_what_to_install(
    nas: Any, search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    search()
    monkeypatch.setenv("NAS_DISABLE_PLUGINS", "nas-engine-graph,nas-engine-cgo")
    result = nas("graph", "net.py:Net")
    assert result.exit_code == 4
    assert "pip install 'nas-engine-graph[draw]'" in result.stderr


@pytest.mark.usefixtures("artist")
def test_an_engine_that_claims_graphs_but_has_none_is_broken(
    nas: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = folder / "site" / "artist_plugin.py"
    plugin.write_text(ENGINE.replace("def draw", "def drow"))
    monkeypatch.delitem(sys.modules, "artist_plugin", raising=False)
    result = nas("graph", "net.py:Net")
    assert result.exit_code == 4
    assert "it has no method draw" in result.stderr


@pytest.mark.usefixtures("artist")
def test_a_file_of_another_kind_is_not_written(nas: Any) -> None:
    result = nas("graph", "net.py:Net", "--output", "a.pdf")
    assert result.exit_code == 2
    assert "'.pdf': give --format, or a name that ends with .txt, .py, .dot" in result.stderr
    assert not Path("a.pdf").exists()
    assert nas("graph", "net.py:Net", "--output", "a.pdf", "--format", "svg").exit_code == 0


@pytest.mark.usefixtures("artist")
def test_a_configuration_knows_what_is_the_evaluators(nas: Any) -> None:
    with Path("net.py").open("a") as file:
        file.write(
            "\nfrom nas_search.evaluators import FunctionEvaluator\n"
            "lr = nn.ValueChoice([0.1, 0.2], label='lr')\n"
            "trained = FunctionEvaluator(lambda model, lr: lr, lr=lr)\n"
        )
    Path("trained.toml").write_text('model = "net.py:Net"\nevaluator = "net.py:trained"\n')
    Path("arch.json").write_text('{"width": 5, "body": "skip", "lr": 0.2}')
    result = nas("graph", "trained.toml", "--arch", "@arch.json")
    assert json.loads(result.stdout)[1] == {"width": 5, "body": "skip"}
    alone = nas("graph", "net.py:Net", "--arch", "@arch.json")
    assert alone.exit_code == 2
    assert "unknown label 'lr'; if it is the evaluator's, name the TOML file" in alone.stderr
