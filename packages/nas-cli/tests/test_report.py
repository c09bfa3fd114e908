"""``nas report``: the page of an experiment, as a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def experiment(nas: Any, search: Any) -> Path:
    """A finished experiment."""
    search(max_trials=2)
    assert nas("run", "search.toml").exit_code == 0
    return Path("nas-experiments/sizes")


def test_the_page_is_written_beside_the_trials_or_where_it_is_told(
    nas: Any, experiment: Path
) -> None:
    result = nas("report", "sizes")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{experiment / 'report.html'}\n"
    assert "<title>sizes" in (experiment / "report.html").read_text()
    assert nas("report", "sizes", "--output", "page.html", "--trial", "1").exit_code == 0
    assert "of trial 1" in Path("page.html").read_text()


def untimed(page: str) -> str:
    """A page without the second in which it was written."""
    return re.sub(r"\d\d:\d\d:\d\d UTC", "", page).rstrip()


def test_a_dash_is_standard_output(nas: Any, experiment: Path) -> None:
    result = nas("report", "sizes", "--output", "-", "--trial", "1")
    assert result.exit_code == 0, result.output
    assert nas("report", "sizes", "--output", "page.html", "--trial", "1").exit_code == 0
    assert untimed(result.stdout) == untimed(Path("page.html").read_text())
    assert not Path("-").exists()
    Path("-").mkdir()  # which changes nothing
    again = nas("report", "sizes", "--output", "-", "--trial", "1")
    assert untimed(again.stdout) == untimed(result.stdout)
    assert not (experiment / "report.html").exists()
    both = nas("report", "sizes", "--output", "-", "--open")
    assert both.exit_code == 2
    assert "--open shows a file" in both.stderr


def test_the_browser_is_shown_the_file(
    nas: Any, experiment: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    assert nas("report", "sizes", "--output", "page.html", "--open").exit_code == 0
    assert shown == [(folder / "page.html").as_uri()]


def test_what_can_not_be_reported_says_why(
    nas: Any, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = nas("report", "sizes", "--trial", "9")
    assert missing.exit_code == 3
    assert "has no trial 9: it has 0 to 1" in missing.stderr
    assert nas("report", "nothing").exit_code == 3
    lost = nas("report", "sizes", "--output", "no/such/page.html")
    assert lost.exit_code == 2
    assert "can't be written" in lost.stderr
    monkeypatch.setitem(sys.modules, "altair", None)
    without = nas("report", "sizes")
    assert without.exit_code == 2
    assert "pip install 'nas-search[report]'" in without.stderr
