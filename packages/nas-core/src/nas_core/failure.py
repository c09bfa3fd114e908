"""Say in one line what other people's code raised, and where it did."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import TypeVar

from nas_core.errors import Place
from nas_core.uncalled import uncalled_text

__all__ = ["Failed", "attempt", "failure_text", "place_of"]

T = TypeVar("T")

_STANDARD = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
_INSTALLED = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
_OURS = ("nas_core", "nas_search", "nas_cli")


@dataclass(frozen=True)
class Failed:
    """What a plugin raised instead of doing what it was asked for."""

    error: BaseException


def attempt(act: Callable[[], T]) -> T | Failed:
    """Call into a plugin: the edge where anything may be raised, and must hurt only the plugin.

    >>> attempt(lambda: 1 / 1), attempt(lambda: 1 / 0)
    (1.0, Failed(error=ZeroDivisionError('division by zero')))
    """
    try:
        return act()
    except KeyboardInterrupt:
        raise
    # A plugin is anybody's code. Not only Exception: it may call sys.exit() when it is imported.
    except BaseException as error:  # noqa: BLE001
        return Failed(error)


def failure_text(error: BaseException) -> str:
    """The type and message of an exception, with the line of the user's code that led to it.

    >>> failure_text(ValueError("too wide"))
    'ValueError: too wide'
    >>> failure_text(KeyError())
    'KeyError'
    """
    # Not str(error): that may raise, too.
    message = str(traceback.TracebackException(type(error), error, None)).strip()
    passed = _passed(error)
    if passed is not None and (other := uncalled_text(type(error), message, passed)) is not None:
        return f"{other} ({_place(passed)})"
    name = type(error).__name__.lstrip("_")  # Of ours some have names that nobody should use.
    text = f"{name}: {message}" if message else name
    place = None if passed is None else _place(passed)
    # A SyntaxError says its place itself, and so do many of our own.
    told = isinstance(error, SyntaxError) or getattr(error, "place", None) is not None
    if place is None or told or str(place) in text:
        return text
    return f"{text} ({place})"


def place_of(error: BaseException) -> Place | None:
    """The innermost line of the user's code that an exception passed.

    If there is none, that of a library, and else that of an engine, but for what our own packages
    raise there: their messages say all. Generated code may say in ``__places__`` of its module from
    where each of its lines is.
    """
    passed = _passed(error)
    return None if passed is None else _place(passed)


def _place(passed: TracebackType) -> Place:
    frame = passed.tb_frame
    here = (frame.f_code.co_filename, passed.tb_lineno)
    file, line = frame.f_globals.get("__places__", {}).get(passed.tb_lineno, here)
    return Place(_shortest(file), line)


def _passed(error: BaseException) -> TracebackType | None:
    """Where it passed that line."""
    entries = [
        (_rank(entry.tb_frame), entry)
        for entry in _entries(error.__traceback__)
        if not _is_standard(entry.tb_frame.f_code.co_filename)
    ]
    best = min((rank for rank, _ in entries), default=_OWN)
    if best == _OWN or (best == _ENGINE and entries[-1][0] == _OWN):
        return None
    return [entry for rank, entry in entries if rank == best][-1]


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


_USER, _LIBRARY, _ENGINE, _OWN = range(4)


def _rank(frame: FrameType) -> int:
    """How little the line of this frame tells the user."""
    file = frame.f_code.co_filename
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    if package in _OURS:
        return _OWN
    if package.startswith("nas_engine_"):
        return _ENGINE
    return _LIBRARY if _is_installed(file) else _USER


def _is_installed(file: str) -> bool:
    return file.startswith(_INSTALLED)


def _is_standard(file: str) -> bool:
    return file.startswith(("<frozen", *_STANDARD)) and not _is_installed(file)


def _shortest(file: str) -> str:
    path, folder = Path(file), Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file
