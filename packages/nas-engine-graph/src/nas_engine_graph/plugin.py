"""The plugin: says that the engine exists, and imports it when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from nas_core import Engine, EngineInfo, hookimpl

__all__ = ["nas_engines"]


@hookimpl
def nas_engines() -> Iterator[EngineInfo]:
    """The engine ``graph``.

    >>> [info.name for info in nas_engines()]
    ['graph']
    """
    yield EngineInfo(
        name="graph",
        summary="models that TorchScript can read: mutators, and standalone source code",
        capabilities=frozenset(
            {
                "inline",
                "choose",
                "mutators",
                "export-dict",
                "export-instance",
                "export-code",
                "graph",
            }
        ),
        load=_load,
    )


def _load() -> Engine:
    from nas_engine_graph.engine import GraphEngine

    return GraphEngine()
