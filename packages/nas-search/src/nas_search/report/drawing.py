"""The graph of one model, drawn by an engine that can."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nas_core.failure import Failed, attempt, failure_text

from nas_search.report.section import Picture, Section

if TYPE_CHECKING:
    from nas_core.plugins import Plugins
    from nas_core.protocols import Draws

    from nas_search.experiment import Experiment
    from nas_search.store import Trial

__all__ = ["drawing"]

_INSTALL = "pip install 'nas-engine-graph[draw]'"


def drawing(experiment: Experiment, plugins: Plugins, trial: Trial | None) -> Section:
    """The graph of a trial's model, or what it takes to draw it."""
    if trial is None:
        return Section("graph", "Graph", text="There is no model to draw yet.", wide=True)
    title = f"Graph of trial {trial.number}"
    able = [n for n, r in sorted(plugins.engines.items()) if "graph" in r.info.capabilities]
    if not able:
        text = f"No installed engine draws graphs: {_INSTALL} brings one."
        return Section("graph", title, text=text, wide=True)
    # The model, and what draws it, are anybody's; the rest of the page does not depend on them.
    drawn = attempt(lambda: _drawn(experiment, plugins, able[0], trial))
    if isinstance(drawn, Failed):
        text = f"It can't be drawn: {failure_text(drawn.error)}"
        return Section("graph", title, text=text, wide=True)
    text = "Layers that come from a choice have its colour."
    return Section("graph", title, text=text, picture=drawn, wide=True)


def _drawn(experiment: Experiment, plugins: Plugins, name: str, trial: Trial) -> Picture:
    from nas_core import Space

    engine = cast("Draws", plugins.engine(name))
    model = experiment.base_model
    architecture = Space.of(model).part_of(trial.architecture)
    svg, text = (engine.draw(model, architecture, kind) for kind in ("svg", "text"))
    return Picture(svg, text, f"The graph of the model of trial {trial.number}")
