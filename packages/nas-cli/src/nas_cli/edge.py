"""From an exception to what a user is told: one message on standard error and an exit code.

Three origins are told apart: a ``NasError`` says itself what is wrong; an exception that passed
through the user's own files is theirs and is shown with its file and line; the rest is our fault.
"""

from __future__ import annotations

import sqlite3
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

from nas_core.errors import (
    NasError,
    Place,
    PluginError,
    UnknownEngineError,
    UnsupportedFormatError,
    UnsupportedSpaceError,
)

from nas_cli.console import printable
from nas_cli.exit_codes import ExitCode

__all__ = ["Failure", "NoExperimentError", "explain", "user_place"]

_ENGINE_ERRORS = (PluginError, UnknownEngineError, UnsupportedFormatError, UnsupportedSpaceError)
_STATE_ERRORS = (
    ("nas_search.store", "StoreError"),
    ("nas_search.experiment", "ReplayError"),
    ("nas_search.report.page", "MissingTrialError"),
)
_NOT_THE_USERS = frozenset({"nas_cli", "nas_core", "nas_search"}) | {
    *(
        "altair",
        "click",
        "cloudpickle",
        "filelock",
        "jinja2",
        "msgspec",
        "numpy",
        "optuna",
        "pebble",
        "pluggy",
        "rich",
    ),
    *("dask", "distributed", "fsspec", "psycopg", "ray", "safetensors", "sqlalchemy", "torch"),
}


class NoExperimentError(NasError, LookupError):
    """There is no experiment, or no trial in it, of the name that was given."""


@dataclass(frozen=True)
class Failure:
    """What the user is told of an error."""

    message: str
    code: ExitCode


def explain(error: BaseException) -> Failure:
    """The message and the exit code for whatever a command raised.

    >>> explain(KeyboardInterrupt()).code.name
    'INTERRUPTED'
    >>> explain(KeyError("x")).message.splitlines()[0]
    "Error: nas failed unexpectedly: KeyError: 'x'"
    """
    place = user_place(error)
    match error:
        case KeyboardInterrupt():
            return Failure("Interrupted.", ExitCode.INTERRUPTED)
        case NasError():
            return Failure(f"Error: {_with_place(printable(error), place)}", _code(error))
        case SyntaxError(filename=str(file), lineno=int(line)):
            where = printable(Place(file, line))
            return Failure(f"Error: {where}: {_summary(error)}", ExitCode.BAD_INPUT)
        case _ if place is not None:
            return Failure(f"Error: {printable(place)}: {_summary(error)}", ExitCode.BAD_INPUT)
        case OSError() | sqlite3.Error():
            return Failure(f"Error: {printable(error)}", ExitCode.STATE)
        case _:
            return Failure(_bug(error), ExitCode.BUG)


def user_place(error: BaseException) -> Place | None:
    """The innermost line of the user's own files on the way of an exception."""
    found = None
    for file, line in _user_lines(error):
        found = Place(file, line)
    return found


def _user_lines(error: BaseException) -> Iterator[tuple[str, int]]:
    standard, installed = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        ours = package in _NOT_THE_USERS or package.startswith("nas_engine_")
        is_standard = file.startswith(standard) and not file.startswith(installed)
        if not (ours or is_standard or file.startswith("<")):
            yield file, line


def _code(error: NasError) -> ExitCode:
    if isinstance(error, UnsupportedSpaceError) and error.certain:
        return ExitCode.BAD_INPUT
    if isinstance(error, _ENGINE_ERRORS):
        return ExitCode.ENGINE
    if isinstance(error, NoExperimentError) or _is_about_state(error):
        return ExitCode.STATE
    return ExitCode.BAD_INPUT


def _is_about_state(error: NasError) -> bool:
    # An error can only exist where its module is loaded, and to import the search is slow.
    modules = ((sys.modules.get(module), name) for module, name in _STATE_ERRORS)
    return any(module and isinstance(error, getattr(module, name)) for module, name in modules)


def _with_place(message: str, place: Place | None) -> str:
    if place is None or place.file in message:
        return message
    return f"{printable(place)}: {message}"


def _summary(error: BaseException) -> str:
    r"""Type and message in the words of Python, without the lines of code.

    >>> _summary(ValueError("a [bold] name"))
    'ValueError: a [bold] name'
    """
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {printable(error.msg)}"
    return printable("".join(traceback.format_exception_only(error)).strip())


def _bug(error: BaseException) -> str:
    return (
        f"Error: nas failed unexpectedly: {_summary(error)}\n"
        "This is a fault of nas or of a plugin, not of your input. "
        "The same command with --debug shows the traceback to report."
    )
