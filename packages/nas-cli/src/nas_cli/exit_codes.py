"""The exit codes of ``nas``, stated once: ``nas --help`` and the README show this table."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """What the shell is told.

    >>> int(ExitCode.BAD_INPUT), ExitCode.OK.meaning
    (2, 'done')
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "done"
    FAILED = 1, "the run ended without a completed trial, or gave up after too many failures"
    BAD_INPUT = 2, "bad input: usage, configuration, target, or an error in your own files"
    STATE = 3, "the experiment or its store: missing, locked, running, read-only, full, newer"
    ENGINE = 4, "an engine or plugin: unknown, broken, or unable to serve what was asked"
    BUG = 70, "a fault of ours; --debug shows the traceback"
    INTERRUPTED = 130, "interrupted by Ctrl-C or SIGTERM; nothing that finished is lost"
