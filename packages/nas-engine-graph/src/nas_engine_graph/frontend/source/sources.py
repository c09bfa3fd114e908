"""The sources of functions as trees."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
import types
from functools import lru_cache
from typing import Any

from nas_engine_graph.frontend.source.receivers import name_receiver

__all__ = [
    "CHILDREN",
    "NOT_IN_A_FILE",
    "has_source",
    "nodes_of",
    "parsed",
    "readable",
    "source_lines",
]

NOT_IN_A_FILE = (
    "is not in a file, where TorchScript could read it: write it into one, and import it"
)

# What is text, a number, an operator, or tells whether a variable is read or assigned.
_LEAVES = frozenset(
    {"arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs", "level",
     "module", "name", "op", "ops", "rest", "simple", "tag", "type_comment"}
)  # fmt: skip
CHILDREN: dict[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(field for field in kind._fields if field not in _LEAVES)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
} | dict.fromkeys((ast.Constant, ast.Global, ast.MatchSingleton, ast.Nonlocal), ())
"""The fields in which there may be nodes, or lists of them."""


def nodes_of(tree: ast.AST) -> list[ast.AST]:
    """The nodes of a tree as ``ast.walk`` gives them, in less time; no contexts and operators."""
    found = [tree]
    for node in found:  # It grows.
        inside = node.__dict__
        for name in CHILDREN[node.__class__]:
            if value := inside.get(name):
                if value.__class__ is list:
                    found += filter(None, value)
                else:
                    found.append(value)
    return found


def parsed(function: Any) -> ast.Module:
    """The source of a function, or of what its decorators wrap, wherever it is indented.

    What a method is called on is ``self`` in it, whatever it is called there.

    Raises:
        OSError, TypeError, SyntaxError: it has none that can be read.
    """
    lines, _ = source_lines(function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    name_receiver(tree, function)
    return tree


def readable(function: Any) -> ast.Module | None:
    """The source of a function; None if it has none that can be read.

    >>> readable(len) is None
    True
    """
    try:
        return parsed(function)
    except (OSError, SyntaxError, TypeError):
        return None


def source_lines(written: Any) -> tuple[list[str], int]:
    """The lines of a function or class, and the number of the first in its file.

    Raises:
        OSError, TypeError: it has none that can be read.
    """
    plain = inspect.unwrap(getattr(written, "__func__", written))
    lines, first = (_lines if inspect.isfunction(plain) else inspect.getsourcelines)(plain)
    return list(lines), first


@lru_cache(maxsize=4096)
def _lines(function: types.FunctionType) -> tuple[list[str], int]:
    """Kept, since where a function ends is found by reading it token by token."""
    return inspect.getsourcelines(function)


def has_source(function: Any) -> bool:
    """Whether the file in which a function is written can be read."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is None or bool(linecache.getlines(code.co_filename))
