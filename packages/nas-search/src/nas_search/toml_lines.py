"""Where a TOML text says what."""

from __future__ import annotations

import re

__all__ = ["line_of"]

NAME = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
NAMES = rf"{NAME}(?:\s*\.\s*{NAME})*"
TABLE = re.compile(rf"\s*\[\[?\s*({NAMES})\s*\]")
KEY = re.compile(rf"\s*({NAMES})\s*=")


def line_of(text: str, *path: str) -> int:
    """The line, from 1, that says a key; without one that of the innermost table around it, or 1.

    >>> text = '''
    ... name = "digits"
    ... [strategy]
    ... name = "tpe"
    ... options.seed = 1
    ... '''
    >>> line_of(text, "strategy", "name"), line_of(text, "strategy", "options", "seed")
    (4, 5)
    >>> line_of(text, "strategy", "sampler")
    3
    """
    table: tuple[str, ...] = ()
    depth, found = 0, 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := TABLE.match(line):
            said = table = _names(header[1])
        elif key := KEY.match(line):
            said = (*table, *_names(key[1]))
        else:
            continue
        if len(said) > depth and said == path[: len(said)]:
            depth, found = len(said), number
    return found


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(NAME, dotted))
