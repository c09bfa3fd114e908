"""``nas space``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest


def test_choices_conditions_size_and_a_sample(nas: Any, search: Any) -> None:
    search()
    result = nas("space", "net.py:Net")
    assert result.exit_code == 0, result.output
    assert "architectures: 30" in result.output
    rate = next(line for line in result.output.splitlines() if line.startswith("rate"))
    assert "0.1 | 0.5" in rate
    assert "body = deep" in rate
    assert "sample: width=" in result.output


def test_json_says_the_same_and_samples_repeat(nas: Any, search: Any) -> None:
    search()
    arguments = ("space", "net.py:Net", "--json", "--sample", "3", "--seed", "7")
    found = json.loads(nas(*arguments).stdout)
    assert found["size"] == 30
    assert [choice["label"] for choice in found["choices"]] == ["width", "body", "rate"]
    assert found["choices"][2]["conditions"] == [{"body": ["deep"]}]
    assert found["choices"][2]["place"].endswith("net.py:10")
    assert len(found["samples"]) == 3
    assert json.loads(nas(*arguments).stdout) == found
    others = json.loads(nas(*arguments[:-1], "8").stdout)
    assert others["samples"] != found["samples"]


def test_what_the_model_file_prints_is_not_in_the_json(shell: Any, search: Any) -> None:
    search()
    model = Path("net.py")
    model.write_text("import os\nprint('hi')\nos.system('echo low')\n" + model.read_text())
    result = shell("space", "net.py:Net", "--json")
    assert json.loads(result.stdout)["size"] == 30
    assert "hi" in result.stderr
    assert "low" in result.stderr


def test_hostile_labels_are_shown_as_they_are(nas: Any, folder: Path) -> None:
    (folder / "hostile.py").write_text(
        "import nas_core.nn as nn\n"
        "def net():\n"
        "    options = ['[/red]', ':smile:']\n"
        "    layers = {name: nn.Identity() for name in options}\n"
        "    return nn.Sequential(nn.LayerChoice(layers, label='[bold]x[/] \\x1b[31m'))\n"
    )
    output = nas("space", "hostile.py:net").output
    assert r"[bold]x[/] \x1b[31m" in output
    assert '"[/red]" | ":smile:"' in output
    assert "\x1b" not in output


BAD_TARGETS = {
    "net": "neither 'module:attribute' nor 'path/to/file.py:attribute'",
    "net.py:Nett": "did you mean 'Net'?",
    "nett.py:Net": "did you mean 'net.py'?",
    "no_such_module:Net": "there is no module 'no_such_module'",
    "bad.py:number": "is a int without choices",
    "bad.py:Needs": "can't be made without arguments",
    "bad.py:broken": "bad.py:6: ZeroDivisionError: division by zero",
    "syntax.py:f": "SyntaxError",
    "imports.py:f": "No module named 'no_such_thing' (imports.py:1)",
    "exits.py:f": "SystemExit",
    "conflict.py:net": "label 'w' is used for two different choices",
}


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_a_bad_target_gets_one_message(target: str, nas: Any, search: Any, folder: Path) -> None:
    search()
    (folder / "bad.py").write_text(
        "number = 3\nclass Needs:\n    def __init__(self, x):\n        pass\n"
        "def broken():\n    return 1 / 0\n"
    )
    (folder / "syntax.py").write_text("def f(:\n")
    (folder / "imports.py").write_text("import no_such_thing\n")
    (folder / "exits.py").write_text("raise SystemExit(0)\n")
    (folder / "conflict.py").write_text(
        "import nas_core.nn as nn\n"
        "def net():\n"
        "    one = nn.Linear(4, nn.ValueChoice([2, 3], label='w'))\n"
        "    two = nn.Linear(4, nn.ValueChoice([2, 4], label='w'))\n"
        "    return nn.Sequential(one, two)\n"
    )
    result = nas("space", target)
    assert result.exit_code == 2
    assert BAD_TARGETS[target] in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_a_configuration_has_the_choices_of_its_evaluator(nas: Any, folder: Path) -> None:
    (folder / "net.py").write_text(
        "import nas_core as nas\nimport nas_core.nn as nn\n"
        "from nas_search.evaluators import FunctionEvaluator\n"
        "net = nn.Linear(4, nn.ValueChoice([2, 3], label='w'))\n"
        "lr = nn.ValueChoice([0.1, 0.2, 0.3], label='lr')\n"
        "evaluator = FunctionEvaluator(lambda model, lr: lr, lr=lr)\n"
    )
    (folder / "search.toml").write_text('model = "net.py:net"\nevaluator = "net.py:evaluator"\n')
    (folder / "model.toml").write_text('model = "net.py:net"\n')
    (folder / "none.toml").write_text('evaluator = "net.py:evaluator"\n')
    found = [
        json.loads(nas("space", f"{name}.toml", "--json").stdout) for name in ("search", "model")
    ]
    assert [part["size"] for part in found] == [6, 2]
    assert "none.toml names no model" in nas("space", "none.toml").stderr


def test_a_rule_that_only_choose_makes_is_not_told(nas: Any, folder: Path) -> None:
    (folder / "net.py").write_text(
        "import nas_core as nas\nimport nas_core.nn as nn\n\n"
        "@nas.model_wrapper\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.body = nn.Linear(4, nas.choose([2, 3], label='w'))\n"
        "space = nas.Space.of(Net()).constrain(lambda arch: True, 'told')\n"
    )
    assert "where" not in nas("space", "net.py:Net").output
    assert "where told" in nas("space", "net.py:space").output


def test_a_space_with_too_many_ways_is_shown_as_far_as_it_is_known(nas: Any, folder: Path) -> None:
    (folder / "net.py").write_text(
        "import nas_core as nas\nimport nas_core.nn as nn\n\n"
        "@nas.model_wrapper\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        for i in range(30):\n"
        "            if nas.choose([False, True], label=f'layer{i}'):\n"
        "                setattr(self, f'layer{i}', nn.Identity())\n"
    )
    shown = nas("space", "net.py:Net").output
    assert "architectures: too large to count" in shown
    assert re.search(r"layer29 +choose +false \| true +\?", shown)
    assert "there may be further choices" in shown
    told = json.loads(nas("space", "net.py:Net", "--json").stdout)
    assert (told["size"], told["complete"], len(told["choices"])) == (None, False, 30)
    assert told["choices"][3]["conditions"] is None
    assert len(told["samples"][0]) == 30


def test_a_file_in_a_package_may_import_relative_to_it(nas: Any, folder: Path) -> None:
    package = folder / "networks_of_test_space"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "widths.py").write_text("WIDTHS = [2, 3, 4]\n")
    (package / "net.py").write_text(
        "import nas_core.nn as nn\nfrom .widths import WIDTHS\n"
        "net = nn.Linear(4, nn.ValueChoice(WIDTHS, label='width'))\n"
    )
    shown = nas("space", "networks_of_test_space/net.py:net").output
    assert "architectures: 3" in shown
    assert nas("space", "networks_of_test_space.net:net").output == shown
