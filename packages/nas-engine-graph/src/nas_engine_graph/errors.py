"""What this engine refuses, as errors that carry their facts."""

from __future__ import annotations

from nas_core.errors import NasError, Place

__all__ = ["InvalidGraphError", "InvalidInputsError", "UnsupportedModuleError"]


_INSTEAD = {
    False: "decorate the module's class with @nas.basic_unit to keep it whole, or convert with "
    'on_unsupported="basic_unit"',
    True: "the converted module itself can't be kept whole, as nothing would be left to convert: "
    "make it a part of a module that calls it, and convert that",
}


class UnsupportedModuleError(NasError, TypeError):
    """A module can't be converted without changing what it means.

    Attributes:
        construct: what stands in the way.
        path: the module's dotted path; empty for the converted module itself.
        place: the user's file and line, where it is known.
        outermost: whether the converted module itself would have to be kept whole, so that nothing
            is left to convert.
    """

    def __init__(
        self, construct: str, path: str = "", place: Place | None = None, outermost: bool = False
    ) -> None:
        self.construct, self.path, self.place, self.outermost = construct, path, place, outermost
        where = f"{place}: " if place else ""
        module = f" (in module {path!r})" if path else ""
        super().__init__(f"{where}{construct}{module}; {_INSTEAD[outermost]}")

    def __reduce__(
        self,
    ) -> tuple[type[UnsupportedModuleError], tuple[str, str, Place | None, bool]]:
        return type(self), (self.construct, self.path, self.place, self.outermost)


class InvalidInputsError(NasError, TypeError):
    """Inputs are too few, too many, or named otherwise than those that ``forward`` takes.

    Attributes:
        takes: the names of what it takes.
    """

    def __init__(self, problem: str, takes: tuple[str, ...]) -> None:
        self.problem, self.takes = problem, takes
        super().__init__(f"{problem}: forward takes {', '.join(map(repr, takes)) or 'nothing'}")

    def __reduce__(self) -> tuple[type[InvalidInputsError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.problem, self.takes)


class InvalidGraphError(NasError, ValueError):
    """A graph, or its text form, breaks a rule of the IR; ``problems`` says which."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))

    def __reduce__(self) -> tuple[type[InvalidGraphError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)
