"""The sources of functions as trees."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from typing import Any

__all__ = ["NOT_IN_A_FILE", "has_source", "parsed"]

NOT_IN_A_FILE = (
    "is not in a file, where TorchScript could read it: write it into one, and import it"
)


def parsed(function: Any) -> ast.Module:
    """The source of a function, or of what its decorators wrap, wherever it is indented.

    Raises:
        OSError, TypeError, SyntaxError: it has none that can be read.
    """
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))


def has_source(function: Any) -> bool:
    """Whether the file in which a function is written can be read."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is None or bool(linecache.getlines(code.co_filename))
