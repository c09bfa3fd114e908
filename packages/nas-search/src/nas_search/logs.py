"""What trials printed: a file for each job in the folder of the experiment.

A job that answers for several candidates prints into one file, that of the first of them; the
others have a line that names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["find_log", "log_path", "share_log", "tail"]

_SAME = "the same as "


def log_path(folder: Path, number: int) -> Path:
    """Where a job writes whose first candidate has this number."""
    return folder / "logs" / f"{number}.log"


def share_log(folder: Path, numbers: Sequence[int]) -> None:
    """Say where the output of a job of several candidates will be."""
    first, *others = numbers
    for number in others:
        path = log_path(folder, number)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{_SAME}{log_path(folder, first).name}\n", encoding="utf-8")


def find_log(folder: Path, number: int) -> Path | None:
    """The file with what a trial printed; None if it printed nothing, or into no file.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> share_log(folder, [3, 4])
    >>> find_log(folder, 4)
    >>> _ = log_path(folder, 3).write_text("epoch 1")
    >>> find_log(folder, 4).name, find_log(folder, 3).name
    ('3.log', '3.log')
    """
    path = log_path(folder, number)
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace") as file:
        line = file.readline(100)
    shared = re.fullmatch(rf"{_SAME}(\d+)\.log\n", line)
    if shared is None:
        return path
    other = log_path(folder, int(shared[1]))
    return other if other.is_file() else None


def tail(path: Path, letters: int) -> str:
    r"""The end of a text file that may be of any size; whole lines, if there is more than one.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "7.log"
    >>> _ = path.write_text("epoch 1\nepoch 2\n")
    >>> tail(path, 10)
    'epoch 2\n'
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - letters))
        text = file.read().decode(errors="replace")
    return text if size <= letters else text.partition("\n")[2] or text
