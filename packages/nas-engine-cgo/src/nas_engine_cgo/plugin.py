"""The plugin: says that the engine exists, and imports it when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from nas_core import Engine, EngineInfo, hookimpl

__all__ = ["nas_engines"]


@hookimpl
def nas_engines() -> Iterator[EngineInfo]:
    """The engine ``cgo``.

    >>> [info.name for info in nas_engines()]
    ['cgo']
    """
    yield EngineInfo(
        name="cgo",
        summary="as graph, and trains many candidates at once as one merged graph",
        capabilities=frozenset(
            {
                "inline",
                "choose",
                "mutators",
                "merged",
                "explain",
                "export-dict",
                "export-instance",
                "export-code",
            }
        ),
        load=_load,
    )


def _load() -> Engine:
    from nas_engine_cgo.engine import CgoEngine

    return CgoEngine()
