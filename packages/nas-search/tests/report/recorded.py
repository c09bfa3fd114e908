"""Experiments that have only records: what a report reads of one, without a store or a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from nas_core.architecture import Architecture
from nas_search import Experiment, ExperimentConfig, Report, Trial


class Recorded(Experiment):
    """An experiment of given trials."""

    def __init__(
        self,
        folder: Path,
        trials: Sequence[Trial] = (),
        objectives: Mapping[str, str] | None = None,
        running: bool = False,
        **config: Any,
    ) -> None:
        super().__init__(None, None, None, ExperimentConfig(directory=str(folder), **config))
        self._recorded = tuple(trials), objectives or {"accuracy": "maximize"}, running

    trials = property(lambda self: self._recorded[0])
    objectives = property(lambda self: self._recorded[1])
    is_running = property(lambda self: self._recorded[2])


def trial(
    number: int,
    architecture: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
    state: str = "completed",
    begin: float | None = None,
    seconds: float = 1.0,
    reports: Mapping[int, Mapping[str, float]] | None = None,
    **values: Any,
) -> Trial:
    """A trial that began a second after the one before it."""
    started = float(number if begin is None else begin)
    ended = state != "running"
    point = Architecture(architecture)
    return Trial(
        number,
        point,
        point.digest,
        number,
        state,
        metrics,
        seconds=seconds if ended else None,
        created=started,
        started=started,
        finished=started + seconds if ended else None,
        reports=tuple(Report(step, of) for step, of in (reports or {}).items()),
        **values,
    )


class Page(HTMLParser):
    """The elements of a page, each with its attributes, and the text in each kind of element."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text.setdefault(tag, "")

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.text[self.elements[-1][0]] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)
