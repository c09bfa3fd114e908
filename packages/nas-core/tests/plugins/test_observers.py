"""Observers are told, each on its own."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest
from nas_core import Architecture, hookspecs
from nas_core.observers import Observers, hook_names
from nas_core.plugins import load_plugins

STARTED = {"experiment": "digits", "number": 7, "architecture": Architecture({})}


def told() -> list[int]:
    found: list[int] = importlib.import_module("sound_plugin").told
    return found


@pytest.mark.usefixtures("good")
def test_an_observer_gets_what_it_asks_for() -> None:
    observers = load_plugins().observers
    observers.nas_trial_started(**STARTED)
    observers.nas_experiment_finished(experiment="digits", reason="done")
    assert told() == [7]


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("fault", ["1 / 0", "raise SystemExit"])
def test_an_observer_that_raises_hurts_only_itself(fault: str, add: Any) -> None:
    add("bad", f"import nas_core\n@nas_core.hookimpl\ndef nas_trial_started():\n    {fault}\n")
    observers = load_plugins().observers
    with pytest.warns(RuntimeWarning, match=r"plugin 'bad' \(bad 1.2\) raised in nas_trial_sta"):
        observers.nas_trial_started(**STARTED)
    assert told() == [7]


@pytest.mark.usefixtures("good")
def test_an_observer_may_stop_everything_by_ctrl_c(add: Any) -> None:
    source = "@nas_core.hookimpl\ndef nas_trial_started():\n    raise KeyboardInterrupt\n"
    add("stopping", f"import nas_core\n{source}")
    with pytest.raises(KeyboardInterrupt):
        load_plugins().observers.nas_trial_started(**STARTED)


def test_a_misspelt_hook_is_no_silent_nothing() -> None:
    with pytest.raises(AttributeError, match="did you mean 'nas_trial_started'"):
        Observers(()).nas_trial_startd()
    with pytest.raises(AttributeError):
        Observers(()).anything()


def test_every_hook_is_documented_by_a_plugin() -> None:
    names = list(hook_names())
    assert len(names) == 8
    for name in names:
        text = getattr(hookspecs, name).__doc__
        assert "A complete plugin:" in text
        assert f"def {name}(" in text


def test_every_documented_plugin_is_one() -> None:
    import doctest

    for test in doctest.DocTestFinder().find(hookspecs):
        if not test.name.rpartition(".")[2].startswith("nas_"):
            continue
        scope: dict[str, Any] = {}
        exec("".join(example.source for example in test.examples), scope)
        name = test.name.rpartition(".")[2]
        manager = __import__("pluggy").PluginManager("nas")
        manager.add_hookspecs(hookspecs)
        manager.register(type("Plugin", (), {name: staticmethod(scope[name])})())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            manager.check_pending()
        assert getattr(manager.hook, name).get_hookimpls()
