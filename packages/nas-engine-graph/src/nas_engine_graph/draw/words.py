"""Words in pictures: whatever they say, they are text."""

from __future__ import annotations

from typing import Any

from nas_engine_graph.ir import Dtype, MemoryFormat, Symbol

__all__ = ["UNMARKED", "caption", "cut", "printable", "target"]

_LONG = 60
UNMARKED = " (marks no layer)"


def printable(value: Any) -> str:
    r"""The value as text of one line, without control characters.

    >>> printable("a\n\x1b"), printable(Dtype("float16")), printable((1, 2))
    ('a\\n\\x1b', 'float16', '(1, 2)')
    """
    match value:
        case Symbol(name) | Dtype(name) | MemoryFormat(name):
            text = name
        case _:
            text = str(value)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def cut(value: Any) -> str:
    """The beginning of a text that is too long for a picture."""
    text = printable(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def caption(lines: list[str]) -> str:
    r"""Lines as a label of DOT, in which nothing is markup.

    >>> print(caption(["<b>", r"a\N"]))
    &lt;b>\na\\N
    """
    # Graphviz reads entities; and what is in angle brackets as a whole, it takes for HTML.
    texts = (line.replace("&", "&amp;").replace("<", "&lt;") for line in lines)
    return "\\n".join(text.replace("\\", "\\\\") for text in texts)


def target(name: str) -> str:
    """The short name of a class, operator or function.

    >>> target("aten.add.Tensor"), target("torch.nn.Conv2d"), target("method.size")
    ('add', 'Conv2d', 'size')
    """
    parts = name.split(".")
    if parts[0] == "aten" and len(parts) == 3:
        return parts[1]
    return parts[-1]
