"""The page: whole for every kind of experiment, and nothing of what users call things is code."""

from __future__ import annotations

import json
import math
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from nas_core.plugins import load_plugins
from nas_core.wording import printable
from nas_search.report import MissingTrialError, report_page
from nas_search.strategies import MissingExtraError
from recorded import Page, Recorded, trial

NO_ENGINES = load_plugins(disabled=["nas-engine-graph", "nas-engine-py", "nas-engine-cgo"])
SECTIONS = ["best", "history", "importance", "timeline", "parallel", "graph", "failures", "trials"]
NASTY = "</script><script>hacked()</script><img src=x onerror=hacked()>'\"{{ 7 * 7 }}\u2028&amp;"


def completed(count: int, **more: float) -> list[Any]:
    return [
        trial(k, {"width": k % 8, "op": f"op{k // 8}"}, {"accuracy": k / count, **more})
        for k in range(count)
    ]


def report(folder: Path, *trials: Any, now: float = 1e4, **options: Any) -> Page:
    return Page(report_page(Recorded(folder, trials, **options), plugins=NO_ENGINES, now=now))


def specs(page: Page) -> dict[str, Any]:
    """The figures, which a reader of JSON must accept: no NaN, no infinity."""
    found, _ = json.JSONDecoder(parse_constant=pytest.fail).raw_decode(page.text["script"])
    return found["specs"]


def section_ids(page: Page) -> list[str | None]:
    return [attributes["id"] for tag, attributes in page.elements if tag == "section"]


KINDS = {
    "empty": [],
    "running": [trial(0, {"width": 2}, state="running")],
    "failed": [trial(k, {"width": k}, state="failed", error="ValueError: no") for k in range(3)],
    "one": completed(1),
    "pruned": [trial(0, {"width": 2}, state="pruned", reports={0: {"accuracy": 0.5}})],
    "no choice": [trial(0, {}, {"accuracy": 0.5})],
    "equal": [trial(k, {"width": k}, {"accuracy": 0.5}) for k in range(5)],
    "nan": [
        trial(0, {"w": 1}, {"accuracy": 0.5, "loss": math.nan}, reports={0: {"loss": math.inf}}),
        trial(1, {"width": 2}, {"accuracy": 0.5, "loss": None}, reports={0: {"accuracy": None}}),
    ],
    "mixed": [*completed(20), trial(20, {"width": 9}, state="failed", error="E"),
              trial(21, {"width": 10}, state="pruned"), trial(22, {"op": True}, state="running")],
}  # fmt: skip


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_experiment_gives_a_whole_page(kind: str, running: bool, tmp_path: Path) -> None:
    page = report(tmp_path, *KINDS[kind], running=running)
    assert [key for key in section_ids(page) if key != "curves"] == SECTIONS
    places = [a["data-chart"] for _, a in page.elements if "data-chart" in a]
    assert places == list(specs(page))
    assert all(a["aria-label"] for _, a in page.elements if "data-chart" in a)
    assert ("history-0" in places) == (kind != "empty")


def test_several_objectives_have_a_front_and_a_history_each(tmp_path: Path) -> None:
    trials = [trial(k, {"w": k}, {"accuracy": k, "size": k * k, "time": 1 / (1 + k)})
              for k in range(5)]  # fmt: skip
    objectives = {"accuracy": "maximize", "size": "minimize", "time": "minimize"}
    page = report(tmp_path, *trials, objectives=objectives)
    assert "front" in section_ids(page)
    assert {"history-0", "history-1", "history-2", "front-0", "front-1"} <= specs(page).keys()
    assert "5 of 5 completed trials are on it" in page.text["p"]


def test_small_values_have_no_prefix(tmp_path: Path) -> None:
    trials = [trial(k, {"w": k}, {"accuracy": k, "loss": k / 100, "size": k * 5000})
              for k in range(5)]  # fmt: skip
    objectives = {"accuracy": "maximize", "loss": "minimize", "size": "minimize"}
    found = specs(report(tmp_path, *trials, objectives=objectives))
    loss, size = (found[f"front-{i}"]["encoding"]["x"]["axis"] for i in range(2))
    assert "format" not in loss  # 0.02, where 20m is also read as millions
    assert size["format"] == "~s"  # 20k


@pytest.mark.parametrize("objectives", [["accuracy"], ["accuracy", "size"]])
@pytest.mark.parametrize("reports", [{}, {0: {"accuracy": 0.5}}])
def test_no_section_stands_beside_an_empty_place(
    objectives: list[str], reports: dict[int, dict[str, float]], tmp_path: Path
) -> None:
    metrics = {"accuracy": 0.5, "size": 1.0}
    trials = [trial(k, {"width": k}, metrics, reports=reports) for k in range(20)]
    page = report(tmp_path, *trials, objectives=dict.fromkeys(objectives, "maximize"))
    shown = [attributes.get("class") for tag, attributes in page.elements if tag == "section"]
    runs = [list(group) for kind, group in groupby(shown) if kind != "wide"]
    assert runs
    assert all(len(run) % 2 == 0 for run in runs)


def test_what_users_call_things_is_text(tmp_path: Path) -> None:
    trials = [
        trial(k, {NASTY: NASTY + str(k), f"{NASTY}.[b]": k}, {NASTY: float(k), "b": 1.0},
              reports={0: {NASTY: 0.5}})
        for k in range(6)
    ]  # fmt: skip
    trials.append(trial(6, {NASTY: 9}, state="failed", error=NASTY, details=NASTY * 9000))
    (tmp_path / "nasty" / "logs").mkdir(parents=True)
    (tmp_path / "nasty" / "logs" / "6.log").write_text(NASTY * 9000)
    harmless = report(tmp_path, *completed(6), trial(6, {"width": 9}, state="failed", error="E"))
    page = report(
        tmp_path, *trials, objectives={NASTY: "maximize"}, name="nasty", model=NASTY + ":Net"
    )
    assert page.count("script") == harmless.count("script") == 3
    assert page.count("img") == 0
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert printable(NASTY) in page.text["h3"]
    assert "49" not in page.text["h3"]
    assert specs(page)["importance-0"]["encoding"]["y"]["sort"][0].startswith(NASTY)


def test_a_page_reaches_for_nothing(tmp_path: Path) -> None:
    page = report(tmp_path, *completed(10))
    linked = [a[key] for _, a in page.elements for key in ("src", "href") if key in a]
    assert linked
    assert all(link.startswith("#") for link in linked)
    (policy,) = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.partition("style-src")[0]


def test_a_thousand_trials_fit(tmp_path: Path) -> None:
    trials = [
        trial(k, {f"block {i}": f"option {(k >> i) % 4}" for i in range(16)}, {"accuracy": k % 97},
              reports={step: {"accuracy": 0.5} for step in range(10)})
        for k in range(1000)
    ]  # fmt: skip
    html = report_page(Recorded(tmp_path, trials), plugins=NO_ENGINES, now=1e4)
    assert 1e6 < len(html.encode()) < 5e6


def test_what_failed_is_told_with_what_it_left(tmp_path: Path) -> None:
    (tmp_path / "experiment" / "logs").mkdir(parents=True)
    (tmp_path / "experiment" / "logs" / "1.log").write_text("epoch 1\n")
    failed = [trial(k, {"w": k}, state="failed", error=f"E{k // 2}", details="line 41")
              for k in range(3)]  # fmt: skip
    page = report(tmp_path, *failed)
    assert page.text["h3"].split() == ["E0", "E1"]
    assert "2 trials 0, 1" in page.text["span"]
    assert "line 41" in page.text["pre"]
    assert "epoch 1" in page.text["pre"]
    assert "all have failed" in page.text["p"]


def test_errors_that_differ_in_numbers_are_one(tmp_path: Path) -> None:
    text = "shapes (64x{0} and {1}x{0}) (<graph Net {2}>:10)"
    errors = [
        text.format(8, 9, 1),
        text.format(16, 17, 2),
        "name 'x1' is missing",
        "name 'x2' is missing",
    ]
    failed = [trial(k, {"w": k}, state="failed", error=error) for k, error in enumerate(errors)]
    shown = report(tmp_path, *failed).text["h3"]
    assert errors[0] in shown
    assert errors[1] not in shown
    assert all(error in shown for error in errors[2:])


@pytest.mark.parametrize("count", [0, 1])
def test_what_there_is_not_yet_is_said(count: int, tmp_path: Path) -> None:
    trials = [trial(k, {"w": k}, {"accuracy": 0.0835, "size": 7.0}) for k in range(count)]
    of_two = {"accuracy": "maximize", "size": "minimize"}
    text = report(tmp_path, *trials, objectives=of_two).text["p"]
    assert "It takes 4 completed trials to tell." in text
    assert "The space has no choices." not in text
    assert ("No trial has completed yet." in text) is (count == 0)


def test_the_graph_says_what_it_takes(tmp_path: Path) -> None:
    page = report(tmp_path, *completed(3))
    assert "pip install 'nas-engine-graph[draw]' brings one" in page.text["p"]
    with pytest.raises(MissingTrialError, match="has no trial 9: it has 0 to 2"):
        report_page(Recorded(tmp_path, completed(3)), trial=9, plugins=NO_ENGINES)


@pytest.mark.parametrize("missing", ["altair", "jinja2", "vl_convert"])
def test_without_the_extra_the_command_is_named(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nas-search\[report\]'"):
        report_page(Recorded(tmp_path))
