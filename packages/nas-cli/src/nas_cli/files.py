"""Writing files so that a reader sees the whole file or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from nas_cli.console import printable

__all__ = ["is_standard_output", "write_output"]


def is_standard_output(path: Path) -> bool:
    """Whether ``path`` stands for no file, but for standard output."""
    return str(path) == "-"


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new file beside ``path`` to write to; it takes the place of ``path`` if all went well."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_output(path: Path, text: str) -> None:
    """Write the text file that --output names at once, and print its path.

    Raises:
        click.BadParameter: it can't be written.
    """
    try:
        with _replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = f"{path} can't be written: {error.strerror}"
        raise click.BadParameter(reason, param_hint="--output") from error
    click.echo(printable(path))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
