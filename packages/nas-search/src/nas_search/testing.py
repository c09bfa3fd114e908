"""For tests of what uses a trial store: a PostgreSQL server of one's own, for a while."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

__all__ = ["Server", "postgresql_programs", "postgresql_server"]

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # nobody pulls the plug of a test
    "max_connections": "50",
}


def postgresql_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``, of the newest version; ``None`` without one."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])
    )
    installed = [str(found[-1])] if found else [shutil.which("initdb")]
    return None if installed[0] is None else Path(installed[0]).parent


@dataclass(frozen=True)
class Server:
    """A server on a port of this machine alone, with its data in a folder.

    Attributes:
        programs: the folder of ``pg_ctl``.
        folder: where its data and its log are.
        port: on which it listens, on 127.0.0.1.
        user: its superuser; there is no password.
    """

    programs: Path
    folder: Path
    port: int
    user: str

    def make(self) -> None:
        """Make its data, in which there is nothing yet."""
        self._run(
            *("initdb", "-D", self._data, "-U", self.user),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        options = f"-p {self.port} -c unix_socket_directories={self.folder} {settings}"
        log = self.folder / "log"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", str(log), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it, in a mode of ``pg_ctl``; ``"immediate"`` is as if it had crashed."""
        self._run("pg_ctl", "stop", "-w", "-D", self._data, "-m", mode)

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new database."""
        name = f"nas{next(_numbers)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, name)
        return self.url(name)

    @property
    def is_running(self) -> bool:
        """Whether it runs; one whose disk was full has ended itself."""
        command = [str(self.programs / "pg_ctl"), "status", "-D", self._data]
        done = subprocess.run(  # noqa: S603  # the arguments are ours
            command, capture_output=True, cwd=self.folder, user=_owner(), check=False
        )
        return done.returncode == 0

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        # Not a pipe: the server would keep it open.
        with (self.folder / "output").open("w+") as output:
            done = subprocess.run(  # noqa: S603  # the arguments are ours
                [str(self.programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                user=_owner(),
                check=False,
            )
            output.seek(0)
            if done.returncode:
                raise RuntimeError(f"{program} failed: {output.read()}")


@contextmanager
def postgresql_server(programs: Path, parent: Path | None = None) -> Iterator[Server]:
    """A server with its data in a temporary folder of ``parent``, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="nas-postgresql-", dir=parent))
    if (owner := _owner()) is not None:
        os.chown(folder, owner, -1)
    server = Server(programs, folder, _free_port(), "nas")
    try:
        server.make()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)


_numbers = count()


def _owner() -> int | None:
    """Whose server it is: it refuses to be root's."""
    return 65534 if os.geteuid() == 0 else None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
