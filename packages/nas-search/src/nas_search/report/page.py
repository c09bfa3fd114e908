"""The page: its sections, its look and the library that draws, in one file that needs no other."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_core.errors import NasError
from nas_core.plugins import Plugins, load_plugins
from nas_core.wording import duration_text, number_text

from nas_search import __version__
from nas_search.errors import MissingExtraError
from nas_search.report.curves import curves
from nas_search.report.drawing import drawing
from nas_search.report.failures import failures
from nas_search.report.front import pareto_front
from nas_search.report.history import history
from nas_search.report.importance import importance, importances
from nas_search.report.look import CONFIG
from nas_search.report.parallel import parallel
from nas_search.report.section import Section
from nas_search.report.subject import Subject, finite, subject_of
from nas_search.report.tables import all_trials, best_models
from nas_search.report.timeline import timeline

if TYPE_CHECKING:
    from nas_search.experiment import Experiment
    from nas_search.store import Trial

__all__ = ["MissingTrialError", "report_page"]

_HERE = Path(__file__).parent


class MissingTrialError(NasError, LookupError):
    """An experiment has no trial of this number."""


def report_page(
    experiment: Experiment,
    *,
    trial: int | None = None,
    plugins: Plugins | None = None,
    now: float | None = None,
) -> str:
    """An experiment as one HTML page, which needs nothing but itself: no network, no other file.

    It may be running. Whatever stands in the store is text in the page.

    Args:
        experiment: what to report on.
        trial: the number of the one whose graph is drawn; the best one by default.
        plugins: the installed engines, one of which may draw it.
        now: seconds since 1970.

    Raises:
        MissingExtraError: what makes the page is not installed.
        MissingTrialError: there is no such trial.
    """
    try:
        import altair  # noqa: F401  # before anything is read
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("the report", "report") from error
    subject = subject_of(experiment, time.time() if now is None else now)
    drawn = _drawn(subject, trial)
    graph = drawing(experiment, plugins or load_plugins(), drawn)
    return _rendered(subject, _sections(subject, experiment.folder, graph))


def _drawn(subject: Subject, number: int | None) -> Trial | None:
    if number is None:
        return next(iter(subject.ranked), None)
    found = {trial.number: trial for trial in subject.trials}
    if number not in found:
        there = f"it has 0 to {max(found)}" if found else "it has none yet"
        name = subject.config.name
        raise MissingTrialError(f"experiment {name!r} has no trial {number}: {there}")
    return found[number]


def _sections(subject: Subject, folder: Path, graph: Section) -> list[Section]:
    important = importances(subject)
    order = list(important[subject.main]) if important else []
    found = [
        best_models(subject),
        history(subject),
        pareto_front(subject),
        importance(subject, important),
        timeline(subject),
        curves(subject),
        parallel(subject, order),
        graph,
        failures(subject, folder),
        all_trials(subject),
    ]
    return _laid_out(section for section in found if section is not None)


def _laid_out(sections: Iterable[Section]) -> list[Section]:
    """The same, but one that would stand beside an empty place takes the whole width."""
    laid_out: list[Section] = []
    for wide, group in groupby(sections, key=lambda section: section.wide):
        beside = list(group)
        if not wide and len(beside) % 2:
            beside[-1] = replace(beside[-1], wide=True)
        laid_out += beside
    return laid_out


def _rendered(subject: Subject, sections: list[Section]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(_HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["as_image"] = _as_image
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    library, script = _library(), _own("page.js")
    return environment.get_template("page.html.j2").render(
        name=subject.config.name,
        status=_status(subject),
        facts=_facts(subject),
        tiles=_tiles(subject),
        sections=sections,
        charts=_charts(sections),
        policy=_policy(library, script),
        style=Markup(_own("page.css")),  # noqa: S704  # ours
        library=Markup(library),  # noqa: S704  # that of the library
        script=Markup(script),  # noqa: S704  # ours
        version=__version__,
        written=f"{datetime.fromtimestamp(subject.now, UTC):%Y-%m-%d %H:%M:%S}",
    )


def _charts(sections: list[Section]) -> dict[str, Any]:
    specs = {
        f"{section.key}-{index}": figure.spec
        for section in sections
        for index, figure in enumerate(section.figures)
    }
    return {"config": CONFIG, "specs": specs}


def _as_image(svg: str) -> str:
    """An SVG document as the address of an image, in which nothing runs and nothing is loaded."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _library() -> str:
    """Vega, Vega-Lite and what embeds them, of the versions that Altair writes for."""
    import altair as alt
    import vl_convert

    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    found = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return found.replace("</script", r"<\/script")


def _policy(*scripts: str) -> str:
    """No address may be reached, and no script may run but these two; Vega compiles expressions."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _status(subject: Subject) -> str:
    if subject.is_running:
        return "running"
    if subject.counts["interrupted"]:
        return "interrupted"
    return "ended" if subject.trials else "empty"


def _facts(subject: Subject) -> list[tuple[str, str]]:
    config = subject.config
    goals = ", ".join(f"{way} {metric}" for metric, way in subject.objectives.items())
    options = json.dumps(config.strategy.options, default=str) if config.strategy.options else ""
    facts = [
        ("objective" if len(subject.objectives) == 1 else "objectives", goals),
        ("engine", config.execution_engine),
        ("strategy", f"{config.strategy.name} {options}".strip()),
        ("seed", str(config.seed)),
        ("at once", str(config.trial_concurrency)),
    ]
    return [*facts, ("model", config.model)] if config.model else facts


@dataclass(frozen=True)
class Tile:
    """A number at the top."""

    word: str
    value: str
    more: str = ""
    kind: str = ""


def _tiles(subject: Subject) -> list[Tile]:
    counts = subject.counts
    ended = len(subject.trials) - counts["running"] - counts["interrupted"]
    states = ("failed", "pruned", "running", "interrupted")
    total = sum(trial.seconds or 0.0 for trial in subject.trials)
    return [
        *_best(subject),
        Tile("trials", str(ended), f"of {subject.config.max_trials} have ended"),
        Tile("completed", str(counts["completed"])),
        *(Tile(state, str(counts[state]), kind=state) for state in states if counts[state]),
        Tile("time of all trials", duration_text(total if subject.trials else None)),
    ]


def _best(subject: Subject) -> list[Tile]:
    tiles = []
    for metric, way in subject.objectives.items():
        values = [(finite(trial, metric), trial.number) for trial in subject.ranked]
        known = [(value, number) for value, number in values if value is not None]
        if known:
            choose = max if way == "maximize" else min
            value, number = choose(known, key=lambda pair: pair[0])
            tiles.append(Tile(f"best {metric}", number_text(value), f"trial {number}", "best"))
    return tiles
