"""What is wrong with a store, in one sentence that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_core.errors import NasError
from sqlalchemy.exc import DBAPIError

__all__ = ["StoreError", "StoreExistsError", "StoreMissingError", "explained"]


class StoreError(NasError, OSError):
    """What is stored can't be used as asked; ``where`` is a file, a folder or a URL."""

    def __init__(self, where: Path | str, reason: str) -> None:
        self.where = str(where)
        self.reason = reason
        super().__init__(f"{where}: {reason}")

    @property
    def path(self) -> Path:
        """The file or folder."""
        return Path(self.where)

    def __reduce__(self) -> tuple[type[StoreError], tuple[str, str]]:
        return type(self), (self.where, self.reason)


class StoreExistsError(StoreError):
    """There is already what was to be made: another process was faster."""


class StoreMissingError(StoreError):
    """There is no experiment where one was looked for."""


@contextmanager
def explained(place: str, reason: Callable[[DBAPIError], str]) -> Iterator[None]:
    """Turn what a database or the file system raises into a ``StoreError``."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(place, reason(error)) from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(place, f"can't be written: {error.strerror or error}") from error
