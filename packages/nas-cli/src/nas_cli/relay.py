"""Keeping what user code and workers print away from the live display.

Worker processes write to the terminal's file descriptor itself, in the middle of the display.
So while it lives, the descriptors lead into a pipe, and what arrives is printed above it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO

__all__ = ["own_stream", "relayed"]

_END = b"\x00nas: end of output\x00"


@contextlib.contextmanager
def relayed(show: Callable[[str], None]) -> Iterator[None]:
    """Within it, every line written to descriptors 1 and 2 is given to ``show``, on one thread."""
    reading, writing = os.pipe()
    saved = os.dup(1), os.dup(2)
    reader = threading.Thread(target=_show_lines, args=(reading, show), daemon=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    reader.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        # A worker that still holds the pipe would keep it open: end by a mark, not by closing.
        os.write(writing, _END)
        reader.join(timeout=2)
        for descriptor in (writing, *saved):
            os.close(descriptor)


def _show_lines(reading: int, show: Callable[[str], None]) -> None:
    rest = b""
    while chunk := os.read(reading, 65536):
        text, ended, _ = (rest + chunk).partition(_END)
        *lines, rest = text.split(b"\n")
        if ended and rest:
            lines.append(rest)
        for line in lines:
            show(line.decode(errors="replace").rstrip("\r").rpartition("\r")[2])
        rest = rest[rest.rfind(b"\r") + 1 :]  # a progress bar overwrites its line for hours
        if ended:
            break
    os.close(reading)


def own_stream(stream: IO[str]) -> IO[str]:
    """A second stream to where a stream leads now, which no redirection reaches."""
    return os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8", errors="replace")
