"""Types that TorchScript asks for, learnt from what it says.

After ``mask = None`` it takes the variable for None alone, and after ``sizes = []`` for a list of
tensors. Where they are something else it refuses them, and says what: then they are declared.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from nas_engine_graph.frontend.rewriting.declared import declared
from nas_engine_graph.frontend.rewriting.defaults import Given, Unrefined, given_of, unrefined_of
from nas_engine_graph.frontend.rewriting.early import Early, early_of
from nas_engine_graph.frontend.rewriting.floats import Integer, integer_of
from nas_engine_graph.frontend.rewriting.listed import Listed, listed_of
from nas_engine_graph.frontend.rewriting.returned import Returned, returned_of
from nas_engine_graph.frontend.rewriting.summed import Summed, summed_of
from nas_engine_graph.frontend.rewriting.widened import is_declared, widen_around
from nas_engine_graph.frontend.rewriting.zipped import Zipped, zipped_of
from nas_engine_graph.frontend.source.leaving import LeftMethod
from nas_engine_graph.frontend.source.mixed import Mixed, mixed_of
from nas_engine_graph.frontend.source.places import frame_of, placed
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["Learnt", "LearntError", "Lesson", "declare", "lesson_of"]

_BOTH = re.compile(
    r"Variable '(\w+)' previously had type ([\w\[\], ]+?)(?: \(inferred\))? but is now being "
    r"assigned to a value of type ([\w\[\], ]+?)(?: \(inferred\))?\s*:"
)
_ITEM = re.compile(
    r"Could not match type ([\w\[\], ]+?) to t in argument 'el': "
    r"Type variable 't' previously matched to type Tensor"
)
_NONES = re.compile(
    r"Variable '(\w+)' previously had type List\[NoneType\](?: \(inferred\))? but is now being "
    r"assigned to a value of type List\[(\w+)\]"
)


@dataclass(frozen=True, slots=True)
class Learnt:
    """The type of a variable.

    Attributes:
        file: where the function is.
        line: where TorchScript has found the type to be another one.
        name: of the variable; empty for that of which ``append`` is called there.
        kind: its type, in words of TorchScript.
        later: whether it is of this type only from there on: until then it is not None.
    """

    file: str
    line: int
    name: str
    kind: str
    later: bool = False


Lesson: TypeAlias = (
    Learnt | Mixed | Unrefined | Given | Returned | Integer | LeftMethod | Early | Zipped | Summed
    | Listed
)  # fmt: skip


class LearntError(Exception):
    """What is learnt from an attempt, beside what TorchScript says."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        super().__init__(lesson)


def lesson_of(error: BaseException | None) -> Lesson | None:
    """What TorchScript wanted to be told, if this is why it refused."""
    if isinstance(error, LearntError):
        return error.lesson
    text = str(error)
    if (failure := early_of(text)) is not None:
        return failure
    frame = frame_of(text)
    if frame is None:
        return None
    if (said := _ITEM.search(text)) is not None:
        return Learnt(frame.file, frame.line, "", f"List[{said[1]}]")
    if (said := _NONES.search(text)) is not None:
        return Learnt(frame.file, frame.line, said[1], f"List[Optional[{said[2]}]]")
    if (said := _BOTH.search(text)) is not None and _may_be_none(said[2], said[3]):
        kind = said[2] if said[3] == "NoneType" else said[3]
        kind = kind if kind.startswith("Optional[") else f"Optional[{kind}]"
        return Learnt(frame.file, frame.line, said[1], kind, said[2] != "NoneType")
    said_at_once: Lesson | None = summed_of(text) or listed_of(text)
    if said_at_once is not None:
        return said_at_once
    early: Lesson | None = integer_of(text) or mixed_of(text) or given_of(text) or zipped_of(text)
    return early or returned_of(text) or unrefined_of(text)


def _may_be_none(kind: str, other: str) -> bool:
    """Whether a variable of these two types is of one that may be None."""
    return "NoneType" in (kind, other) or other == f"Optional[{kind}]"


def declare(tree: ast.Module, first: int, learnt: Iterable[Learnt]) -> None:
    """Declare variables where they are assigned first, or again before blocks, in place.

    Args:
        tree: a function.
        first: the line of its file that is its first.
        learnt: what is known of its variables.
    """
    for lesson in learnt:
        name = lesson.name or _filled(tree, lesson.line - first + 1)
        if not lesson.later and not is_declared(tree, name):
            _Declared(name, lesson.kind).visit(tree)
        if lesson.kind.startswith("Optional["):
            widen_around(tree, lesson.line - first + 1, name, lesson.kind)


def _filled(tree: ast.AST, line: int) -> str:
    """The variable of which ``append`` is called in a line."""
    for node in nodes_of(tree):
        match node:
            case ast.Call(ast.Attribute(ast.Name(name), "append")) if node.lineno == line:
                return name
    return ""


class _Declared(Rewriter):
    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind, self.done = name, kind, False

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        if self.done:
            return node
        match node:
            case ast.Assign([ast.Name(self.name)], value):
                return self.declaration(node, value)
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                names = [target.id if isinstance(target, ast.Name) else "" for target in targets]
                if self.name in names and len(names) == len(values):
                    return self.beside(node, values, names.index(self.name))
        return node

    def beside(self, node: ast.Assign, values: list[ast.expr], at: int) -> list[ast.stmt]:
        """An assignment to several variables, of which one is what may be None only later."""
        if self.kind.startswith("Optional["):
            return [
                node,
                self.declaration(node, ast.copy_location(ast.Name(self.name, ast.Load()), node)),
            ]
        values[at] = declared(values[at], self.type(node))
        return [node]

    def declaration(self, node: ast.Assign, value: ast.expr) -> ast.stmt:
        target = ast.copy_location(ast.Name(self.name, ast.Store()), node)
        made = ast.AnnAssign(target, self.type(node), value, simple=1)
        return ast.copy_location(made, node)

    def type(self, node: ast.Assign) -> ast.expr:
        """What the variable is of, to be written there."""
        self.done = True
        return placed(ast.parse(self.kind, mode="eval").body, node)
