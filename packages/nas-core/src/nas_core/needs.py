"""Base models that only some engines can serve: they say what they need, all others refuse them."""

from __future__ import annotations

import importlib

from nas_core.errors import UnsupportedSpaceError
from nas_core.protocols import CAPABILITIES

__all__ = ["refuse_needs"]

_BRINGS = {"mutators": "pip install nas-engine-graph"}


def refuse_needs(model: object) -> None:
    """Refuse a base model that its constructor alone does not make.

    Such a model has an attribute ``nas_needs`` with the capability that an engine must have.

    Raises:
        UnsupportedSpaceError: it is one; the message names the engines that can serve it.
    """
    need = getattr(type(model), "nas_needs", None)
    if need is None:
        return
    # By name: plugins import what recipes are part of.
    engines = importlib.import_module("nas_core.plugins").engines
    able = [name for name, e in sorted(engines().items()) if need in e.info.capabilities]
    if able:
        instead = f"installed engines that can: {', '.join(map(repr, able))}"
    else:
        brings = f": `{_BRINGS[need]}` brings one" if need in _BRINGS else ""
        instead = f"no installed engine can{brings}"
    reason = (
        f"{model!r} needs an engine that has {need!r} ({CAPABILITIES[need]}), "
        f"and running its constructor again does not do that; {instead}"
    )
    raise UnsupportedSpaceError([reason])
