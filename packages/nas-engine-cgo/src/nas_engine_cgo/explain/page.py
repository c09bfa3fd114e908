"""The description as one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape

from nas_core import Candidate
from nas_core.errors import UnsupportedFormatError

from nas_engine_cgo.explain.describe import Cluster, Cohort, Described, Row
from nas_engine_cgo.explain.picture import picture
from nas_engine_cgo.explain.source import source
from nas_engine_cgo.explain.text import listed, named, size
from nas_engine_cgo.tally import tally

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }
table { border-collapse: collapse }
td, th { padding: .1em 1em .1em 0; text-align: left; vertical-align: top }
td:first-child, .fused { font-variant-numeric: tabular-nums } .fused { font-weight: bold }
pre { background: #8882; overflow: auto; padding: 1em } summary { cursor: pointer }
div { overflow: auto } svg { background: #fff }
"""


def page(described: Described) -> str:
    """The description with its source; whatever stems from the user is escaped."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"><title>Merged training</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>{_STYLE}</style></head><body><h1>Merged training</h1>",
            "<table>",
            *(_candidate(candidate) for candidate in described.candidates),
            "</table>",
            *(_paragraph(f"candidate {n} alone: {why}") for n, why in described.alone.items()),
            *(line for cohort in described.cohorts for line in _cohort(cohort)),
            *_picture(described),
            "<details><summary>the code that is run</summary>",
            f"<pre>{escape(source(described))}</pre></details>",
            "</body></html>\n",
        ]
    )


def _picture(described: Described) -> Iterator[str]:
    """What flows where, if it can be drawn."""
    with suppress(UnsupportedFormatError):
        drawn = picture(described)
        yield f"<details><summary>a picture</summary><div>{drawn}</div></details>"


def _candidate(candidate: Candidate) -> str:
    architecture = escape(candidate.architecture.to_json())
    return f"<tr><td>{candidate.number}</td><td>{architecture}</td></tr>"


def _cohort(cohort: Cohort) -> Iterator[str]:
    yield f"<h2>{escape(named(cohort.numbers))} together</h2>"
    yield _paragraph(cohort.why)
    for twin, first in cohort.twins.items():
        yield _paragraph(f"candidate {twin} is candidate {first} in other names")
    for number, cluster in enumerate(cohort.clusters, 1):
        yield f"<h3>cluster {number}: {escape(named((*cluster.numbers, *cluster.single)))}</h3>"
        yield from _cluster(cluster)


def _cluster(cluster: Cluster) -> Iterator[str]:
    yield _paragraph(f"about {size(cluster.memory)} in a step")
    for single, why in cluster.single.items():
        yield _paragraph(f"candidate {single} by itself: {why}")
    if cluster.function is None:
        return
    yield _paragraph(str(tally([cluster.function])))
    shared = list(cluster.shared())
    if shared:
        yield "<h4>computed once for several</h4>"
        yield from _table(shared)
    steps = list(cluster.steps())
    yield f"<details><summary>{len(steps)} steps</summary>"
    yield from _table(steps)
    yield "</details>"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "<table><tr><th></th><th>function</th><th>candidates</th><th>shapes</th></tr>"
    for i, row in enumerate(rows, 1):
        many = ' class="fused"' if len(row.numbers) > 1 else ""
        yield (
            f"<tr><td>{i}</td><td{many}>{escape(row.function)}</td>"
            f"<td>{len(row.numbers)}: {listed(row.numbers)}</td><td>{escape(row.shapes)}</td></tr>"
        )
    yield "</table>"


def _paragraph(words: str) -> str:
    return f"<p>{escape(words)}</p>"
