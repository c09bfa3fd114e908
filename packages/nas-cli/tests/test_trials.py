"""``nas top``, ``nas show``, ``nas export`` and ``nas list-experiments``."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from nas_core import engines
from nas_core.architecture import Architecture
from nas_core.protocols import Candidate
from nas_search.lock import locked
from nas_search.store import STORE, TrialStore


@pytest.fixture
def experiment(nas: Any, search: Any) -> Path:
    """A finished experiment."""
    search()
    assert nas("run", "search.toml").exit_code == 0
    return Path("nas-experiments/sizes")


def test_top_ranks_by_the_objective(nas: Any, experiment: Path) -> None:
    found = json.loads(nas("top", "sizes", "-k", "3", "--json").stdout)
    sizes = [trial["metrics"]["size"] for trial in found]
    assert len(sizes) == 3
    assert sizes == sorted(sizes)
    lines = nas("top", experiment).stdout.splitlines()
    assert lines[0].split() == ["trial", "size", "\u2193", "time", "architecture"]
    assert lines[1].split()[0] == str(found[0]["number"])


def test_top_and_show_need_neither_torch_nor_the_model(
    shell: Any, experiment: Path, folder: Path
) -> None:
    (folder / "net.py").unlink()
    blocked = folder / "blocked"
    blocked.mkdir()
    (blocked / "torch.py").write_text("raise ImportError('torch was imported')\n")
    for arguments in (("top", "sizes"), ("show", "sizes", "0"), ("list-experiments",)):
        result = shell(*arguments, PYTHONPATH=str(blocked))
        assert result.returncode == 0, result.stderr


def test_show_one_trial(nas: Any, experiment: Path) -> None:
    shown = nas("show", "sizes", "2").stdout
    assert shown.startswith("trial 2: completed in ")
    assert "width" in shown
    assert "step 0: size=" in shown
    found = json.loads(nas("show", "sizes", "2", "--json").stdout)
    assert found["number"] == 2
    assert found["reports"][0]["step"] == 0
    missing = nas("show", "sizes", "99")
    assert missing.exit_code == 3
    assert "has no trial 99: it has 0 to 3" in missing.stderr
    assert nas("show", "sizes", "x").exit_code == 2


def test_what_a_trial_printed_is_found(nas: Any, search: Any) -> None:
    search(executor="local", max_trials=1)
    assert nas("run", "search.toml").exit_code == 0
    path = Path("nas-experiments/sizes/logs/0.log")
    assert f"\nlog: {path}\n" in nas("show", "sizes", "0").stdout
    assert nas("show", "sizes", "0", "--log").stdout == "a worker says [red]hello\n"
    assert json.loads(nas("show", "sizes", "0", "--json").stdout)["log"] == str(path)
    path.write_bytes(b"red: \x1b[31m\xff\n")
    assert nas("show", "sizes", "0", "--log").stdout == "red: \\x1b[31m\ufffd\n"
    path.unlink()
    missing = nas("show", "sizes", "0", "--log")
    assert missing.exit_code == 3
    assert "has no log" in missing.stderr


def test_export_writes_architectures_and_weights(nas: Any, experiment: Path, folder: Path) -> None:
    from safetensors.torch import load_file

    best = json.loads(nas("top", "sizes", "-k", "2", "--json").stdout)
    result = nas("export", "sizes", "-k", "2", "--output", "out/best")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 4
    for trial in best:
        stem = folder / "out" / "best" / f"trial-{trial['number']}"
        text = stem.with_suffix(".json").read_text()
        assert Architecture.from_json(text) == trial["architecture"]
        weights = load_file(stem.with_suffix(".safetensors"))
        assert sum(tensor.numel() for tensor in weights.values()) == trial["metrics"]["size"]
    assert {path.suffix for path in (folder / "out" / "best").iterdir()} == {
        ".json",
        ".safetensors",
    }


def test_export_of_chosen_trials(nas: Any, experiment: Path, folder: Path) -> None:
    best = json.loads(nas("top", "sizes", "--json").stdout)
    last = best[-1]["number"]
    arguments = ("export", "sizes", "--trial", last, "--formatter", "instance", "--output", "out")
    assert nas(*arguments).exit_code == 0
    assert {path.stem for path in Path("out").iterdir()} == {f"trial-{last}"}
    text = Path(f"out/trial-{last}.json").read_text()
    assert Architecture.from_json(text) == best[-1]["architecture"]
    more = nas("export", "sizes", "--trial", last, "--trial", last, "-k", "1", "--output", "both")
    assert len(more.stdout.splitlines()) == 4
    assert {path.stem for path in Path("both").iterdir()} == {
        f"trial-{last}",
        f"trial-{best[0]['number']}",
    }
    absent = nas("export", "sizes", "--trial", "99")
    assert absent.exit_code == 3
    assert "experiment 'sizes' has no trial 99: it has 0 to" in absent.stderr


def test_a_trial_that_failed_has_nothing_to_export(nas: Any, search: Any) -> None:
    Path("failing.py").write_text(
        "from nas_search.evaluators import FunctionEvaluator\n"
        "def measure(model):\n    raise ValueError('never')\n"
        "evaluator = FunctionEvaluator(measure)\n"
    )
    nas("run", search(max_trials=1, evaluator="failing.py:evaluator"))
    result = nas("export", "sizes", "--trial", "0")
    assert result.exit_code == 3
    assert "trial 0 of 'sizes' has no model: it is failed, not completed" in result.stderr
    assert "has no completed trial yet" in nas("export", "sizes").stderr


def test_export_goes_beside_the_trials_unless_told(nas: Any, experiment: Path) -> None:
    assert nas("export", "sizes").exit_code == 0
    assert len(list((experiment / "export").glob("trial-*.json"))) == 1


def test_an_export_is_several_files(nas: Any, experiment: Path, folder: Path) -> None:
    result = nas("export", "sizes", "--output", "-")
    assert result.exit_code == 2
    assert "several files are written, which - can't hold: name a folder" in result.stderr
    assert not (folder / "-").exists()


def test_export_to_where_no_folder_can_be_names_the_option(nas: Any, experiment: Path) -> None:
    Path("file").touch()
    result = nas("export", "sizes", "--output", "file/best")
    assert result.exit_code == 3
    assert result.stderr == (
        "Error: file/best: can't be made: Not a directory; --output names another folder\n"
    )


def test_export_of_an_instance(nas: Any, experiment: Path) -> None:
    import torch

    result = nas("export", "sizes", "--formatter", "instance", "--output", "out")
    assert result.exit_code == 0, result.output
    (path,) = Path("out").glob("*.pt")
    model = torch.load(path, weights_only=False)
    assert model(torch.zeros(1, 8)).shape == (1, 10)


def test_a_model_that_can_not_be_pickled_leaves_nothing(
    nas: Any, search: Any, folder: Path
) -> None:
    (folder / "local.py").write_text(
        "import nas_core as nas\nimport nas_core.nn as nn\n\n"
        "def net():\n    @nas.model_wrapper\n    class Net(nn.Module):\n"
        "        def __init__(self):\n            super().__init__()\n"
        "            self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label='w'))\n"
        "    return Net()\n"
    )
    assert nas("run", search(model="local.py:net")).exit_code == 0
    result = nas("export", "sizes", "--formatter", "instance", "--output", "out")
    assert result.exit_code == 2
    assert "--formatter dict writes its architecture and weights" in result.stderr
    assert list(Path("out").iterdir()) == []


def test_export_of_code_names_the_engine_that_can(nas: Any, experiment: Path) -> None:
    result = nas("export", "sizes", "--formatter", "code")
    assert result.exit_code == 4
    able = "'graph'" if "graph" in engines() else "nas-engine-graph"
    assert able in result.stderr
    assert not (experiment / "export").exists()
    assert nas("export", "sizes", "--formatter", "cod").exit_code == 2


def test_export_without_weights_says_so(nas: Any, search: Any) -> None:
    search(name="bare", save_weights="none")
    assert nas("run", "search.toml").exit_code == 0
    result = nas("export", "bare")
    assert result.exit_code == 0
    assert "no weights" in result.stderr


def test_lost_weights_are_no_silent_success(nas: Any, experiment: Path) -> None:
    shutil.rmtree(experiment / "weights")
    result = nas("export", "sizes")
    assert result.exit_code == 3
    assert "are not there" in result.stderr
    assert result.stdout == ""
    assert list((experiment / "export").iterdir()) == []


def test_nothing_to_export_or_rank_yet(nas: Any, search: Any) -> None:
    search(then="raise ValueError('never')")
    assert nas("run", "search.toml").exit_code == 1
    assert nas("export", "sizes").exit_code == 3
    assert "4 failed" in nas("top", "sizes").stdout


def test_an_output_that_is_a_file_is_refused(nas: Any, experiment: Path) -> None:
    Path("taken").write_text("")
    assert nas("export", "sizes", "--output", "taken").exit_code == 2
    assert nas("export", "sizes", "--output", "taken/below").exit_code == 3


def test_list_experiments_shows_a_damaged_one_too(nas: Any, experiment: Path) -> None:
    damaged = experiment.parent / "damaged"
    damaged.mkdir()
    (damaged / "trials.sqlite").write_text("no database at all, but long enough to be one" * 50)
    found = {row["name"]: row for row in json.loads(nas("list-experiments", "--json").stdout)}
    assert found["sizes"]["completed"] == 4
    assert found["sizes"]["best"]["metrics"].keys() == {"size"}
    assert "no SQLite database" in found["damaged"]["error"]
    shown = nas("list-experiments", "nas-experiments").stdout
    assert "no SQLite database" in shown
    for arguments in (("top",), ("resume",), ("export",)):
        assert nas(*arguments, "damaged").exit_code == 3


def test_list_experiments_where_there_are_none(nas: Any) -> None:
    assert nas("list-experiments").stdout == "No experiments in nas-experiments.\n"
    assert json.loads(nas("list-experiments", "--json").stdout) == []
    missing = nas("list-experiments", "nowhere")
    assert missing.exit_code == 2
    assert "no directory 'nowhere'" in missing.stderr


def test_a_newer_store_is_refused(nas: Any, experiment: Path) -> None:
    database = sqlite3.connect(experiment / "trials.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    result = nas("top", "sizes")
    assert result.exit_code == 3
    assert "schema version 99" in result.stderr
    assert "pip install -U nas-search" in result.stderr


def test_names_complete_in_the_shell(shell: Any, experiment: Path) -> None:
    words = {"_NAS_COMPLETE": "bash_complete", "COMP_WORDS": "nas top si", "COMP_CWORD": "2"}
    assert "plain,sizes" in shell(**words).stdout.splitlines()


def test_trials_whose_process_was_killed_are_interrupted_not_running(
    nas: Any, experiment: Path
) -> None:
    with TrialStore.open(experiment / STORE) as store:
        store.begin_session("killed")
        store.begin(Candidate(99, Architecture({"width": 0}), seed=0), "killed")

    def states() -> tuple[int, int, str]:
        (row,) = json.loads(nas("list-experiments", "--json").stdout)
        shown = nas("show", "sizes", "99").stdout
        return row["running"], row["interrupted"], shown.split()[2]

    with locked(experiment):
        assert states() == (1, 0, "running")
    (experiment / "running.pid").write_text("1")  # As kill -9 leaves it, of a number used again.
    assert states() == (0, 1, "interrupted")
    assert json.loads(nas("show", "sizes", "99", "--json").stdout)["state"] == "interrupted"
