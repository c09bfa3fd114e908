"""Find a choice that ``forward`` has given to a function without calling it.

Torch says what it was given, and not which choice that is, nor what to write instead.
"""

from __future__ import annotations

import ast
import linecache
import textwrap
from collections.abc import Iterator
from types import FrameType, TracebackType

from nas_core.expression import Expression

__all__ = ["uncalled_text"]


def uncalled_text(kind: type[BaseException], message: str, passed: TracebackType) -> str | None:
    """What is to be said instead of what torch raised; None if it is about something else.

    Args:
        kind: of what was raised.
        message: what it says.
        passed: where the user's code was left on the way to it.
    """
    # Of what it takes for a list of sizes torch does not find out more than that it is none.
    if not issubclass(kind, TypeError) and "INTERNAL ASSERT FAILED" not in message:
        return None
    frame = passed.tb_frame
    for written in _written(passed):
        for node in _uncalled(written, frame):
            return (
                f"`{ast.unparse(written)}` uses {_value(node, frame)!r}, a choice that is not "
                f"called: write `{ast.unparse(node)}()` for its value"
            )
    return None


def _written(passed: TracebackType) -> Iterator[ast.AST]:
    """The call that was made last in a frame, and the line in which it stands."""
    code = passed.tb_frame.f_code
    first, last, start, end = list(code.co_positions())[passed.tb_lasti // 2]
    if first is not None and last is not None and start is not None and end is not None:
        lines = [linecache.getline(code.co_filename, n).encode() for n in range(first, last + 1)]
        if lines:
            lines[-1] = lines[-1][:end]
            lines[0] = lines[0][start:]
        yield from _parsed(f"({b''.join(lines).decode(errors='replace')})")
    yield from _parsed(textwrap.dedent(linecache.getline(code.co_filename, passed.tb_lineno)))


def _parsed(text: str) -> Iterator[ast.AST]:
    try:
        found = ast.parse(text).body
    except (SyntaxError, ValueError):
        return
    yield from (node.value if isinstance(node, ast.Expr) else node for node in found)


def _uncalled(node: ast.AST, frame: FrameType) -> Iterator[ast.expr]:
    """The variables and attributes that are choices, but for those that are called."""
    match node:
        case ast.Name() | ast.Attribute() if isinstance(_value(node, frame), Expression):
            yield node
        case ast.Call(func, arguments, keywords):
            if not isinstance(_value(func, frame), Expression):
                yield from _uncalled(func, frame)
            for child in (*arguments, *keywords):
                yield from _uncalled(child, frame)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _uncalled(child, frame)


def _value(node: ast.expr, frame: FrameType) -> object:
    """What a variable is, or an attribute that is there without running code; else None."""
    match node:
        case ast.Name(name):
            return frame.f_locals.get(name, frame.f_globals.get(name))
        case ast.Attribute(owner, name):
            inside = getattr(_value(owner, frame), "__dict__", {})
            return inside.get(name, inside.get("_modules", {}).get(name))
    return None
