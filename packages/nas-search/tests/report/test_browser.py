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


LOOK = """
const frame = document.querySelector("iframe"), right = (e) => e.getBoundingClientRect().right;
const inside = (kind) => [...frame.contentDocument.querySelectorAll(kind)];
setTimeout(() => {
  inside("details").forEach((each) => { each.open = true; });
  const cut = inside("#importance .scroll").filter((each) => each.scrollWidth > each.clientWidth);
  const legends = inside("#importance .role-legend").filter(
    (each) => right(each) > right(each.closest(".scroll")) + 1);
  const broken = inside(".tiles .value").filter((each) => {
    const text = frame.contentDocument.createRange();
    text.selectNodeContents(each);
    return new Set([...text.getClientRects()].map((line) => line.top)).size > 1;
  });
  const marks = inside("#history .mark-symbol path").filter((e) => !e.closest(".role-legend"));
  const hidden = [marks[0], marks.at(-1)].filter((mark) => {
    mark.scrollIntoView({ block: "center", behavior: "instant" });
    const place = mark.getBoundingClientRect(), at = { clientX: place.x + 2, clientY: place.y + 2 };
    mark.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, ...at }));
    const tip = inside("#vg-tooltip-element.visible")[0].getBoundingClientRect();
    const values = inside("#vg-tooltip-element .value");
    return tip.left < 0 || tip.right > frame.clientWidth
      || values.some((each) => each.scrollHeight > each.clientHeight + 1);
  });
  document.title = JSON.stringify([cut, legends, broken, hidden].map((each) => each.length));
}, 5000);
"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_cut_in_windows_of_any_width(width: int, tmp_path: Path) -> None:
    trials = [
        trial(k, {"coarse.0.operation": k % 3, "expansion": k % 2, "long": "word " * 60},
              {"accuracy": k / 20, "parameters": 123456.0 + k, "loss": -1.2345e-5 * (k + 1)})
        for k in range(20)
    ]  # fmt: skip
    objectives = {"accuracy": "maximize", "parameters": "minimize", "loss": "minimize"}
    page = report_page(Recorded(tmp_path, trials, objectives), plugins=load_plugins([]), now=60.0)
    (tmp_path / "report.html").write_text(page)
    around = tmp_path / "around.html"
    frame = f'<iframe src="report.html" style="width: {width}px; height: 900px"></iframe>'
    around.write_text(f"<title></title>{frame}<script>{LOOK}</script>")
    assert Page(rendered(around)).text["title"] == "[0,0,0,0]"


def rendered(path: Path) -> str:
    """The document after its scripts have run, in a window that shows all of it."""
    command = [
        *(BROWSER or "", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        "--allow-file-access-from-files",
        *("--window-size=1400,9000", "--virtual-time-budget=10000"),
        *(f"--user-data-dir={path.parent / 'profile'}", path.as_uri()),
    ]
    done = subprocess.run(command, check=True, capture_output=True, timeout=600)
    return done.stdout.decode()
