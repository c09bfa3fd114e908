"""What must be alike where trials run: compared on the worker, before its first trial and each."""

from __future__ import annotations

import platform
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nas_search.executors.protocol import WorkersError

__all__ = ["Environment", "machine"]


@dataclass(frozen=True)
class Environment:
    """The coordinator's: its versions, its modules, and a file that its workers must see.

    With ``machine`` they must run on it, too.

    >>> here = Environment.here(["torch"])
    >>> list(here.versions), here.differences()
    (['python', 'torch'], [])
    >>> there = Environment({"python": "3.8"}, ())
    >>> there.differences() == [f"python {python()} where 3.8 is needed"]
    True
    """

    versions: Mapping[str, str]
    modules: tuple[str, ...]
    mark: Path | None = None
    machine: str | None = None

    @classmethod
    def here(
        cls, distributions: Iterable[str], mark: Path | None = None, machine: str | None = None
    ) -> Environment:
        """That of this process, with the versions of these distributions."""
        versions = {name: found for name in distributions if (found := _version(name))}
        return cls({"python": python(), **versions}, tuple(sys.path), mark, machine)

    def differences(self) -> list[str]:
        """What is otherwise in this process."""
        return [
            f"{name} {found or 'missing'} where {needed} is needed"
            for name, needed in self.versions.items()
            if (found := python() if name == "python" else _version(name)) != needed
        ]

    def __call__(self) -> str:
        """Say which machine this is, if trials can run on it.

        Raises:
            WorkersError: they can't, and why.
        """
        name = socket.gethostname()
        if found := self.differences():
            raise WorkersError(
                f"a worker on {name} differs from this process: it has {', '.join(found)}. "
                "Install the same versions in both places (with one constraints file)"
            )
        if self.mark is not None and not self.mark.exists():
            raise WorkersError(
                f"a worker on {name} does not see the folder of the experiment, "
                f"{self.mark.parents[1]}: keep it where all machines have it under the same path, "
                "by `directory`, such as a network file system"
            )
        if self.machine is not None and self.machine != machine():
            raise WorkersError(
                f"a worker on {name} is on another machine than the experiment, whose trials are "
                "in an SQLite file, into which processes of one machine only can write"
            )
        # Last, and only what is missing: what the machine has of its own goes first.
        sys.path.extend(path for path in self.modules if path not in sys.path)
        return name


def machine() -> str:
    """The same for all processes that can share the memory of an open SQLite file."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.is_file() else socket.gethostname()


def python() -> str:
    """The version of Python as far as pickled functions depend on it."""
    return ".".join(platform.python_version_tuple()[:2])


def _version(distribution: str) -> str | None:
    try:
        # torch 2.13.0+cpu and 2.13.0+cu130 run the same code.
        return version(distribution).partition("+")[0]
    except PackageNotFoundError:
        return None
