"""Declared results: a method that hands on what is not of its declared type declares none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from nas_engine_graph.frontend.world import Path, Tree, free_key
from nas_engine_graph.ir import Function, Invoke, Local, walk

__all__ = ["with_true_results"]

_NUMBER = re.compile(r"\b(float|int)\b")
"""Types of which TorchScript may have another one than Python: it takes sizes for tuples, too."""

Functions = dict[Path, dict[str, Function]]


def with_true_results(tree: Tree) -> Functions:
    """The functions; those that hand on a result which is not declared declare none, too."""
    found: Functions = {path: dict(owned) for path, owned in tree.functions.items()}
    changed = True
    while changed:
        changed = False
        for path, owned in found.items():
            for name, function in owned.items():
                if _NUMBER.search(function.returns) and _hands_on(function, path, found, tree):
                    owned[name], changed = replace(function, returns=""), True
    return found


def _hands_on(
    function: Function, path: Path, found: Mapping[Path, Mapping[str, Function]], tree: Tree
) -> bool:
    for node in walk(function.body):
        called: Function | None = None
        match node.operation:
            case Invoke(relative, name):
                called = found.get(tree.canonical((*path, *relative)), {}).get(name)
            case Local(name):
                called = found[path].get(free_key(name))
        if called is not None and called.returns == "":
            return True
    return False
