"""Who runs an experiment: the process that holds its lock, which the system ends with the process.

The number of that process stands beside the lock, for messages.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nas_search.store import StoreError

__all__ = ["locked", "refuse_if_locked", "runs"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an experiment.

    Raises:
        StoreError: another process holds it, or the folder can't be written.
    """
    holder = _holder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise _runs_already(folder) from None
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        try:
            holder.write_text(str(os.getpid()))
        except OSError as error:
            raise _not_writable(folder, error) from error
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def refuse_if_locked(folder: Path) -> None:
    """Refuse an experiment that runs."""
    with locked(folder):
        return


def runs(folder: Path) -> bool:
    """Whether a process runs the experiment; one that was killed doesn't.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with locked(folder):
    ...     runs(folder)
    True
    >>> runs(folder)
    False
    """
    # A run that ends by itself takes the number away, so that the lock is hardly ever tried here:
    # a run that starts at the same moment would find it taken.
    if not _holder(folder).is_file():
        return False
    try:
        with FileLock(folder / ".lock").acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # It is not ours to write.
        return _is_alive(_holder(folder))


def _is_alive(holder: Path) -> bool:
    try:
        os.kill(int(holder.read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _holder(folder: Path) -> Path:
    return folder / "running.pid"


def _not_writable(folder: Path, error: OSError) -> StoreError:
    return StoreError(folder, f"can't be written: {error.strerror or error}")


def _runs_already(folder: Path) -> StoreError:
    holder = _holder(folder)
    pid = holder.read_text() if holder.is_file() else "unknown"
    return StoreError(folder, f"the experiment is running already, in process {pid}")
