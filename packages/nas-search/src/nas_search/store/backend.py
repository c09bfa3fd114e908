"""What differs between databases."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

__all__ = ["BUSY_SECONDS", "Backend"]

BUSY_SECONDS = 30.0
"""How long a writer waits for another one."""


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

    def close(self) -> None:
        """End all connections."""
