"""``nas run`` and ``nas resume`` in this process: what they print, and what bad input gets."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from nas_search import ConfigError  # noqa: F401  the search is imported once, before the tests


def test_a_run_prints_a_line_per_trial_and_the_best(nas: Any, search: Any) -> None:
    search(name="[red]sizes")
    result = nas("run", "search.toml")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert sum(line.startswith("[") and " completed in " in line for line in lines) == 4
    assert lines[0].startswith(("[1/4] trial 0 completed in ", "a worker says [red]hello"))
    assert any(line.startswith("trial  size \u2193") for line in lines)
    assert "Ended: all 4 trials are done." in lines
    assert "nas export '[red]sizes'" in result.stdout
    assert "\x1b" not in result.output


def test_json_is_alone_on_standard_output(nas: Any, search: Any) -> None:
    search()
    result = nas("run", "search.toml", "--json")
    found = json.loads(result.stdout)
    assert found["completed"] == 4
    assert found["failed"] == found["running"] == 0
    assert found["objectives"] == {"size": "minimize"}
    sizes = [trial["metrics"]["size"] for trial in found["best"]]
    assert sizes == sorted(sizes)
    assert "a worker says [red]hello" in result.stderr
    assert "[4/4] trial 3" in result.stderr


def test_options_and_set_change_the_configuration(nas: Any, search: Any, folder: Path) -> None:
    search(max_trials=1)
    arguments = ("--max-trials", "3", "--name", "other", "--directory", folder / "elsewhere")
    settings = ("--set", "seed=5", "--set", "strategy.name=grid")
    result = nas("run", "search.toml", *arguments, *settings, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["completed"] == 3
    database = sqlite3.connect(folder / "elsewhere" / "other" / "trials.sqlite")
    facts = dict(database.execute("SELECT name, value FROM facts"))
    database.close()
    config = json.loads(facts["config"])
    assert (config["seed"], config["strategy"]["name"]) == (5, "grid")


def test_a_strategy_by_another_name_drops_the_options_of_the_first(nas: Any, search: Any) -> None:
    config = search()
    config.write_text(config.read_text().replace('"random"', '"regularized_evolution"'))
    config.write_text(config.read_text() + "population_size = 4\nsample_size = 2\n")
    assert nas("run", "search.toml", "--set", "strategy.name=random").exit_code == 0
    kept = ("--name", "b", "--set", "strategy.population_size=3")
    assert nas("run", "search.toml", *kept).exit_code == 0
    wrong = nas("run", "search.toml", "--name", "c", "--set", "strategy.populaton_size=3")
    assert wrong.exit_code == 2
    assert "did you mean 'population_size'?" in wrong.stderr


def test_a_resume_may_be_run_in_another_way_but_is_the_same_search(nas: Any, search: Any) -> None:
    search()
    nowhere = ("--set", "executor=dask", "--set", "executor_options.address=tcp://127.0.0.1:1")
    soon = ("--set", "executor_options.patience=0.5")
    failed = nas("run", "search.toml", "--name", "a", *nowhere, *soon)
    assert failed.exit_code == 1
    assert "has not answered in 0.5 s" in failed.stderr
    for setting, message in (("seed=2", "keeps its 'seed'"), ("executr=x", "mean 'executor'?")):
        refused = nas("resume", "a", "--set", setting)
        assert refused.exit_code == 2
        assert message in refused.stderr
    assert nas("resume", "a", "--set", "executor=local").exit_code == 0


BAD_SETTINGS = {
    "max_trails=3": "unknown key 'max_trails'; did you mean 'max_trials'?",
    "max_trials=many": "Expected `int`, got `str`",
    "max_trials=0": "max_trials must be a whole number >= 1, not 0",
    "seed.x=1": "unknown key 'seed.x'",
    "root=/": "unknown key 'root'",
    "file=x.toml": "unknown key 'file'",
    "max_trials": "is not of the form key=value",
    "executor=locl": "locl",
    "strategy.name=gird": "did you mean 'grid'?",
    "model=net.py:Nett": "did you mean 'Net'?",
    "evaluator=nope:x": "there is no module 'nope'",
    "name=../x": "name must be usable as the name of a folder",
    'name="a\\nb/c"': "name must be usable as the name of a folder",
}


@pytest.mark.parametrize("setting", BAD_SETTINGS)
def test_a_bad_setting_is_refused_before_anything_starts(
    setting: str, nas: Any, search: Any
) -> None:
    search()
    result = nas("run", "search.toml", "--set", setting)
    assert result.exit_code == 2
    assert BAD_SETTINGS[setting] in result.stderr
    assert "Traceback" not in result.output
    assert not Path("nas-experiments").exists()


def test_what_an_option_of_its_own_says_is_not_taken_for_set(nas: Any, search: Any) -> None:
    result = nas("run", search(), "--name", "")
    assert result.exit_code == 2
    assert "Error: Invalid value: name must be usable as the name of a folder" in result.stderr


BAD_FILES = {
    "max_trails = 3\n": "search.toml:1: unknown key 'max_trails'; did you mean 'max_trials'?",
    "seed = 1\nmax_trials = 'many'\n": "search.toml:2:",
    "max_trials = \n": "search.toml:1: this is no TOML",
    "max_trials = 3\n": "search.toml: no model is named",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_file_is_shown_with_its_line(text: str, nas: Any, folder: Path) -> None:
    (folder / "search.toml").write_text(text)
    result = nas("run", "search.toml")
    assert result.exit_code == 2
    assert BAD_FILES[text] in result.stderr


def test_a_missing_file_and_a_path_as_a_name_are_refused(nas: Any, search: Any) -> None:
    missing = nas("run", "nope.toml")
    assert missing.exit_code == 2
    assert "'nope.toml' does not exist" in missing.stderr
    search()
    result = nas("run", "search.toml", "--name", "../up")
    assert result.exit_code == 2
    assert "name must be usable as the name of a folder, and in a shell" in result.stderr


def test_an_unknown_engine_gets_its_own_exit_code(nas: Any, search: Any) -> None:
    search(execution_engine="pyy")
    result = nas("run", "search.toml")
    assert result.exit_code == 4
    assert "no engine 'pyy' is installed" in result.stderr
    assert "did you mean 'py'?" in result.stderr
    assert "pip install" not in result.stderr  # of a name that is likely misspelt
    result = nas("run", "search.toml", "--set", "execution_engine=other")
    assert "pip install nas-engine-other" in result.stderr


def test_a_disabled_engine_can_t_run(
    nas: Any, search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    search()
    monkeypatch.setenv("NAS_DISABLE_PLUGINS", "py")
    result = nas("run", "search.toml")
    assert result.exit_code == 4
    assert "disabled" in result.stderr


def test_a_broken_plugin_is_told_of_once_and_the_search_goes_on(
    search: Any, shell: Any, add_plugin: Any
) -> None:
    search(max_trials=2)
    site = add_plugin("board", "import no_such_board\n")
    result = shell("run", "search.toml", PYTHONPATH=str(site))
    assert result.returncode == 0, result.stderr
    assert result.stderr == (
        "Warning: plugin 'board' (board 1.0) is broken: ModuleNotFoundError: No module named "
        "'no_such_board' (site/board_plugin.py:1); the search goes on without it\n"
    )
    again = shell("resume", "sizes", "--max-trials", "3", PYTHONPATH=str(site))
    assert again.stderr == result.stderr


def test_one_failing_trial_is_a_line_and_no_failure_of_the_run(nas: Any, search: Any) -> None:
    search(then="assert size > 200, 'too [bold]small'", max_trials=12)
    result = nas("run", "search.toml")
    assert result.exit_code == 0, result.output
    assert "AssertionError: too [bold]small (measure.py:9)" in result.stdout
    assert "Traceback" not in result.output


def test_nothing_completed_is_exit_code_one(nas: Any, search: Any) -> None:
    search(then="raise ValueError('never')")
    result = nas("run", "search.toml")
    assert result.exit_code == 1
    assert "no trial completed. Trial 0 failed: ValueError: never (measure.py:9)" in result.stderr
    assert "nas show sizes 0" in result.stderr
    shown = nas("show", "sizes", "0").stdout
    assert "ValueError: never (measure.py:9)" in shown


def test_nan_is_a_failed_trial(nas: Any, search: Any) -> None:
    search(then="size = float('nan')", max_trials=2)
    result = nas("run", "search.toml")
    assert result.exit_code == 1
    assert "nan" in result.stderr


def test_failures_in_a_row_give_up_and_say_how_to_go_on(nas: Any, search: Any) -> None:
    search(then="raise ValueError('never')", max_trials=9, max_failures_in_a_row=3)
    result = nas("run", "search.toml")
    assert result.exit_code == 1
    assert "3 trials in a row failed" in result.stderr
    assert "3 of 9 trials have ended and are kept" in result.stderr
    assert "nas resume sizes" in result.stderr


def test_an_exhausted_space_ends_with_a_word(nas: Any, search: Any) -> None:
    search(max_trials=50)
    result = nas("run", "search.toml", "--set", "strategy.name=grid")
    assert result.exit_code == 0, result.output
    assert "exhausted" in result.stdout
    assert "after 30 trials" in result.stdout


def test_the_same_experiment_can_t_be_run_twice_but_resumed_further(nas: Any, search: Any) -> None:
    search()
    assert nas("run", "search.toml").exit_code == 0
    again = nas("run", "search.toml")
    assert again.exit_code == 3
    assert "the experiment exists already, with 4 trials" in again.stderr
    assert "nas resume nas-experiments/sizes" in again.stderr
    further = nas("resume", "sizes", "--max-trials", "6", "--json")
    assert further.exit_code == 0, further.output
    assert json.loads(further.stdout)["completed"] == 6
    assert further.stderr.count("completed in") == 2


def test_the_file_of_a_run_resumes_it_as_the_file_says_now(nas: Any, search: Any) -> None:
    search()
    nothing = nas("resume", "search.toml")
    assert nothing.exit_code == 3
    assert "there is no experiment here" in nothing.stderr
    assert nas("run", "search.toml").exit_code == 0
    search(max_trials=6)
    further = nas("resume", "search.toml", "--json")
    assert json.loads(further.stdout)["completed"] == 6
    other = nas("resume", "search.toml", "--set", "seed=7")
    assert other.exit_code == 2
    assert "an experiment keeps its 'seed'" in other.stderr
    assert nas("resume", "search.toml", "--set", "name=other").exit_code == 3
    assert nas("resume", "sizes", "--set", "name=other").exit_code == 2
    search(seed=7)
    changed = nas("resume", "search.toml")
    assert changed.exit_code == 3
    assert "seed was 0 and is 7" in changed.stderr


def test_resume_of_nothing_names_what_there_is(nas: Any, search: Any, folder: Path) -> None:
    search()
    assert nas("run", "search.toml").exit_code == 0
    result = nas("resume", "sices")
    assert result.exit_code == 3
    assert "no experiment 'sices'" in result.stderr
    assert "did you mean 'sizes'?" in result.stderr
    empty = nas("resume", str(folder))
    assert empty.exit_code == 3
    assert "it has no trials.sqlite" in empty.stderr


def test_a_model_file_that_prints_and_fails_is_the_user_s(
    nas: Any, search: Any, folder: Path
) -> None:
    search()
    (folder / "net.py").write_text("print('x')\nvalue = {}['width']\n")
    result = nas("run", "search.toml")
    assert result.exit_code == 2
    assert "KeyError: 'width' (net.py:2)" in result.stderr


def test_an_undecorated_model_is_the_users_to_mend(nas: Any, search: Any) -> None:
    search()
    net = Path("net.py").read_text()
    Path("net.py").write_text(net.replace("@nas.model_wrapper\n", ""))
    refused = nas("run", "search.toml")
    assert refused.exit_code == 2
    line = net.partition("class Net")[0].count("\n")
    assert f"net.py:{line}: Net can't be made again" in refused.stderr
    assert "@nas_core.model_wrapper above `class Net`" in refused.stderr


def test_what_no_candidate_could_be_trained_with_is_bad_input(nas: Any, search: Any) -> None:
    search()
    Path("measure.py").write_text(
        "import torch\n"
        "from nas_search.evaluators import SupervisedEvaluator\n"
        "data = torch.zeros(9, 4), torch.zeros(9)\n"
        "evaluator = SupervisedEvaluator(train=data, optimizer='SDG')\n"
    )
    refused = nas("run", "search.toml")
    assert refused.exit_code == 2
    assert "no optimizer 'SDG'; did you mean 'SGD'?" in refused.stderr


def test_a_misspelt_strategy_has_the_line_of_the_file(nas: Any, search: Any) -> None:
    config = search()
    text = config.read_text().replace('"random"', '"randon"')
    config.write_text(text)
    refused = nas("run", "search.toml")
    assert refused.exit_code == 2
    assert f"search.toml:{text.count(chr(10))}: no strategy 'randon'" in refused.stderr
