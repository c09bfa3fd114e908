"""What the methods of a class do with attributes, read from their sources."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from functools import lru_cache

from nas_engine_graph.frontend.names import is_of_torch

__all__ = ["assigned", "raised"]


@dataclass(frozen=True, slots=True)
class _Method:
    """The attributes that a method assigns, all that it mentions, and those beside a ``**``."""

    stored: frozenset[str]
    mentioned: frozenset[str]
    raised: frozenset[str]


@lru_cache(maxsize=4096)
def _methods(cls: type) -> dict[str, _Method]:
    found: dict[str, _Method] = {}
    for base in cls.__mro__:
        if is_of_torch(base) or base is object:
            continue
        for name, member in vars(base).items():
            function = member.fget if isinstance(member, property) else member
            if name == "__init__" or not inspect.isfunction(function):
                continue
            try:
                tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
            except (OSError, SyntaxError, TypeError):
                continue
            nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
            stored = frozenset(node.attr for node in nodes if isinstance(node.ctx, ast.Store))
            powers = (
                node for node in ast.walk(tree) if isinstance(node, ast.BinOp | ast.AugAssign)
            )
            method = _Method(
                stored,
                frozenset(node.attr for node in nodes),
                frozenset(
                    inner.attr
                    for power in powers
                    if isinstance(power.op, ast.Pow)
                    for inner in ast.walk(power)
                    if isinstance(inner, ast.Attribute)
                ),
            )
            found.setdefault(name, method)
    return found


def raised(cls: type) -> list[str]:
    """The attributes that some method raises to a power, or to the power of which."""
    return sorted({name for method in _methods(cls).values() for name in method.raised})


def assigned(classes: set[type]) -> frozenset[str]:
    """The attributes that are assigned by any method that ``forward`` may come to."""
    methods: dict[str, list[_Method]] = {}
    for cls in classes:
        for name, found in _methods(cls).items():
            methods.setdefault(name, []).append(found)
    stored: set[str] = set()
    waiting, seen = ["forward"], {"forward"}
    while waiting:
        for method in methods.get(waiting.pop(), ()):
            stored |= method.stored
            waiting += [name for name in method.mentioned if name in methods and name not in seen]
            seen |= method.mentioned
    return frozenset(stored)
