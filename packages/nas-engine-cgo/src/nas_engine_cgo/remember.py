"""What was found out about this machine, in a file for the next run."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["Memory"]

_MOST = 10_000
"""Entries in a file; older ones are forgotten."""


class Memory:
    """What was found, as JSON, by what it was found for; nothing is lost if the file is.

    Args:
        path: the file; None to remember nothing beyond this process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def beside(self, name: str) -> Memory:
        """Another one, whose file has this name in the same folder."""
        return Memory(None if self._path is None else self._path.with_name(name))

    def recall(self, key: str) -> Any:
        """What was kept under a key, or None."""
        return self._known.get(key)

    def keep(self, found: Mapping[str, Any]) -> None:
        """Keep what was found under these keys."""
        self._known.update(found)
        if self._path is None:
            return
        known = list({**self._read(), **found}.items())
        # A cache: where it can't be written, it is found out again.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(handle, "w") as file:
                json.dump(dict(known[-_MOST:]), file)
            Path(name).replace(self._path)

    @cached_property
    def _known(self) -> dict[str, Any]:
        return self._read()

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
