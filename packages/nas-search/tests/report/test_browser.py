"""The page in a real browser: every figure is drawn, and no script of anybody else runs."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import pytest
from nas_core.plugins import load_plugins
from nas_search.report import report_page
from recorded import Page, Recorded, trial

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chrome", "google-chrome"))), None)
MARK = "document.documentElement.setAttribute('data-hacked','yes')"
NASTY = f'</script><script>{MARK}</script><img src=x onerror="{MARK}"><svg onload="{MARK}">'
EXPRESSION = f"datum['x']+{MARK}"


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_figures_are_drawn_and_what_users_wrote_does_not_run(tmp_path: Path) -> None:
    values = [NASTY, EXPRESSION, "'); " + MARK + "; ('", "a" * 5000, "${" + MARK + "}", "{{7*7}}"]
    trials = [
        trial(
            k,
            {NASTY: values[k % 6], EXPRESSION: k, "a.b[0]": [k % 3]},
            {NASTY: k / 20, EXPRESSION: 20.0 - k, "loss": math.nan},
            reports={step: {NASTY: step / 3} for step in range(3)},
        )
        for k in range(20)
    ]
    trials += [trial(20, {NASTY: 1}, state="failed", error=NASTY, details=NASTY)]
    trials += [trial(21, {NASTY: 2}, state="running")]
    objectives = {NASTY: "maximize", EXPRESSION: "minimize"}
    experiment = Recorded(tmp_path, trials, objectives, running=True, model=NASTY)
    path = tmp_path / "report.html"
    path.write_text(report_page(experiment, plugins=load_plugins(["nas-engine-graph"]), now=60.0))
    shown = Page(rendered(path))
    figures = [attributes for _, attributes in shown.elements if "data-chart" in attributes]
    assert len(figures) >= 7
    assert [f["data-chart"] for f in figures if f.get("data-drawn") != "yes"] == []
    assert not [a for _, a in shown.elements if "data-hacked" in a]
    assert shown.count("img") == 0
    assert NASTY[:20] in shown.text["text"]  # as the title of an axis


def rendered(path: Path) -> str:
    """The document after its scripts have run, in a window that shows all of it."""
    command = [
        *(BROWSER or "", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *("--window-size=1400,9000", "--virtual-time-budget=10000"),
        *(f"--user-data-dir={path.parent / 'profile'}", path.as_uri()),
    ]
    done = subprocess.run(command, check=True, capture_output=True, timeout=600)
    return done.stdout.decode()
