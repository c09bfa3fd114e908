"""``nas list-engines``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from nas_core import engines

BROKEN = {
    "importless": ("import no_such_module_at_all\n", "no_such_module_at_all"),
    "raising": ("raise RuntimeError('no [bold]licence[/bold]')\n", "no [bold]licence[/bold]"),
    "exiting": ("raise SystemExit(3)\n", "SystemExit"),
    "unparsable": ("def nas_engines(:\n", "SyntaxError"),
    "wrongtype": (
        "import nas_core as nas\n@nas.hookimpl\ndef nas_engines():\n    return [42]\n",
        "EngineInfo",
    ),
    "misspelt": (
        "import nas_core as nas\n@nas.hookimpl\ndef nas_engine():\n    return []\n",
        "nas_engine",
    ),
}


def rows(output: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(output)}


def test_the_default_engine_is_listed(nas: Any) -> None:
    result = nas("list-engines", "--json")
    assert result.exit_code == 0
    py = rows(result.output)["py"]
    assert py["distribution"] == "nas-engine-py"
    assert py["state"] == "ready"
    assert "export-instance" in py["capabilities"]


def test_the_table_names_the_same(nas: Any) -> None:
    output = nas("list-engines").output
    line = next(line for line in output.splitlines() if line.startswith("py "))
    assert "nas-engine-py" in line
    assert "0.1.0" in line
    assert "ready" in line
    assert "inline" in line


def test_torch_is_never_imported(folder: Any) -> None:
    code = (
        "import sys\n"
        "from nas_cli.main import nas\n"
        "nas(['list-engines'], standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'nas_search', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from nas_cli.main import nas\n"
        "nas(['list-engines'], standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'nas_search', 'msgspec'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_listed_with_its_reason(name: str, add_plugin: Any, shell: Any) -> None:
    source, reason = BROKEN[name]
    site = add_plugin(name, source)
    result = shell("list-engines", "--json", PYTHONPATH=str(site))
    assert result.returncode == 0, result.stderr
    found = rows(result.stdout)
    assert found["py"]["state"] == "ready"
    assert found[name]["state"] == "broken"
    assert found[name]["distribution"] == name
    assert found[name]["version"] == "1.0"
    assert reason in found[name]["reason"]

    shown = shell("list-engines", PYTHONPATH=str(site)).stdout
    assert f"{name} is broken: " in shown
    assert reason in shown


def test_a_plugin_that_takes_a_used_name_is_broken(add_plugin: Any, shell: Any) -> None:
    source = (
        "import nas_core as nas\n@nas.hookimpl\ndef nas_engines():\n"
        "    return [nas.EngineInfo('py', 'thief', frozenset(), lambda: None)]\n"
    )
    site = add_plugin("thief", source)
    found = rows(shell("list-engines", "--json", PYTHONPATH=str(site)).stdout)
    assert found["py"]["distribution"] == "nas-engine-py"
    assert found["thief"]["state"] == "broken"
    assert "'py'" in found["thief"]["reason"]
    assert "nas-engine-py" in found["thief"]["reason"]


def test_what_a_plugin_prints_does_not_break_the_json(add_plugin: Any, shell: Any) -> None:
    site = add_plugin("chatty", "import os\nprint('hello')\nos.write(1, b'low level')\n")
    result = shell("list-engines", "--json", PYTHONPATH=str(site))
    assert rows(result.stdout)["py"]["state"] == "ready"
    assert "hello" in result.stderr
    assert "low level" in result.stderr


def test_plugins_are_disabled_by_the_environment(shell: Any) -> None:
    result = shell("list-engines", "--json", NAS_DISABLE_PLUGINS=" py ,")
    assert (result.returncode, result.stderr) == (0, "")
    assert rows(result.stdout)["py"]["state"] == "disabled"
    names = ",".join(record.distribution for record in engines().values())
    shown = shell("list-engines", NAS_DISABLE_PLUGINS=names).stdout
    assert "No engine is ready" in shown
    assert "Disabled by NAS_DISABLE_PLUGINS." in shown


def test_a_misspelt_name_of_a_plugin_is_told_once(shell: Any) -> None:
    result = shell("list-engines", "--json", NAS_DISABLE_PLUGINS="nas-enginepy,py")
    assert result.stderr == (
        "Warning: NAS_DISABLE_PLUGINS: no plugin or distribution is called 'nas-enginepy'; "
        "did you mean 'nas-engine-py'?\n"
    )
    assert rows(result.stdout)["py"]["state"] == "disabled"


def test_no_foreign_plugin_takes_an_engine_from_the_distribution_of_its_name(
    add_plugin: Any, shell: Any
) -> None:
    source = (
        "import nas_core as nas\n@nas.hookimpl\ndef nas_engines():\n"
        "    return [nas.EngineInfo('py', 'thief', frozenset(), lambda: None)]\n"
    )
    site = add_plugin("aardvark", source)
    found = rows(shell("list-engines", "--json", PYTHONPATH=str(site)).stdout)
    assert found["py"]["distribution"] == "nas-engine-py"
    assert found["aardvark"]["state"] == "broken"
    assert "'py' belongs to nas-engine-py" in found["aardvark"]["reason"]


def test_control_characters_never_reach_the_terminal(add_plugin: Any, shell: Any) -> None:
    site = add_plugin("evil", r"raise RuntimeError('\x1b[2J gone')" + "\n")
    shown = shell("list-engines", PYTHONPATH=str(site)).stdout
    assert "\x1b" not in shown
    assert r"\x1b[2J gone" in shown


def test_no_colour_without_a_terminal(shell: Any) -> None:
    assert "\x1b" not in shell("list-engines", TERM="xterm-256color").stdout
    assert os.environ.get("FORCE_COLOR") is None
