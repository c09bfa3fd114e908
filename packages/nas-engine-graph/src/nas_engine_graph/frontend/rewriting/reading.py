"""The sources that TorchScript asks for, read eagerly; and how far that has come."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from nas_core.errors import Place
from torch._sources import make_source_context

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.encode import NotEncodableError, symbol_of
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.rewriting.defaults import (
    Given,
    Unrefined,
    declare_by_default,
    declare_given,
)
from nas_engine_graph.frontend.rewriting.eager import eagerly
from nas_engine_graph.frontend.rewriting.early import Early, without_early_ends
from nas_engine_graph.frontend.rewriting.floats import Integer, take_for_floats
from nas_engine_graph.frontend.rewriting.forks import is_exported, without_forks
from nas_engine_graph.frontend.rewriting.handed import without_extras
from nas_engine_graph.frontend.rewriting.idle import without_idle_loops
from nas_engine_graph.frontend.rewriting.learning import Learnt, Lesson, declare
from nas_engine_graph.frontend.rewriting.listed import Listed, declare_listed
from nas_engine_graph.frontend.rewriting.parts import name_parts
from nas_engine_graph.frontend.rewriting.returned import Returned, declare_returned
from nas_engine_graph.frontend.rewriting.summed import Summed, sum_tensors
from nas_engine_graph.frontend.rewriting.unpacked import write_unpacked
from nas_engine_graph.frontend.rewriting.varied import leave_varied
from nas_engine_graph.frontend.rewriting.zipped import Zipped, write_zips_out
from nas_engine_graph.frontend.source.calling import flags, own_call, write_out
from nas_engine_graph.frontend.source.leaving import LeftMethod, is_marked, key_of, left_method
from nas_engine_graph.frontend.source.methods import literals, unrolls
from nas_engine_graph.frontend.source.mixed import Mixed, widen
from nas_engine_graph.frontend.source.modules import class_of
from nas_engine_graph.frontend.source.questions import is_unused
from nas_engine_graph.frontend.source.raising import without_handlers
from nas_engine_graph.frontend.source.receivers import name_receiver
from nas_engine_graph.frontend.source.sources import NOT_IN_A_FILE, nodes_of
from nas_engine_graph.frontend.source.supers import renamed
from nas_engine_graph.frontend.source.variables import name_of, variables_of

__all__ = ["Progress", "eager_reading", "sizes_of"]


@dataclass
class Progress:
    """How far the reading of sources has come.

    Attributes:
        name: of the function that was read last.
        read: the functions of the user's, as they were read.
        functions: the same functions.
        owners: for each of TorchScript's types of modules, by identity, the type and a module.
        owner: the module whose properties are being read.
        root: what is compiled.
        added: classes, and names of methods that they have only while they are read.
        learnt: types of variables that TorchScript has asked for.
        unread: functions that are called as they are, and their dotted names.
        failed: a method that TorchScript can't read, and that can be called as it is.
        placed: marked methods, of which the bodies were written where they are returned.
        empty: attributes that are lists and dicts in which there never is anything.
    """

    name: str = ""
    read: list[Any] = field(default_factory=list)
    functions: list[Any] = field(default_factory=list)
    owners: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    owner: Any = None
    root: Any = None
    added: list[tuple[type, str]] = field(default_factory=list)
    learnt: tuple[Lesson, ...] = ()
    unread: dict[Any, str] = field(default_factory=dict)
    failed: LeftMethod | None = None
    placed: list[Any] = field(default_factory=list)
    empty: frozenset[str] = frozenset()

    def add(self, cls: type, name: str, function: FunctionType) -> str:
        """Let a class have one more method; the name that it got, which no other has."""
        while (found := getattr(cls, name, None)) is not None:
            if isinstance(found, FunctionType) and key_of(found) == key_of(function):
                return name
            name += "_"
        setattr(cls, name, renamed(function, name))
        self.added.append((cls, name))
        return name

    def path_of(self, owner: Any) -> str:
        """Where a module of what is compiled is."""
        return next((n for n, module in self.root.named_modules() if module is owner), "")

    def is_left_method(self, function: Any) -> bool:
        """Whether a method is called as it is."""
        left = [lesson.key for lesson in self.learnt if isinstance(lesson, LeftMethod)]
        return bool(left) and is_marked(function) and key_of(function) in left

    def is_outside(self, function: Any) -> bool:
        """Whether a method is called by others than the methods of the model."""
        of_root = getattr(function, "__self__", None) is self.root is not None
        return is_exported(function) or (of_root and function.__name__ == "forward")

    def in_place(self, method: Any) -> bool:
        """Whether the body of a marked method is written where the method is returned."""
        if self.is_left_method(method):
            return False
        self.placed.append(method)
        return True

    def to_leave(self) -> LeftMethod | None:
        """A method that may be why TorchScript failed, and that can be called as it is."""
        placed = (left_method(m.__func__, m.__self__) for m in self.placed)
        return self.failed or next(filter(None, placed), None)

    def is_left(self, function: FunctionType) -> bool:
        """Whether a function can be called as it is, which TorchScript can't read; from now on.

        It asks whether it is read by TorchScript, or is marked as unused in it: then it is another
        one for Python.
        """
        for parsed, read in zip(self.read, self.functions, strict=True):
            asks = "is_scripting" in parsed.source or is_unused(function)
            if read is function and asks and "." not in function.__qualname__:
                with suppress(NotEncodableError):
                    self.unread[function] = symbol_of(function).name
        return function in self.unread

    @property
    def place(self) -> Place | None:
        """Where the user's code calls the function that was read last."""
        for parsed in reversed(self.read):
            for node in nodes_of(parsed.ast):
                if isinstance(node, ast.Call) and name_of(node.func) == self.name:
                    return Place(parsed.filename or "", parsed.file_lineno + node.lineno - 1)
        return None


def sizes_of(module: Any) -> tuple[str, ...]:
    """The attributes of a module that are sizes of tensors."""
    return tuple(name for name, value in vars(module).items() if isinstance(value, torch.Size))


def _written_in(owner: Any) -> Iterator[Any]:
    """What of the owner of a method becomes part of the source that is read."""
    if isinstance(owner, torch.nn.Module):
        yield from (repr(vars(owner).get(name)) for name in literals(type(owner)))
        if unrolls(type(owner)):
            yield from ((name, class_of(inner)) for name, inner in owner.named_modules())
        yield from sizes_of(owner)
        if own_call(type(owner)) is not None:
            yield from flags(owner).items()
        for name, child in owner._modules.items():
            if own_call(type(child)) is not None or hasattr(type(child), "gives"):
                yield name, type(child)
        constants = getattr(owner, "__constants__", ())
        for name, value in vars(owner).items():
            if type(value) is float or (type(value) is str and name in constants):
                yield name, value if type(value) is str else float


_MARGIN = 100


def eager_reading(parse: Callable[[Any], Any], progress: Progress) -> Callable[[Any], Any]:
    """What parses a function, and reads it as Python does, once for owners that are alike."""
    known: dict[tuple[Any, ...], Any] = {}

    def parse_eagerly(function: Any) -> Any:
        if function in progress.unread:
            return parse(function)
        owner = getattr(function, "__self__", progress.owner)
        key = (getattr(function, "__func__", function), type(owner), *_written_in(owner))
        if key not in known:
            progress.name = function.__name__
            try:
                parsed = parse(function)
            except OSError as error:
                text = f"the source of {function.__qualname__!r} {NOT_IN_A_FILE}"
                raise UnsupportedModuleError(text, place=progress.place) from error
            name_receiver(parsed.ast, function)
            lessons = () if is_of_torch(function) else tuple(_within(parsed, progress.learnt))
            if not is_of_torch(function):
                progress.read.append(parsed)
                progress.functions.append(function)
                given = [lesson for lesson in progress.learnt if isinstance(lesson, Given)]
                _leave_out(parsed, function, owner, progress)
                declare_given(parsed.ast, [g for g in given if g.is_of(function, owner)])
                several = any(isinstance(lesson, Returned) for lesson in lessons)
                declare_returned(parsed.ast, several)
                unrefined = [lesson for lesson in lessons if isinstance(lesson, Unrefined)]
                declare_by_default(parsed.ast, function, parsed.file_lineno, unrefined)
                summed = [lesson for lesson in lessons if isinstance(lesson, Summed)]
                sum_tensors(parsed.ast, parsed.file_lineno, _indent(parsed), summed)
                zipped = [lesson for lesson in lessons if isinstance(lesson, Zipped)]
                write_zips_out(parsed.ast, parsed.file_lineno, owner, zipped)
                if Early() in progress.learnt:
                    without_early_ends(parsed.ast)
            declared = [lesson for lesson in lessons if isinstance(lesson, Learnt)]
            declare(parsed.ast, parsed.file_lineno, declared)
            listed = [lesson for lesson in lessons if isinstance(lesson, Listed)]
            declare_listed(parsed.ast, parsed.file_lineno, listed)
            made = eagerly(function, owner, parsed, progress.add, progress.in_place)
            known[key] = made if is_of_torch(function) else _with_margin(made)
            mixed = [lesson for lesson in lessons if isinstance(lesson, Mixed)]
            widen(made.ast, parsed.file_lineno, _indent(parsed), mixed)
            integers = [lesson for lesson in lessons if isinstance(lesson, Integer)]
            take_for_floats(made.ast, parsed.file_lineno, _indent(parsed), integers)
        return known[key]

    return parse_eagerly


def _leave_out(parsed: Any, function: Any, owner: Any, progress: Progress) -> None:
    """Writes a function without what TorchScript has no words for, in place."""
    if hasattr(function, "spread"):
        write_out(parsed.ast, function, owner, progress.path_of(owner))
    if "try" in parsed.source:
        without_handlers(parsed.ast)
    if "*" in parsed.source:
        without_extras(parsed.ast)
    variables = variables_of(function, parsed.ast)
    if "*" in parsed.source or "map" in parsed.source:
        write_unpacked(parsed.ast, variables)
    leave_varied(parsed.ast, variables.around)
    outside = progress.is_outside(function)
    if outside or any(word in parsed.source for word in ("fork", "wait", "Future")):
        place = Place(parsed.filename or "", parsed.file_lineno)
        without_forks(parsed.ast, function, owner, place, outside)
    if isinstance(owner, torch.nn.Module):
        name_parts(parsed.ast, owner)
    without_idle_loops(parsed.ast, progress.empty)


def _with_margin(parsed: Any) -> Any:
    """A source and a comment: what is written in the place of a shorter word may end behind it.

    There TorchScript looks for the name that follows, and for no dot.
    """
    text, known = f"{parsed.source}{'#' * _MARGIN}", (parsed.filename, parsed.file_lineno)
    context = make_source_context(text, *known, _indent(parsed), True, parsed.ctx.funcname)
    return parsed._replace(ctx=context)


def _indent(parsed: Any) -> int:
    """By how much the source of a function is indented."""
    return len(parsed.source) - len(parsed.source.lstrip(" "))


def _within(parsed: Any, learnt: Iterable[Lesson]) -> Iterator[Lesson]:
    """What is learnt of the variables of a function."""
    for lesson in learnt:
        if isinstance(lesson, Given | LeftMethod | Early):
            continue
        if lesson.file == parsed.filename and _is_in(lesson.line, parsed):
            yield lesson


def _is_in(line: int, parsed: Any) -> bool:
    """Whether a line of a file is one of a function that was read from it."""
    first: int = parsed.file_lineno
    lines: int = parsed.source.count("\n")
    return first <= line <= first + lines
