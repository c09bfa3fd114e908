"""The plugin: what the engine is called, and what it can."""

from collections.abc import Iterator

from nas_core import Engine, EngineInfo, hookimpl


@hookimpl
def nas_engines() -> Iterator[EngineInfo]:
    """Offer the engine ``demo``."""
    yield EngineInfo(
        name="demo",
        summary="as py, but every model knows its architecture",
        capabilities=frozenset({"inline", "choose", "any-python", "export-instance"}),
        load=load,
    )


def load() -> Engine:
    """Import torch only when the engine is used."""
    from nas_engine_demo.engine import DemoEngine

    return DemoEngine()
