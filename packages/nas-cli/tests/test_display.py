"""What a terminal shows: the installed command on a pseudo-terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nas_cli.display import Lines, Panel, Scale
from nas_core import Architecture
from nas_search import Trial
from rich.console import Console

NAS = Path(sys.executable).with_name("nas")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][;m]")


def on_a_terminal(*arguments: str, **env: str) -> str:
    """Everything that the command writes to a terminal, control sequences too."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [NAS, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"} | env,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so where the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    assert process.wait(timeout=600) == 0, written.decode()
    return written.decode()


def test_a_terminal_shows_progress_the_best_and_what_is_printed(search: Any) -> None:
    search(name="[red]sizes", then="assert size > 100, 'too [bold]small'", max_trials=12)
    shown = on_a_terminal("run", "search.toml")
    assert "[red]sizes" in shown
    assert "12/12" in shown
    assert "a worker says [red]hello" in shown
    assert "failed: AssertionError: too [bold]small (measure.py:9)" in shown
    assert "size \u2193" in shown
    assert "Ended: all 12 trials are done." in shown
    assert COLOUR.search(shown)


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(env: dict[str, str], search: Any) -> None:
    search(seconds=0.1)
    shown = on_a_terminal("run", "search.toml", **env)
    assert not COLOUR.search(shown)
    assert "Ended: all 4 trials are done." in shown


@pytest.mark.parametrize("kind", [Lines, Panel])
def test_trials_that_end_elsewhere_count_once(kind: type[Lines | Panel]) -> None:
    scale = Scale("shared", 3, frozenset({0}), {}, lambda k: [])
    shown = io.StringIO()
    display = kind(scale, Console(file=shown, width=100))
    for number in (0, 1, 1, 2):  # 0 has ended before it began
        trial = Trial(number, Architecture({}), "", 0, "failed", error="no", seconds=1.0)
        display.nas_trial_learned("shared", trial)
    if isinstance(display, Panel):
        display._out.print(display._picture())
        assert "3/3" in shown.getvalue()
    else:
        heads = [line.partition(" failed")[0] for line in shown.getvalue().splitlines()]
        assert heads == ["[2/3] trial 1", "[3/3] trial 2"]
