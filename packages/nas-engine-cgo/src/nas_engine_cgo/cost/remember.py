"""What was found out about this machine, in a file for the next run."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

__all__ = ["Memory"]


class Memory:
    """Settings by what they were found for; nothing is lost if the file is.

    Args:
        path: the file; None to remember nothing beyond this process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, tuple[int, str]] = {}

    def recall(self, key: str) -> tuple[int, str] | None:
        """What was kept under a key."""
        if key not in self._known:
            self._known |= self._read()
        return self._known.get(key)

    def keep(self, key: str, value: tuple[int, str]) -> None:
        """Keep a setting."""
        self._known[key] = value
        if self._path is None:
            return
        known = {**self._read(), key: value}
        # A cache: where it can't be written, it is found out again.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(handle, "w") as file:
                json.dump(known, file)
            Path(name).replace(self._path)

    def _read(self) -> dict[str, tuple[int, str]]:
        if self._path is None:
            return {}
        try:
            found = json.loads(self._path.read_text())
            return {str(key): (int(size), str(layout)) for key, (size, layout) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
