"""An experiment in Optuna's dashboard, which is the extra ``dashboard``: ``serve`` shows it."""

from nas_search.dashboard.mirror import Mirror
from nas_search.dashboard.server import PortError, serve

__all__ = ["Mirror", "PortError", "serve"]
