"""Names of free functions that something else has where they are called: they get others.

A function may be called ``norm`` where a method of the class is, too, or an argument of what calls
it; in the user's files they are told apart by where they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nas_engine_graph.frontend.world import Path, free_key
from nas_engine_graph.ir import Block, Function, Local, Node, walk
from nas_engine_graph.reserved import RESERVED

__all__ = ["apart"]

Functions = Mapping[Path, Mapping[str, Function]]


def apart(found: Functions) -> Functions:
    """The functions, with other names for free ones that can't keep theirs."""
    taken = set(_taken(found))
    free = {f.name for owned in found.values() for f in owned.values() if f.free}
    if not (clashing := free & taken):
        return found
    known = free | taken | {f.name for owned in found.values() for f in owned.values()}
    names: dict[str, str] = {}
    for name in sorted(clashing):
        number = 1
        while (made := f"{name}_{number}") in known:
            number += 1
        known.add(made)
        names[name] = made
    return {path: dict(_renamed(owned, names)) for path, owned in found.items()}


def _taken(found: Functions) -> Iterator[str]:
    """The names that free functions can't have."""
    yield from RESERVED
    for owned in found.values():
        functions = [f.name for f in owned.values() if f.free]
        yield from (f.name for f in owned.values() if not f.free and f.name in functions)
        for function in owned.values():
            arguments = {value.name for value in function.body.parameters}
            for node in walk(function.body) if functions else ():
                match node.operation:
                    case Local(name) if name in arguments:
                        yield name


def _renamed(
    owned: Mapping[str, Function], names: Mapping[str, str]
) -> Iterator[tuple[str, Function]]:
    for key, function in owned.items():
        made = replace(function, body=_with_names(function.body, names))
        if function.free and function.name in names:
            made = replace(made, name=names[function.name])
        yield free_key(made.name) if made.free else key, made


def _with_names(block: Block, names: Mapping[str, str]) -> Block:
    return replace(block, nodes=tuple(_node(node, names) for node in block.nodes))


def _node(node: Node, names: Mapping[str, str]) -> Node:
    blocks = tuple(_with_names(inner, names) for inner in node.blocks)
    match node.operation:
        case Local(name) if name in names:
            return replace(node, operation=Local(names[name]), blocks=blocks)
    return replace(node, blocks=blocks) if blocks else node
