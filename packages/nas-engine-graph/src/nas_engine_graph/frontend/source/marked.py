"""The part of the user's source that TorchScript marks as the place of a node."""

from __future__ import annotations

import ast
import linecache
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from nas_engine_graph.frontend.source.places import frame_of
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import name_of

__all__ = [
    "assigned_to", "called", "first_mark", "is_called", "marked", "marked_in", "marked_text",
    "overload_of",
]  # fmt: skip

_CLOSING = {"(": ",)", "[": "]", "{": "}"}
_OPENING = {")": "(", "]": "[", "}": "{"}
_TOP = re.compile(r"(async )?def |class ")
_MARK = re.compile(r"^\s*(~+)( <--- HERE)?\s*$")


def marked(node: Any) -> ast.expr | None:
    """The expression, if what is marked is one."""
    try:
        return ast.parse(f"({_completed(marked_text(node))})", mode="eval").body
    except SyntaxError:
        return None


def _completed(text: str) -> str:
    """The text with the brackets that TorchScript leaves out where it marks an expression."""
    before, after = "", ""
    for character in text:
        if character in _CLOSING:
            after = _CLOSING[character] + after
        elif character in ")]}" and after:
            after = after[after.index(character) + 1 :]
        elif character in ")]}":
            before = _OPENING[character] + before
    return before + text + after


def called(node: Any) -> ast.Call | None:
    """The call in the user's source that a node stands for: TorchScript marks what is called."""
    text = marked_text(node)
    return next((c for c in _begun(node, lambda c: c.func) if ast.unparse(c.func) == text), None)


def is_called(node: Any, name: str) -> bool:
    """Whether a node stands for a call of this method, and no assignment.

    TorchScript looks for the name right after the last item of a list: of ``[x, y].index(z)`` it
    marks ``[x, y].inde``. Of assignments it marks all.
    """
    text = marked_text(node)
    if text.endswith(f".{name}"):
        return True
    calls = _begun(node, lambda c: c.func.value if isinstance(c.func, ast.Attribute) else c)
    return any(name_of(c.func) == name for c in calls) and not _assigns(_completed(text))


def overload_of(node: Any) -> str:
    """The overload that the source names: of ``torch.ops.aten.add.Scalar`` it marks all but this.

    Empty if it names none.
    """
    text = marked_text(node)
    if ".ops." not in text:
        return ""
    functions = (ast.unparse(call.func) for call in _begun(node, lambda c: c.func))
    return next((f.removeprefix(f"{text}.") for f in functions if f.startswith(f"{text}.")), "")


def _assigns(text: str) -> bool:
    try:
        return isinstance(ast.parse(text).body[0], ast.Assign | ast.AugAssign)
    except (SyntaxError, IndexError):
        return False


def _begun(node: Any, part: Callable[[ast.Call], ast.expr]) -> Iterator[ast.Call]:
    """The calls in the user's source of which a part begins where a node does."""
    shown = node.sourceRange().splitlines()
    frame, mark = frame_of(node.sourceRange()), first_mark(node.sourceRange())
    before = next((line for line, below in pairwise(shown) if _MARK.match(below)), "")
    if frame is None or not before:
        return
    file, line, _ = frame
    column = linecache.getline(file, line).find(before.strip()) + mark - _indent(before)
    for call in (inner for inner in nodes_of(_part(file, line)) if isinstance(inner, ast.Call)):
        first = part(call)
        if (first.lineno, first.col_offset) == (line, column):
            yield call


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def assigned_to(name: str, node: Any) -> list[ast.expr]:
    """The values that a variable gets in the function in which a node is; none if not all show."""
    if (frame := frame_of(node.sourceRange())) is None:
        return []
    file, line, _ = frame
    around: ast.AST = ast.Module([], [])
    for tree in nodes_of(_part(file, line)):
        if isinstance(tree, ast.FunctionDef) and tree.lineno <= line <= (tree.end_lineno or 0):
            around = tree  # Those inside of others come after these.
    values, stored = [], 0
    for inner in nodes_of(around):
        match inner:
            case ast.Assign([ast.Name(found)], value) if found == name:
                values.append(value)
            case ast.AnnAssign(ast.Name(found), _, ast.expr() as value) if found == name:
                values.append(value)
            case ast.Name(found, ast.Store()) | ast.arg(found) if found == name:
                stored += 1
    return values if len(values) == stored else []


def _part(file: str, line: int) -> ast.Module:
    """The function or class of a file in which a line is; all of it if that can't be told."""
    lines = linecache.getlines(file)
    tops = _tops(file, len(lines))
    before = bisect_right(tops, line)
    part = _tree(file, len(lines), [1, *tops][before], [*tops, len(lines) + 1][before])
    return part or _tree(file, len(lines), 1, len(lines) + 1) or ast.Module([], [])


@lru_cache(maxsize=256)
def _tops(file: str, _: int) -> list[int]:
    """The lines of a file of this length in which functions and classes seem to begin."""
    return [n for n, line in enumerate(linecache.getlines(file), 1) if _TOP.match(line)]


@lru_cache(maxsize=256)
def _tree(file: str, _: int, first: int, after: int) -> ast.Module | None:
    """What is written in some lines of a file of this length; None if that is no code."""
    try:
        made = ast.parse("".join(linecache.getlines(file)[first - 1 : after - 1]))
    except SyntaxError:  # Such as half of a text.
        return None
    ast.increment_lineno(made, first - 1)
    return made


def first_mark(text: str) -> int:
    """The column at which begins what TorchScript marks in what it says."""
    found = filter(None, map(_MARK.match, text.splitlines()))
    return next((mark.start(1) for mark in found), 0)


def marked_text(node: Any) -> str:
    """The marked part of the lines that TorchScript shows as the place of a node."""
    return marked_in(node.sourceRange())


def marked_in(text: str) -> str:
    """The marked part of the lines that TorchScript shows.

    Of an expression on several lines a mark may end within a name of the first.
    """
    parts = []
    for line, mark in pairwise(text.splitlines()):
        if found := _MARK.match(mark):
            start, end = found.span(1)
            rest = re.match(r"\w*", line[end:]) if line[end - 1 : end].isidentifier() else None
            parts.append(line[start:end] + (rest[0] if rest else ""))
    return "\n".join(parts)
