"""One candidate of a space, shown in any of the formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from nas_core.formats import graph_format_refused

from nas_engine_graph.annotate import annotate
from nas_engine_graph.draw.labels import labelled, labels_of, marking
from nas_engine_graph.draw.render import drawn
from nas_engine_graph.ir import Graph, to_text

__all__ = ["draw"]


def draw(
    graph: Graph,
    base_model: torch.nn.Module,
    architecture: Mapping[str, Any],
    formatter: str,
    inputs: Sequence[Any] = (),
) -> str:
    """The graph of a candidate as text, source, DOT, SVG or HTML.

    Args:
        graph: that of the candidate.
        base_model: the open model, in which the choices stand.
        architecture: the candidate's.
        formatter: one of ``nas_core.protocols.GRAPH_FORMATS``.
        inputs: example arguments of ``forward``, for shapes.

    Raises:
        UnsupportedFormatError: another format, or the extra ``draw`` is not installed.
    """
    if formatter not in _FORMATS:
        raise graph_format_refused(formatter)
    shown = labelled(graph, labels_of(base_model, architecture))
    if inputs:
        shown = annotate(shown, *inputs)
    with drawn(formatter):
        return _FORMATS[formatter](shown, architecture)


def _dot(graph: Graph, architecture: Mapping[str, Any], legend: bool = True) -> str:
    from nas_engine_graph.draw.picture import to_dot

    return to_dot(graph, architecture, legend=legend)


def _svg(graph: Graph, architecture: Mapping[str, Any], legend: bool = True) -> str:
    from nas_engine_graph.draw.render import to_svg

    return to_svg(_dot(graph, architecture, legend))


def _html(graph: Graph, architecture: Mapping[str, Any]) -> str:
    from nas_engine_graph.draw.picture import colours_of
    from nas_engine_graph.draw.render import to_html

    svg, marked = _svg(graph, architecture, legend=False), marking(graph)
    colours = {label: c for label, c in colours_of(architecture).items() if label in marked}
    return to_html(graph.name, svg, to_text(graph), architecture, colours)


_FORMATS: Mapping[str, Callable[[Graph, Mapping[str, Any]], str]] = {
    "text": lambda graph, _: to_text(graph),
    "source": lambda graph, _: graph.to_source(),
    "dot": _dot,
    "svg": _svg,
    "html": _html,
}
