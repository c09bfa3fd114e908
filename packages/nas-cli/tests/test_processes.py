"""The installed command with worker processes: interrupted, killed, resumed, hanging, crashing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
NAS = Path(sys.executable).with_name("nas")


class Running:
    """A command in a process group of its own, read line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [NAS, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_trials(self, n: int) -> None:
        """Read until so many trials have ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            n -= " completed in " in line
            if n <= 0:
                return
        raise AssertionError(f"it ended first: {self.process.communicate()}")

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal to the whole group, as Ctrl-C does; answer exit code and messages."""
        os.killpg(self.process.pid, number)
        _, messages = self.process.communicate(timeout=600)
        return self.process.returncode, messages


@pytest.fixture
def running() -> Iterator[Any]:
    """Starts commands, and ends those that a failing test leaves behind."""
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.stop(signal.SIGKILL)


def architectures(nas: Any, name: str) -> dict[int, Any]:
    found = json.loads(nas("top", name, "-k", "100", "--json").stdout)
    return {trial["number"]: trial["architecture"] for trial in found}


def test_interrupted_killed_and_resumed_it_finds_what_an_undisturbed_run_finds(
    nas: Any, search: Any, shell: Any, running: Any
) -> None:
    search(seconds=0.4, executor="local", trial_concurrency=2, max_trials=16)
    assert nas("space", "net.py:Net").exit_code == 0  # so that torch is loaded here before
    first = running("run", "search.toml")
    first.wait_for_trials(2)

    twice = nas("run", "search.toml")
    assert twice.exit_code == 3
    assert f"running already, in process {first.process.pid}" in twice.stderr
    assert len(architectures(nas, "sizes")) >= 2  # it can be looked at meanwhile

    code, messages = first.stop(signal.SIGINT)
    assert code == 130
    assert "of 16 trials have ended and are kept. To go on:\n  nas resume sizes\n" in messages
    assert "Traceback" not in messages
    kept = architectures(nas, "sizes")
    assert 2 <= len(kept) < 16

    second = running("resume", "sizes")
    second.wait_for_trials(2)
    code, _ = second.stop(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert len(architectures(nas, "sizes")) >= len(kept) + 2

    last = shell("resume", "sizes", "--json")
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout)["completed"] == 16

    search(name="calm", max_trials=16)
    assert shell("run", "search.toml").returncode == 0
    found = architectures(nas, "sizes")
    assert found == architectures(nas, "calm")
    assert kept.items() <= found.items()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.3, 1.5])
def test_stopped_while_the_workers_start_it_says_only_how_to_go_on(
    search: Any, running: Any, folder: Path, number: signal.Signals, seconds: float
) -> None:
    search(seconds=1200, executor="local", trial_concurrency=2)
    command = running("run", "search.toml")
    end = time.monotonic() + 600
    while not (folder / "nas-experiments/sizes/trials.sqlite").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(seconds)
    if number == signal.SIGINT:
        code, messages = command.stop(number)  # a terminal tells the whole group
    else:
        command.process.send_signal(number)
        _, messages = command.process.communicate(timeout=600)
        code = command.process.returncode
    assert code == 130
    assert messages.startswith("Interrupted: 0 of ")
    assert messages.endswith(" trials have ended and are kept. To go on:\n  nas resume sizes\n")


def test_stopped_before_there_is_an_experiment_it_names_none(
    shell: Any, search: Any, folder: Path
) -> None:
    search()
    source = (folder / "measure.py").read_text()
    hook = "def _(*_): raise KeyboardInterrupt\nfunction_evaluator = type(evaluator)\n"
    (folder / "measure.py").write_text(f"{source}\n{hook}function_evaluator.problems = _\n")
    stopped = shell("run", "search.toml")
    assert stopped.returncode == 130
    assert stopped.stderr == "Interrupted: nothing has been started yet.\n"
    assert not (folder / "nas-experiments").exists()


def test_stopped_while_numpy_is_imported_it_stops(shell: Any, search: Any, folder: Path) -> None:
    search()
    (folder / "early").mkdir()
    (folder / "early" / "numpy.py").write_text(
        "from pathlib import Path\n"
        "again = Path('again')\n"
        "error = ImportError if again.exists() else KeyboardInterrupt\n"
        "again.touch()\n"
        "raise error\n"
    )
    stopped = shell("space", "net.py:Net", PYTHONPATH=str(folder / "early"))
    assert (stopped.returncode, stopped.stderr) == (130, "Interrupted.\n")


def test_sigterm_stops_it_as_cleanly(search: Any, running: Any) -> None:
    search(seconds=0.5, max_trials=20)
    command = running("run", "search.toml")
    command.wait_for_trials(1)
    os.kill(command.process.pid, signal.SIGTERM)
    _, messages = command.process.communicate(timeout=600)
    assert command.process.returncode == 130
    assert "nas resume sizes" in messages


def test_one_that_hangs_and_one_that_dies_cost_one_trial_each(
    nas: Any, search: Any, shell: Any
) -> None:
    then = (
        "if size == 48:  # width 2, skip\n"
        "        time.sleep(1200)\n"
        "    if size == 67:  # width 3, skip\n"
        "        import os\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    search(then=then, executor="local", trial_concurrency=2, trial_time_limit=5, max_trials=8)
    result = shell("run", "search.toml", "--set", "strategy.name=grid")
    assert result.returncode == 0, result.stderr
    assert "TimeoutError: stopped after the time limit of 5 s per trial" in result.stdout
    assert "SIGKILL" in result.stdout
    (row,) = json.loads(nas("list-experiments", "--json").stdout)
    assert (row["failed"], row["completed"]) == (2, 6)


def test_real_exit_codes_and_streams(shell: Any, search: Any, folder: Path) -> None:
    search(then="raise ValueError('never')")
    expected = {
        ("run", "search.toml"): 1,
        ("run", "nope.toml"): 2,
        ("top", "nope"): 3,
        ("run", "search.toml", "--name", "x", "--set", "execution_engine=nope"): 4,
    }
    for arguments, code in expected.items():
        result = shell(*arguments)
        assert result.returncode == code
        assert "Error: " in result.stderr
        assert "Traceback" not in result.stderr + result.stdout
    debugged = shell("top", "nope", "--debug")
    assert "Traceback" in debugged.stderr
    assert "Error: no experiment 'nope'" in debugged.stderr
