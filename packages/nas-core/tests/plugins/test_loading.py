"""Discovery: what is broken is listed with its reason, and the others work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nas_core as nas
import pytest
from nas_core.errors import PluginError, UnknownEngineError
from nas_core.plugins import BrokenPlugin, load_plugins

IMPORTS = "from nas_core import EngineInfo, hookimpl\n"
INFO = "EngineInfo('mine', 'a summary', frozenset({'inline'}), object)"


def engines_hook(body: str) -> str:
    return f"{IMPORTS}@hookimpl\ndef nas_engines():\n    {body}\n"


BROKEN = {
    "missing import": ("import no_such_module\n", ["ModuleNotFoundError", "no_such_module"]),
    "raising import": ("x = 1\nx / 0\n", ["ZeroDivisionError", "broken_plugin.py:2"]),
    "exiting import": ("raise SystemExit(3)\n", ["SystemExit: 3", "broken_plugin.py:1"]),
    "syntax error": ("def nas_engines(:\n", ["SyntaxError", "broken_plugin.py, line 1"]),
    "unprintable error": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n",
        ["E: ", "broken_plugin.py:3"],
    ),
    "misspelt hook": (
        f"{IMPORTS}@hookimpl\ndef nas_engine():\n    return []\n",
        ["no hook is called 'nas_engine'", "did you mean 'nas_engines'?", "nas_trial_started"],
    ),
    "unknown hook": (
        f"{IMPORTS}@hookimpl\ndef nas_coffee():\n    return []\n",
        ["no hook is called 'nas_coffee'", "hooks: nas_engines"],
    ),
    "hook without prefix": (
        f"{IMPORTS}@hookimpl\ndef engines():\n    return []\n",
        ["unknown hook 'engines'"],
    ),
    "undecorated hook": ("def nas_engines():\n    return []\n", ["nas_engines lacks", "hookimpl"]),
    "misspelt and undecorated": ("def nas_enginse():\n    return []\n", ["'nas_engines'"]),
    "no hooks": ("x = 1\n", ["implements no hook", "nas_engines"]),
    "wrong arguments": (
        f"{IMPORTS}@hookimpl\ndef nas_engines(config):\n    return []\n",
        ["nas_engines is given no 'config' (it is given: nothing)"],
    ),
    "misspelt argument": (
        f"{IMPORTS}@hookimpl\ndef nas_trial_started(experimnt, number):\n    pass\n",
        ["is given no 'experimnt'; did you mean 'experiment'? (it is given: experiment, number"],
    ),
    "raising hook": (engines_hook("raise OSError('no licence')"), ["OSError: no licence", "py:4"]),
    "exiting hook": (engines_hook("raise SystemExit"), ["SystemExit", "py:4"]),
    "raising generator": (engines_hook(f"yield {INFO}; 1 / 0"), ["ZeroDivisionError"]),
    "nothing returned": (engines_hook("pass"), ["nas_engines returned nothing"]),
    "one record": (engines_hook(f"return {INFO}"), ["nas_engines returned EngineInfo", "yield"]),
    "a string": (engines_hook("return 'mine'"), ["nas_engines returned 'mine'"]),
    "a number inside": (engines_hook("return [42]"), ["42, which is no EngineInfo"]),
    "empty name": (engines_hook("yield EngineInfo('', 's', frozenset(), object)"), ["name"]),
    "wrong summary": (engines_hook("yield EngineInfo('a', 3, frozenset(), object)"), ["summary"]),
    "wrong capabilities": (
        engines_hook("yield EngineInfo('a', 's', ['inline'], object)"),
        ["must be a frozenset, not ['inline']"],
    ),
    "misspelt capability": (
        engines_hook("yield EngineInfo('a', 's', frozenset({'inlnie'}), object)"),
        ["'inlnie' is no capability", "did you mean 'inline'?"],
    ),
    "wrong load": (
        engines_hook("yield EngineInfo('a', 's', frozenset(), 'module:f')"),
        ["load of 'a' must be a function"],
    ),
    "own duplicates": (engines_hook(f"return [{INFO}] * 2"), ["two engines named 'mine'"]),
}


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_listed_with_its_reason(kind: str, add: Any) -> None:
    source, reasons = BROKEN[kind]
    add("broken", source)
    found = load_plugins()
    (broken,) = (b for b in found.broken if b.name == "broken")
    assert (broken.distribution, broken.version) == ("broken", "1.2")
    for reason in reasons:
        assert reason in broken.reason
    assert "sound" in found.engines
    assert {record.plugin for record in found.engines.values()}.isdisjoint({"broken"})
    with pytest.raises(PluginError, match=r"plugin 'broken' \(broken 1.2\) is broken: "):
        found.engine("broken")


ENTRIES = {
    "missing module": ("[nas]\nbroken = no_such_plugin\n", "No module named 'no_such_plugin'"),
    "missing attribute": ("[nas]\nbroken = broken_plugin:nothing\n", "no attribute 'nothing'"),
    # The package importlib_metadata, where anything has imported it, refuses to read it.
    "no module at all": (
        "[nas]\nbroken = what is this?\n",
        "neither 'module' nor 'module:object'|entry_points.txt can't be read",
    ),
    "no entry": ("[nas]\nbroken\n", "entry_points.txt can't be read"),
}


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("kind", ENTRIES)
def test_an_entry_point_that_leads_nowhere(kind: str, add: Any) -> None:
    entries, reason = ENTRIES[kind]
    add("broken", "x = 1\n", entries)
    found = load_plugins()
    (broken,) = (b for b in found.broken if b.name == "broken")
    assert re.search(reason, broken.reason)
    assert "sound" in found.engines


@pytest.mark.usefixtures("good")
def test_a_distribution_without_metadata(add: Any) -> None:
    (add("broken", "import no_such_module\n") / "METADATA").unlink()
    found = load_plugins()
    assert "sound" in found.engines
    assert [b.distribution for b in found.broken if b.name == "broken"] == ["unknown"]


@pytest.mark.usefixtures("good")
def test_ctrl_c_is_not_swallowed(add: Any) -> None:
    add("interrupted", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


def test_the_first_distribution_keeps_an_engine_name(add: Any) -> None:
    # Written in the other order, so that it is the name that decides.
    add("zebra", engines_hook(f"yield {INFO}"))
    add("Ant", engines_hook(f"yield {INFO}"))
    found = load_plugins()
    assert found.engines["mine"].distribution == "Ant"
    (broken,) = (b for b in found.broken if b.name == "zebra")
    assert broken == BrokenPlugin(
        "zebra", "zebra", "1.2", "the engine name 'mine' is already taken by plugin 'Ant' (Ant 1.2)"
    )


def test_the_distribution_that_is_named_after_an_engine_has_it(add: Any) -> None:
    add("aaa", engines_hook(f"yield {INFO}"))
    add("nas-engine-zzz", engines_hook(f"yield {INFO}"))
    add("Nas_Engine.mine", engines_hook(f"yield {INFO}"), "[nas]\nown = own_plugin\n")
    Path(sys.path[0], "own_plugin.py").write_text(engines_hook(f"yield {INFO}"))
    found = load_plugins()
    assert found.engines["mine"].distribution == "Nas_Engine.mine"
    reasons = {b.name: b.reason for b in found.broken}
    reason = "the engine name 'mine' belongs to nas-engine-mine, which is installed"
    assert reasons["aaa"] == reasons["nas-engine-zzz"] == reason
    # Whoever wants another one says so.
    found = load_plugins(disabled=["nas-engine-mine"])
    assert found.engines["mine"].distribution == "aaa"


def test_names_to_disable_that_are_misspelt_are_known(add: Any) -> None:
    add("big-gone", "raise SystemExit\n", "[nas]\ngone = big_gone_plugin\n")
    absent = ("nas-engine-elsewhere", "elsewhere")
    assert load_plugins(disabled=["Big_Gone", *absent]).strangers == ()
    assert load_plugins(disabled=["gone", "gnoe", "Big-Gon"]).strangers == (
        "no plugin or distribution is called 'gnoe'; did you mean 'gone'?",
        "no plugin or distribution is called 'Big-Gon'; did you mean 'big-gone'?",
    )


def test_a_plugin_may_be_an_object(add: Any) -> None:
    hook = f"    @hookimpl\n    def nas_engines(self):\n        yield {INFO}\n"
    source = f"{IMPORTS}class P:\n{hook}p = P()\n"
    add("objective", source, "[nas]\nobjective = objective_plugin:p\n")
    record = load_plugins().engines["mine"]
    assert (record.plugin, record.distribution, record.version) == ("objective", "objective", "1.2")


def test_a_distribution_may_have_several_plugins(add: Any) -> None:
    entries = "[console_scripts]\nx = y:z\n[nas]\none = many_plugin\ntwo = no_such_module\n"
    add("many", engines_hook(f"yield {INFO}"), entries)
    found = load_plugins()
    assert found.engines["mine"].plugin == "one"
    assert "two" in {b.name for b in found.broken}


def test_a_shadowed_copy_does_not_count(
    add: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("twice", engines_hook(f"yield {INFO}"))
    older = tmp_path / "older" / "twice-0.1.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: twice\nVersion: 0.1\n")
    (older / "entry_points.txt").write_text("[nas]\ntwice = twice_plugin\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(older.parent)])
    found = load_plugins()
    assert found.engines["mine"].version == "1.2"
    assert "twice" not in {b.name for b in found.broken}


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("name", ["gone", "Big.Gone"])
def test_a_disabled_plugin_is_not_even_imported(name: str, add: Any) -> None:
    add("big-gone", "raise SystemExit\n", "[nas]\ngone = big_gone_plugin\n")
    found = load_plugins(disabled=[name])
    assert [(d.name, d.distribution, d.version) for d in found.disabled] == [
        ("gone", "big-gone", "1.2")
    ]
    assert "gone" not in {b.name for b in found.broken}
    with pytest.raises(PluginError, match="is disabled"):
        found.engine("gone")


@pytest.mark.usefixtures("good")
def test_an_engine_is_loaded_by_name() -> None:
    assert type(nas.engine("sound")).__name__ == "Engine"
    assert nas.engines()["sound"].info.summary == "works"
    with pytest.raises(UnknownEngineError, match="did you mean 'sound'"):
        nas.engine("sond")


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ("lambda: 1 / 0", "can't be loaded: ZeroDivisionError: division by zero"),
        ("lambda: exit(1)", "can't be loaded: SystemExit: 1"),
        ("lambda: None", "returned a NoneType, .* it has no method problems, build, plan, export"),
        ("lambda: EngineInfo", r"returned the class EngineInfo, .* return EngineInfo\(\)"),
    ],
)
def test_an_engine_that_does_not_load_is_one_clear_error(load: str, message: str, add: Any) -> None:
    add("lazy", engines_hook(f"yield EngineInfo('mine', 's', frozenset({{'inline'}}), {load})"))
    assert load_plugins().engines["mine"].plugin == "lazy"
    with pytest.raises(PluginError, match=message) as caught:
        nas.engine("mine")
    assert "engine 'mine' of plugin 'lazy' (lazy 1.2)" in str(caught.value)


def test_discovery_leaves_torch_alone() -> None:
    code = (
        "import sys\n"
        "from nas_core.plugins import load_plugins\n"
        "load_plugins()\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
