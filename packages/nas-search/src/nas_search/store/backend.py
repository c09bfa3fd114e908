"""What differs between databases."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

__all__ = ["BUSY_SECONDS", "PATIENCE", "Backend", "tried"]

log = logging.getLogger("nas_search")

T = TypeVar("T")

BUSY_SECONDS = 30.0
"""How long a writer waits for another one."""

PATIENCE = 60.0
"""For so many seconds a connection that breaks is made again: a server restarts in less."""

GRACE = PATIENCE
"""For so many seconds after its start a database takes nobody for dead: they are coming back."""

PAUSES = (0.0, 0.1, 0.2, 0.5, 1.0)
"""Between attempts to connect, in seconds; the last one again and again."""


class Backend(Protocol):
    """An open database.

    Attributes:
        place: the file or URL, for messages; without a password.
        reading: gives connections to read with.
        writing: gives connections whose transactions write.
        patience: for so many seconds a connection that breaks is made again.
    """

    place: str
    reading: Engine
    writing: Engine
    patience: float

    def reason(self, error: DBAPIError) -> str:
        """Say in words what went wrong."""

    def is_broken(self, error: DBAPIError) -> bool:
        """Whether it is the connection that failed, and a new one may do."""

    def lock(self, connection: Connection, experiment: int) -> None:
        """Let no other transaction write to the experiment before this one ends."""

    def hold(self, experiment: int, session: str) -> None:
        """Show until ``close``, or the end of this process, that a session is alive."""

    def living(self, connection: Connection, experiment: int, sessions: set[str]) -> set[str]:
        """Those sessions of other processes that are alive, or can't be known to be dead yet."""

    def is_running(self, experiment: int) -> bool:
        """Whether any session of the experiment is alive."""

    def close(self) -> None:
        """End all connections."""


def tried(backend: Backend, engine: Engine, act: Callable[[Connection], T]) -> T:
    """Do something in a transaction; again, while the connection breaks and patience lasts.

    A connection may break when all is done and hide it: what is done twice must be as if done once.
    """
    broke, attempts = 0.0, 0
    while True:
        try:
            with engine.begin() as connection:
                return act(connection)
        except DBAPIError as error:
            if not backend.patience or not backend.is_broken(error):
                raise
            now = time.monotonic()
            if not attempts:
                broke = now
                log.warning("%s: %s", backend.place, backend.reason(error))
                log.warning("trying again for %g s", backend.patience)
            elif now - broke > backend.patience:
                raise
        time.sleep(PAUSES[min(attempts, len(PAUSES) - 1)])
        attempts += 1
