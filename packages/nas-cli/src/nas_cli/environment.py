"""What ``nas`` takes from the environment: nothing else of the system reads it."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_core.plugins import Plugins

__all__ = ["DISABLE_PLUGINS", "disabled_plugins", "plugins"]

DISABLE_PLUGINS = "NAS_DISABLE_PLUGINS"


def disabled_plugins() -> tuple[str, ...]:
    """The names in ``NAS_DISABLE_PLUGINS``, which separates them by commas."""
    names = (name.strip() for name in os.environ.get(DISABLE_PLUGINS, "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def plugins() -> Plugins:
    """The installed plugins without the disabled ones."""
    from nas_core.plugins import load_plugins

    found = load_plugins(disabled=disabled_plugins())
    for stranger in found.strangers:
        warnings.warn(f"{DISABLE_PLUGINS}: {stranger}", stacklevel=1)
    return found
