"""Optuna's dashboard on this machine, over a mirror that is kept up to date."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from nas_core.errors import NasError

from nas_search.dashboard.mirror import Mirror
from nas_search.errors import MissingExtraError
from nas_search.store import StoreError

if TYPE_CHECKING:
    from nas_search.experiment import Experiment

__all__ = ["PortError", "serve"]

_HOST = "127.0.0.1"
_SECONDS = 2.0
"""How often the mirror is refreshed while the experiment runs; else a fifth as often."""


class PortError(NasError, OSError):
    """The dashboard can't listen where it is to."""


def serve(experiment: Experiment, port: int, ready: Callable[[str], None]) -> None:
    """Serve the dashboard of an experiment on 127.0.0.1 until ``KeyboardInterrupt``.

    Args:
        experiment: it may be running.
        port: where; 0 for any that is free.
        ready: is called with the address, once that answers.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.
        PortError: another program listens there.
    """
    try:
        from optuna_dashboard import wsgi  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("the dashboard", "dashboard") from error
    mirror = Mirror(experiment.config.name, experiment.objectives)
    mirror.refresh(experiment.trials)
    with _listening(wsgi(mirror.storage), port) as server, _refreshed(mirror, experiment):
        ready(f"http://{_HOST}:{server.server_port}/dashboard/studies/0")
        server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a browser that keeps a connection open does not keep us from ending


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        pass


def _listening(app: Any, port: int) -> WSGIServer:
    try:
        return make_server(_HOST, port, app, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise PortError(
            f"port {port} can't be used: {error.strerror}; --port names another, 0 any that is free"
        ) from error


@contextlib.contextmanager
def _refreshed(mirror: Mirror, experiment: Experiment) -> Any:
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(_SECONDS if experiment.is_running else 5 * _SECONDS):
            with contextlib.suppress(StoreError):  # the next time may go well
                mirror.refresh(experiment.trials)

    thread = threading.Thread(target=follow, name="refresh", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
