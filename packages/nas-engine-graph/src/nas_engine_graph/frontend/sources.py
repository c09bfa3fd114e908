"""The sources of functions as trees."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

__all__ = ["parsed"]


def parsed(function: Any) -> ast.Module:
    """The source of a function, or of what its decorators wrap, wherever it is indented.

    Raises:
        OSError, TypeError, SyntaxError: it has none that can be read.
    """
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
