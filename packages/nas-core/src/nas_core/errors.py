"""What can go wrong, as data: every error names what, where, and what would be accepted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = [
    "EngineOptionError",
    "ExhaustedSpaceError",
    "InvalidArchitectureError",
    "LabelConflictError",
    "NasError",
    "OpenChoiceError",
    "Place",
    "PluginError",
    "SpaceTooLargeError",
    "UnknownEngineError",
    "UnsupportedFormatError",
    "UnsupportedSpaceError",
    "nearest",
]


class Place(NamedTuple):
    """A line of the user's code.

    >>> str(Place("net.py", 41))
    'net.py:41'
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a message that proposes the closest of the accepted names, or nothing.

    >>> nearest("widht", ["width", "depth"])
    "; did you mean 'width'?"
    >>> nearest("W", ["w", "depth"])
    "; did you mean 'w'?"
    >>> nearest("q", ["width", "depth"])
    ''
    """
    lower = {each.lower(): each for each in names}
    found = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"; did you mean {lower[found[0]]!r}?" if found else ""


class NasError(Exception):
    """The root of all errors that this project raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return Exception.__str__(self)


class LabelConflictError(NasError, ValueError):
    """One label stands for two different decisions."""

    def __init__(self, label: str, first: str, second: str) -> None:
        self.label = label
        self.first = first
        self.second = second
        super().__init__(
            f"label {label!r} is used for two different choices:\n  {first}\n  {second}\n"
            "the same label means the same decision: give both the same options, "
            "or one of them another label"
        )

    def __reduce__(self) -> tuple[type[LabelConflictError], tuple[str, str, str]]:
        return type(self), (self.label, self.first, self.second)


class InvalidArchitectureError(NasError, ValueError):
    """An architecture is not a point of its space; ``problems`` says why, each in a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("not an architecture of this space: " + "; ".join(self.problems))

    def __reduce__(
        self,
    ) -> tuple[type[InvalidArchitectureError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class OpenChoiceError(NasError, TypeError):
    """The value of a choice is needed where none has been chosen yet."""


class UnsupportedSpaceError(NasError, TypeError):
    """An engine can't serve a model space; ``problems`` are the engine's reasons."""

    def __init__(self, problems: Sequence[object]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))

    def __reduce__(
        self,
    ) -> tuple[type[UnsupportedSpaceError], tuple[tuple[object, ...]]]:
        return type(self), (self.problems,)

    @property
    def certain(self) -> bool:
        """Whether no other engine could serve it either."""
        return any(getattr(problem, "certain", False) for problem in self.problems)


class SpaceTooLargeError(NasError, OverflowError):
    """A question about a space would take more steps than the caller allows."""


class ExhaustedSpaceError(NasError, LookupError):
    """No (further) architecture satisfies what was asked."""


class PluginError(NasError, ImportError):
    """A plugin can't be used; the message carries its distribution and reason."""


class UnknownEngineError(NasError, LookupError):
    """No installed plugin offers an engine of this name; ``place`` is the line that asks for it.

    >>> print(UnknownEngineError("pyy", ["py"]))
    no engine 'pyy' is installed (installed: py); did you mean 'py'? `nas list-engines` shows what \
is there
    """

    def __init__(self, name: str, known: Iterable[str], place: Place | None = None) -> None:
        self.name = name
        self.known = tuple(known)
        self.place = place
        where = "" if place is None else f"{place}: "
        near = nearest(name, self.known)
        hint = near or f". Engines are plugins: `pip install nas-engine-{name}` may bring it,"
        super().__init__(
            f"{where}no engine {name!r} is installed (installed: "
            f"{', '.join(self.known) or 'none'}){hint} `nas list-engines` shows what is there"
        )

    def __reduce__(
        self,
    ) -> tuple[type[UnknownEngineError], tuple[str, tuple[str, ...], Place | None]]:
        return type(self), (self.name, self.known, self.place)


class EngineOptionError(NasError, ValueError):
    """An engine does not take an option; ``known`` are the names of those that it has.

    >>> print(EngineOptionError("cgo", "memry", known=["exact", "memory"]))
    engine 'cgo' has no option 'memry' (it has: exact, memory); did you mean 'memory'?
    >>> print(EngineOptionError("cgo", "exact", "must be true or false, not 2"))
    engine 'cgo': exact must be true or false, not 2
    """

    def __init__(
        self, engine: str, option: str, problem: str = "", known: Iterable[str] = ()
    ) -> None:
        self.engine = engine
        self.option = option
        self.problem = problem
        self.known = tuple(known)
        there = f"it has: {', '.join(self.known)}" if self.known else "it has none"
        unknown = f"has no option {option!r} ({there}){nearest(option, self.known)}"
        super().__init__(
            f"engine {engine!r}: {option} {problem}" if problem else f"engine {engine!r} {unknown}"
        )

    def __reduce__(self) -> tuple[type[EngineOptionError], tuple[str, str, str, tuple[str, ...]]]:
        return type(self), (self.engine, self.option, self.problem, self.known)


class UnsupportedFormatError(NasError, ValueError):
    """An engine can't export in the format that was asked for."""
