"""The description as a picture: what flows from step to step, and for whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from nas_engine_graph.draw.render import drawn, to_svg
from nas_engine_graph.draw.words import caption, cut

from nas_engine_cgo.explain.describe import Cluster, Described
from nas_engine_cgo.explain.text import listed, named
from nas_engine_cgo.tally import shared_calls
from nas_engine_cgo.write import Function

__all__ = ["picture"]

_FUSED, _SHARED, _OWN = "#8ecae6", "#a7c957", "#ffffff"
_LEGEND = {_FUSED: "several as one", _SHARED: "computed once for several", _OWN: "for one"}


def picture(described: Described) -> str:
    """Clusters as boxes around their steps, as SVG.

    Raises:
        UnsupportedFormatError: the extra ``draw`` is not installed.
    """
    with drawn("svg"):
        from nas_engine_graph.draw.style import BOX, digraph

        dot = digraph("merged")
        with dot.subgraph(name="cluster_legend", graph_attr=BOX | {"color": "none"}) as legend:
            for colour, words in _LEGEND.items():
                legend.node(words, fillcolor=colour)
            for above, below in pairwise(_LEGEND.values()):
                legend.edge(above, below, style="invis")
        for number, why in described.alone.items():
            dot.node(f"alone {number}", caption([f"candidate {number} alone", cut(why)]))
        clusters = [cluster for cohort in described.cohorts for cluster in cohort.clusters]
        for index, cluster in enumerate(clusters, 1):
            title = f"cluster {index}: {named((*cluster.numbers, *cluster.single))}"
            with dot.subgraph(name=f"cluster_{index}", graph_attr=BOX) as box:
                box.attr(label=caption([title]))
                _Cluster(box, f"{index} ", cluster).draw()
        return to_svg(str(dot.source))


class _Cluster:
    """Draws the steps of one cluster into a box."""

    def __init__(self, box: Any, prefix: str, cluster: Cluster) -> None:
        self.box, self.prefix, self.cluster = box, prefix, cluster

    def draw(self) -> None:
        for number, why in self.cluster.single.items():
            self._node(f"single {number}", [f"candidate {number} by itself", cut(why)])
        if (function := self.cluster.function) is not None:
            self._steps(function)

    def _steps(self, function: Function) -> None:
        others, flows, rows = shared_calls(function), _flows(function), [*self.cluster.steps()]
        # Not what nothing flows through: counters of batches.
        for name in dict.fromkeys(name for pair in flows for name in pair):
            if not name.isdecimal():
                self._node(name, [name], shape="ellipse")
                continue
            step, row = function.steps[int(name)], rows[int(name)]
            sharing = [slot for call in step.calls for slot in others.get(call, ())]
            members = {member for member, _ in (*step.calls, *sharing)}
            numbers = listed([self.cluster.numbers[member] for member in members])
            fused = _FUSED if len(step.calls) > 1 else _OWN
            colour = _SHARED if sharing else fused
            self._node(name, [cut(row.function), numbers], fillcolor=colour)
        for (source, target), members in flows.items():
            width = {"penwidth": f"{1 + len(members) ** 0.5 / 2:.1f}"}
            self.box.edge(self.prefix + source, self.prefix + target, **width)

    def _node(self, name: str, lines: Sequence[str], **style: str) -> None:
        self.box.node(self.prefix + name, caption(list(lines)), **style)


def _flows(function: Function) -> dict[tuple[str, str], set[int]]:
    """From which step or input to which values flow, and for which members."""
    makers = {
        (member, value): str(index)
        for index, step in enumerate(function.steps)
        for member, call in step.calls
        for value in function.programs[member].calls[call].outputs
    }
    readers = [
        ((member, value), str(index))
        for index, step in enumerate(function.steps)
        for member, call in step.calls
        for value in function.programs[member].calls[call].inputs
    ]
    readers += [((m, program.output.id), "losses") for m, program in enumerate(function.programs)]
    flows: dict[tuple[str, str], set[int]] = defaultdict(set)
    for (member, value), reader in readers:
        maker = function.canonical[member, value]
        source = function.programs[maker[0]].sources.get(maker[1])
        if maker in makers:
            flows[makers[maker], reader].add(member)
        elif source is not None and source.kind == "input":
            name = f"data {function.streams[maker[0]]}, part {source.path}"
            flows[name, reader].add(member)
    return flows
