"""Where weights and exports go: a folder here, or any place that fsspec reaches by a URL.

A file is written beside its place and then moved there, so that nobody sees half of one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import uuid4

from nas_core.failure import Failed, attempt

from nas_search.store import StoreError

__all__ = ["Artifacts", "number_of", "unfinished_name", "weights_name"]

T = TypeVar("T")

LOCAL = re.compile(r"^(file|local)://")


def weights_name(number: int) -> str:
    """The name of the weights of a trial."""
    return f"weights/{number}.safetensors"


def unfinished_name(number: int | str, session: str, execution: str) -> str:
    """The name of weights that one execution of a trial, in a session, has not stored yet.

    >>> unfinished_name(7, "a", "*"), number_of(unfinished_name(7, "a", "b"))
    ('weights/7.a.*.tmp', 7)
    """
    return f"weights/{number}.{session}.{execution}.tmp"


def number_of(unfinished: str) -> int:
    """The number of the trial to which weights of this name belong."""
    return int(unfinished.rpartition("/")[2].partition(".")[0])


class Artifacts:
    """Files by their names below a root.

    Args:
        root: a folder, or a URL of fsspec such as ``s3://bucket/folder``.

    >>> import tempfile
    >>> for root in (tempfile.mkdtemp(), "memory://nas"):
    ...     files = Artifacts(root)
    ...     checksum = files.write("a.tmp", lambda path: path.write_bytes(b"abc"))
    ...     files.move("a.tmp", "a/b.txt")
    ...     with files.read("a/b.txt", checksum) as path:
    ...         print(path.read_bytes(), files.exists("a.tmp"))
    b'abc' False
    b'abc' False
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        local = LOCAL.sub("", self.root)
        self._folder = None if "://" in local or "::" in local else Path(local)

    def below(self, name: str) -> Artifacts:
        """The folder of this name in it, from wherever a process of this machine works."""
        if self._folder is None:
            return Artifacts(f"{self.root.rstrip('/')}/{name}")
        return Artifacts(self._folder.absolute() / name)

    def where(self, name: str) -> str:
        """A name with the root before it, for messages."""
        return f"{self._folder or self.root.rstrip('/')}/{name}"

    def require_usable(self) -> None:
        """Make the folder, or see that a URL is of a kind that can be used here.

        Raises:
            StoreError: the folder can't be made, or what reaches the URL is not installed.
        """
        if self._folder is None:
            self._at("", "used", lambda _fs, _path: None)
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(self._folder, f"can't be made: {error.strerror}") from error

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        if self._folder is not None:
            return (self._folder / name).is_file()
        return self._at(name, "read", lambda fs, path: bool(fs.isfile(path)))

    def write(self, name: str, write: Callable[[Path], object]) -> str:
        """Let ``write`` make a file, and give back its SHA-256.

        Raises:
            StoreError: the place can't be written.
        """
        with self._beside(name) as path:
            write(path)
            with path.open("rb") as written:
                os.fsync(written.fileno())
            checksum = sha256_of(path)
            if self._folder is None:
                self._at(name, "written", lambda fs, there: _put(fs, path, there))
        return checksum

    def put(self, name: str, write: Callable[[Path], object]) -> str:
        """Let ``write`` make a file, which has its name once it is whole; gives the name back.

        Raises:
            StoreError: the place can't be written.
        """
        beside = f"{name}.{uuid4().hex[:8]}.tmp"
        try:
            self.write(beside, write)
            self.move(beside, name)
        finally:
            if self.exists(beside):
                self.remove(beside)
        return name

    def move(self, name: str, to: str) -> None:
        """Give a file another name, in the place of one that has it already."""
        if self._folder is not None:
            with self._explained(to, "written"):
                (self._folder / to).parent.mkdir(parents=True, exist_ok=True)
                (self._folder / name).replace(self._folder / to)
        else:
            self._at(
                to, "written", lambda fs, there: _move(fs, there.removesuffix(to) + name, there)
            )

    @contextmanager
    def read(self, name: str, checksum: str | None) -> Iterator[Path]:
        """A file as one that lies here, for as long as the block lasts.

        Raises:
            StoreError: it is not there, can't be read, or is not what was written.
        """
        if self._folder is not None:
            self._require(name, self._folder / name, checksum)
            yield self._folder / name
            return
        with TemporaryDirectory() as folder:
            path = Path(folder, Path(name).name)
            self._at(name, "read", lambda fs, there: fs.get_file(there, str(path)))
            self._require(name, path, checksum)
            yield path

    def names(self, pattern: str) -> list[str]:
        """The names that match in the folder which the pattern names, such as ``weights/*``."""
        folder = pattern.rpartition("/")[0]
        if self._folder is not None:
            found = [path.name for path in self._folder.glob(pattern)]
        else:
            paths = self._at(pattern, "read", lambda fs, path: list(fs.glob(path)))
            found = [path.rpartition("/")[2] for path in paths]
        return sorted(f"{folder}/{name}" for name in found)

    def remove(self, pattern: str) -> None:
        """Remove the files whose names match, if there are any."""
        if self._folder is not None:
            for path in self._folder.glob(pattern):
                path.unlink(missing_ok=True)
        else:
            self._at(pattern, "removed", lambda fs, path: [fs.rm(x) for x in fs.glob(path)])

    @contextmanager
    def _beside(self, name: str) -> Iterator[Path]:
        """A path to write to: the place itself, or one here that is copied there."""
        if self._folder is None:
            with TemporaryDirectory() as folder:
                yield Path(folder, Path(name).name)
            return
        path = self._folder / name
        with self._explained(name, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path

    @contextmanager
    def _explained(self, name: str, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            reason = error.strerror or error
            raise StoreError(self.where(name), f"can't be {what}: {reason}") from error

    def _require(self, name: str, path: Path, checksum: str | None) -> None:
        with self._explained(name, "read"):
            found = sha256_of(path)
        if checksum is not None and found != checksum:
            raise StoreError(
                self.where(name),
                f"the file is damaged, or another one: its SHA-256 is {found}, and {checksum} was "
                "written",
            )

    def _at(self, name: str, what: str, act: Callable[[Any, str], T]) -> T:
        """Do something with the file system of a URL, which may raise anything of its own."""
        done = attempt(partial(self._done, name, act))
        if isinstance(done, Failed):
            reason = f"{type(done.error).__name__}: {done.error}"
            raise StoreError(self.where(name), f"can't be {what}: {reason}") from done.error
        return done

    def _done(self, name: str, act: Callable[[Any, str], T]) -> T:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        fs, root = url_to_fs(self.root)
        return act(fs, f"{root.rstrip('/')}/{name}")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _put(fs: Any, path: Path, there: str) -> None:
    fs.makedirs(there.rpartition("/")[0], exist_ok=True)
    fs.put_file(str(path), there)


def _move(fs: Any, path: str, there: str) -> None:
    fs.makedirs(there.rpartition("/")[0], exist_ok=True)
    fs.mv(path, there)
