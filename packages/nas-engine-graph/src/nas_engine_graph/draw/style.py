"""How pictures look: one style for all that is drawn."""

from __future__ import annotations

from typing import Any

import graphviz  # type: ignore[import-untyped]

__all__ = ["BOX", "digraph"]

_GRAPH = {"rankdir": "TB", "nodesep": "0.25", "ranksep": "0.35", "compound": "true"}
_FONT = {"fontname": "Helvetica,Arial,sans-serif", "fontsize": "11"}
_NODE = _FONT | {
    "shape": "box",
    "style": "rounded,filled",
    "fillcolor": "#ffffff",
    "color": "#555555",
    "margin": "0.2,0.07",
    "height": "0.3",
}
_EDGE = _FONT | {"fontsize": "9", "color": "#777777", "fontcolor": "#555555", "arrowsize": "0.6"}
BOX = {"style": "rounded", "color": "#aaaaaa", "margin": "10", "labeljust": "l"}
"""Of a box around nodes; its title is on the left, since most arrows come in the middle."""


def digraph(name: str) -> Any:
    """An empty picture, from top to bottom.

    >>> print(digraph("steps").source.splitlines()[0])
    digraph steps {
    """
    return graphviz.Digraph(name, graph_attr=_GRAPH | _FONT, node_attr=_NODE, edge_attr=_EDGE)
