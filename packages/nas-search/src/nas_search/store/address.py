"""Where the trials of an experiment are: in a file of its folder, or in a database."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nas_core.errors import nearest
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from nas_search.store.errors import StoreError

__all__ = ["RECORD", "STORE", "Address", "Database", "address_of", "parsed", "public", "record"]

STORE = "trials.sqlite"
"""The name of the file in the folder of an experiment."""

RECORD = "store.json"
"""The name of the file that says which database the trials are in."""

DRIVER = "postgresql+psycopg"
ACCEPTED = (DRIVER, "postgresql", "postgres")
SECRET = ("password", "sslpassword")


@dataclass(frozen=True)
class Database:
    """An experiment in a database that others share.

    >>> str(Database(parsed("postgresql://me:secret@host/nas"), "digits"))
    'postgresql+psycopg://me@host/nas'
    """

    url: URL
    experiment: str

    def __str__(self) -> str:
        return public(self.url)

    def __repr__(self) -> str:
        return f"Database({public(self.url)!r}, {self.experiment!r})"


Address: TypeAlias = Path | Database


def parsed(url: str) -> URL:
    """Read the URL of a database.

    >>> parsed("postgresql://host/nas")
    postgresql+psycopg://host/nas
    >>> parsed("mysql://host/nas")
    Traceback (most recent call last):
    ValueError: no database of the kind 'mysql' (postgresql+psycopg, postgresql, postgres)

    Raises:
        ValueError: it is none, or of a database that can't be a store. The message does not show
            it, since there may be a password in it.
    """
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(
            "not the URL of a database, such as postgresql+psycopg://user@host:5432/database"
        ) from None
    if found.drivername not in ACCEPTED:
        raise ValueError(
            f"no database of the kind {found.drivername!r} ({', '.join(ACCEPTED)})"
            f"{nearest(found.drivername, ACCEPTED)}"
        )
    return found.set(drivername=DRIVER)


def public(url: URL) -> str:
    """A URL as it may be shown and stored: without the password.

    >>> public(parsed("postgresql://me:secret@host/nas?sslmode=require&password=secret"))
    'postgresql+psycopg://me@host/nas?sslmode=require'
    """
    return (
        url._replace(password=None)
        .difference_update_query(SECRET)
        .render_as_string(hide_password=False)
    )


def address_of(folder: Path, url: str | None, experiment: str) -> Address:
    """The address of an experiment from its configuration."""
    return folder / STORE if url is None else Database(parsed(url), experiment)


def recorded(folder: Path) -> Address | None:
    """The address of the experiment in a folder; ``None`` if there is no experiment.

    Raises:
        StoreError: the record of its database can't be read.
    """
    if (folder / STORE).is_file():
        return folder / STORE
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Database(parsed(found["store"]), found["experiment"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(path, f"this does not say where the trials are: {error!r}") from None


def record(folder: Path, address: Database) -> None:
    """Write down in a folder where the trials are, without the password."""
    path = folder / RECORD
    content = {"store": public(address.url), "experiment": address.experiment}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(path, f"can't be written: {error.strerror}") from error


def experiment_folders(directory: Path) -> Iterable[Path]:
    """The folders right inside of one that have an experiment, by name."""
    return sorted({path.parent for name in (STORE, RECORD) for path in directory.glob(f"*/{name}")})
