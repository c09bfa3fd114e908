"""The plugin: says what the engine is called and can do, and imports it when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from nas_core import Engine, EngineInfo, hookimpl

__all__ = ["nas_engines"]


@hookimpl
def nas_engines() -> Iterator[EngineInfo]:
    """The engine ``stencil``."""
    yield EngineInfo(
        name="stencil",
        summary="any Python: its models know their architecture",
        capabilities=frozenset(
            {"inline", "choose", "any-python", "export-dict", "export-instance"}
        ),
        load=_load,
    )


def _load() -> Engine:
    # Engines are listed without being loaded, and listing must not wait for torch.
    from nas_engine_stencil.engine import StencilEngine

    return StencilEngine()
