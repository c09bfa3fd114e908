"""The plugin: says that the engine exists, and imports it when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from nas_core import Engine, EngineInfo, hookimpl

__all__ = ["nas_engines"]


@hookimpl
def nas_engines() -> Iterator[EngineInfo]:
    """The engine ``py``.

    >>> [info.name for info in nas_engines()]
    ['py']
    """
    yield EngineInfo(
        name="py",
        summary="any Python: runs the model's own constructor with the choices fixed",
        capabilities=frozenset(
            {"inline", "choose", "any-python", "export-dict", "export-instance"}
        ),
        load=_load,
    )


def _load() -> Engine:
    from nas_engine_py.engine import PyEngine

    return PyEngine()
