"""Where text goes: results to standard output, everything about them to standard error.

Labels, values and messages come from users, so nothing here interprets them: no markup, no emoji
codes, no control characters. Colour is for terminals that want it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nas_core.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = [
    "console",
    "escape_what_is_not_encoded",
    "open_standard_streams",
    "print_json",
    "print_table",
    "printable",
    "results_only",
    "table",
]

_PIPE_WIDTH = 1000


def console(file: IO[str] | None = None) -> Console:
    """A console on a stream (standard output), which prints every text as it is.

    Without a terminal its lines are as long as they need be, so that ``grep`` finds whole rows.
    """
    from rich.console import Console

    stream = sys.stdout if file is None else file
    narrow = stream.isatty() or "COLUMNS" in os.environ
    return Console(
        file=stream,
        width=None if narrow else _PIPE_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )


def open_standard_streams() -> None:
    """Let what was started with closed streams write to nowhere.

    Else a file that is opened later, the store perhaps, would have the number of the closed stream,
    and what is printed would be written into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def escape_what_is_not_encoded(*streams: IO[str]) -> None:
    """Let characters that the encoding of a stream lacks, as many do in pipes on Windows, come out
    in Python's notation, as they do on standard error.
    """
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def table(*columns: str, title: str | None = None, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table in the one look of ``nas``; the columns named in ``numbers`` align right."""
    from rich.table import Table

    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        made.add_column(
            column,
            header_style="bold",
            justify="right" if column in numbers else "left",
            overflow="fold",
        )
    return made


def print_table(out: Console, shown: Table) -> None:
    """Print a table; without a terminal its lines have no blanks at their ends."""
    if out.is_terminal:
        out.print(shown)
        return
    with out.capture() as captured:
        out.print(shown)
    for line in captured.get().splitlines():
        out.file.write(f"{line.rstrip()}\n")


def print_json(value: Any) -> None:
    """The value as JSON on standard output, for programs; NaN and infinity become null."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def results_only(wanted: bool = True) -> Iterator[None]:
    """Within it, what user code and worker processes print goes to standard error.

    A model file that prints while it is imported must not break the JSON of ``--json``.
    """
    if not wanted:
        yield
        return
    with contextlib.ExitStack() as stack:
        if _is_real_stdout():
            sys.stdout.flush()
            saved = os.dup(1)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, 1)
            stack.callback(sys.stdout.flush)
            os.dup2(2, 1)
        else:
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _is_real_stdout() -> bool:
    try:
        return sys.stdout.fileno() == 1
    except (OSError, ValueError):
        return False
