"""``nas dashboard``: served on this machine until it is interrupted."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

NAS = Path(sys.executable).with_name("nas")


@pytest.fixture
def experiment(nas: Any, search: Any) -> Path:
    """A finished experiment."""
    search(max_trials=2)
    assert nas("run", "search.toml").exit_code == 0
    return Path("nas-experiments/sizes")


def test_it_shows_the_trials_until_it_is_interrupted(experiment: Path, folder: Path) -> None:
    command = [NAS, "dashboard", "sizes", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        root = address.partition("/dashboard")[0]
        with urllib.request.urlopen(f"{root}/api/studies/0") as answer:
            study = json.load(answer)
        process.send_signal(signal.SIGINT)
        assert process.wait(600) == 0
    assert study["name"] == "sizes"
    assert [one["state"] for one in study["trials"]] == ["Complete", "Complete"]


def test_what_keeps_it_from_being_served_is_said(
    nas: Any, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = nas("dashboard", "sizes", "--port", port, "--no-browser")
    assert busy.exit_code == 2
    assert f"port {port} can't be used" in busy.stderr
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    without = nas("dashboard", "sizes", "--no-browser")
    assert without.exit_code == 2
    assert "pip install 'nas-search[dashboard]'" in without.stderr
