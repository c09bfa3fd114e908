"""How the methods of a module name what is registered in it, whatever the names are."""

from __future__ import annotations

import functools
import keyword
from typing import Any

from nas_engine_graph.ir import End, Graph, Member

__all__ = ["attribute", "call_on", "inside", "member_path"]

_LISTS = ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ParameterList")
_DICTS = ("torch.nn.ModuleDict", "torch.nn.ParameterDict")


def attribute(owner: str, name: str) -> str:
    """``owner.name``, or ``getattr`` for a name that is no identifier."""
    if name.isidentifier() and not keyword.iskeyword(name):
        return f"{owner}.{name}"
    return f'getattr({owner}, "{name}")'


def inside(owner: str, path: str) -> str:
    """What is at a dotted path inside of a module that stays whole."""
    return functools.reduce(attribute, path.split("."), owner) if path else owner


def _step(text: str, owner: Member | None, name: Any) -> str:
    if isinstance(name, tuple):
        return f"{text}[{name[0]!r}]"
    if isinstance(owner, Graph):
        if owner.kind in _LISTS and owner.is_numbered and name in owner.table:
            return f"{text}[{name}]"
        if owner.kind in _DICTS:
            return f"{text}[{name!r}]"
    return attribute(text, name)


def member_path(graph: Graph | None, path: End) -> str:
    """The expression for what is at ``path``, starting at ``self``."""
    text: str = "self"
    owner: Member | None = graph
    for name in path:
        text = _step(text, owner, name)
        owner = owner.table.get(name) if isinstance(owner, Graph) else None
    return text


def call_on(graph: Graph | None, path: tuple[str, ...], method: str) -> str:
    """What stands before the parentheses of a call of a module or of one of its methods."""
    owner = member_path(graph, path)
    if method == "forward" and path:
        return owner
    return attribute(owner, method)
