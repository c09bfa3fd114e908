"""What several parts say of a configuration that can't be used."""

from __future__ import annotations

from collections.abc import Iterable

from nas_core.errors import NasError, Place, nearest

__all__ = ["MissingExtraError", "PlacedError", "unknown_option"]


class PlacedError(NasError, ValueError):
    """Something that a configuration says; ``place`` is the line of its file, if it has one."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        self.message = message
        self.place = place
        super().__init__(message if place is None else f"{place}: {message}")

    def __reduce__(self) -> tuple[type[PlacedError], tuple[str, Place | None]]:
        return type(self), (self.message, self.place)


class MissingExtraError(NasError, ImportError):
    """An optional dependency is not installed; ``command`` installs it."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        self.command = f"pip install 'nas-search[{extra}]'"
        self._what = what
        super().__init__(f"{what} needs the optional dependency {extra!r}: {self.command}")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self._what, self.extra)


def unknown_option(owner: str, option: str, known: Iterable[str]) -> str:
    """The message for an option that something does not have.

    >>> unknown_option("strategy 'random'", "sed", ["seed"])
    "strategy 'random' has no option 'sed' (it has: seed); did you mean 'seed'?"
    """
    names = list(known)
    return (
        f"{owner} has no option {option!r} (it has: {', '.join(names) or 'none'})"
        f"{nearest(option, names)}"
    )
