"""Say in one line what other people's code raised, and where it did."""

from __future__ import annotations

import os
import sysconfig
import traceback
from types import FrameType

from nas_core.errors import Place

__all__ = ["failure_text", "place_of"]

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_OURS = ("nas_core", "nas_search", "nas_cli")


def failure_text(error: BaseException) -> str:
    """The type and message of an exception, with the line of the user's code that led to it.

    >>> failure_text(ValueError("too wide"))
    'ValueError: too wide'
    >>> failure_text(KeyError())
    'KeyError'
    """
    message = str(error).strip()
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    place = place_of(error)
    # A SyntaxError says its place itself, and so do many of our own.
    if place is None or isinstance(error, SyntaxError) or str(place) in text:
        return text
    return f"{text} ({place})"


def place_of(error: BaseException) -> Place | None:
    """The innermost line of the user's code that an exception passed; else the innermost line."""
    lines = [
        (frame, Place(_shortest(frame.f_code.co_filename), line))
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith("<frozen")
    ]
    users = [place for frame, place in lines if _is_users(frame)]
    others = [place for frame, place in lines if not _is_core(frame)]
    found = users or others
    return found[-1] if found else None


def _is_users(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    is_ours = package in _OURS or package.startswith("nas_engine_")
    return not is_ours and not frame.f_code.co_filename.startswith(_LIBRARIES)


def _is_core(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "nas_core"


def _shortest(file: str) -> str:
    folder = os.path.join(os.getcwd(), "")
    return file.removeprefix(folder)
