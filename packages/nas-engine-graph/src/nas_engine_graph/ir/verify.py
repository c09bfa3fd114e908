"""The invariants of the IR, in one place; run after every pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from nas_core.errors import nearest

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir.graph import (
    RESETTING,
    Absent,
    Attribute,
    Block,
    Function,
    Graph,
    Layer,
    Node,
)
from nas_engine_graph.ir.operation import If, Invoke, Local, Loop, Raise, Read, With, Write
from nas_engine_graph.ir.value import Ref

__all__ = ["problems", "unchained", "verify"]


def verify(graph: Graph) -> Graph:
    """The graph itself, if it keeps the rules.

    Every value is defined once and before its use; blocks have the shape that their operation
    asks for; every path that a method names exists.

    Raises:
        InvalidGraphError: it does not.
    """
    if found := tuple(problems(graph)):
        raise InvalidGraphError(found)
    return graph


def problems(graph: Graph, path: str = "") -> Iterator[str]:
    """Why the graph is no valid graph; nothing if it is one."""
    where = f"{graph.name}{f' ({path})' if path else ''}"
    for name in _repeated(name for name, _ in graph.members):
        yield f"{where}: two members are called {name!r}"
    for name in _repeated(function.name for function in graph.functions):
        yield f"{where}: two functions are called {name!r}"
    for function in graph.functions:
        for problem in _function(graph, function):
            yield f"{where}.{function.name}: {problem}"
    yield from _chain(graph, where)
    for tie in graph.ties:
        for end in (tie.target, tie.source):
            if not _exists(graph, end):
                yield f"{where}: the tie names {'.'.join(map(str, end))!r}, which does not exist"
    yield from _overrides(graph, where)
    for name, member in graph.members:
        if isinstance(member, Graph):
            yield from problems(member, f"{path}.{name}" if path else name)


def _overrides(graph: Graph, where: str) -> Iterator[str]:
    for does, paths in (("pins", graph.pinned), ("turns", graph.turned)):
        for path in paths:
            if not _exists(graph, path):
                yield f"{where}: it {does} {'.'.join(path)!r}, which does not exist"
    for reset in graph.resets:
        if reset.method not in RESETTING:
            yield f"{where}: a reset on {reset.method!r}{nearest(reset.method, RESETTING)}"
        if not isinstance(graph.table.get(reset.attribute), Attribute):
            yield f"{where}: it resets {reset.attribute!r}, which is no attribute"


def _chain(graph: Graph, where: str) -> Iterator[str]:
    """The source of a Sequential is that of its members: its method has to say the same."""
    forward = next((f.body for f in graph.functions if f.name == "forward"), None)
    if graph.kind != "torch.nn.Sequential" or forward is None:
        return
    if problem := unchained([name for name, _ in graph.members], forward):
        yield f"{where}: a Sequential {problem}"


def unchained(names: Sequence[str], forward: Block) -> str:
    """Why a method is not that of a Sequential with members of these names; empty if it is."""
    if [node.operation for node in forward.nodes] != [Invoke((name,)) for name in names]:
        return "whose method does not call its members in order"
    values = [value.name for value in forward.parameters]
    for node in forward.nodes:
        if node.inputs != (Ref(values[-1]),) or node.keywords or len(node.outputs) != 1:
            return "whose members do not hand on one value"
        values.append(node.outputs[0].name)
    if forward.results != (Ref(values[-1]),):
        return "that does not give what its last member gives"
    return ""


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _function(graph: Graph, function: Function) -> Iterator[str]:
    yield from _block(graph, function, function.body, set(), set())
    if len(function.defaults) > len(function.body.parameters):
        yield "more defaults than parameters"


def _block(
    graph: Graph, function: Function, block: Block, visible: set[str], seen: set[str]
) -> Iterator[str]:
    own: list[str] = []

    def define(names: list[str]) -> Iterator[str]:
        for name in names:
            if name in seen:
                yield f"%{name} is defined twice"
            else:
                own.append(name)
        seen.update(names)
        visible.update(names)

    yield from define([value.name for value in block.parameters])
    for node in block.nodes:
        for operand in node.operands:
            if isinstance(operand, Ref) and operand.name not in visible:
                yield f"%{operand.name} is used where it is not defined"
        yield from _shape(node)
        yield from _target(graph, function, node)
        for inner in node.blocks:
            yield from _block(graph, function, inner, visible, seen)
        yield from define([value.name for value in node.outputs])
    for operand in block.results:
        if isinstance(operand, Ref) and operand.name not in visible:
            yield f"%{operand.name} is a result where it is not defined"
    visible.difference_update(own)  # What a block defines is not seen outside of it.


def _shape(node: Node) -> Iterator[str]:
    count, blocks = len(node.outputs), node.blocks
    match node.operation:
        case If():
            good = len(blocks) == 2 and len(node.inputs) == 1
            good = good and all(not b.parameters and len(b.results) == count for b in blocks)
        case Loop():
            good = len(blocks) == 1 and len(node.inputs) == count + 2
            good = good and all(len(b.parameters) == len(b.results) == count + 1 for b in blocks)
            good = good and len({b.parameters for b in blocks}) == 1
        case With(target):
            taken = 0 if target else 1
            good = len(blocks) == 1 and len(blocks[0].parameters) == taken
            good = good and (bool(target) or len(node.inputs) == 1)
            good = good and len(blocks[0].results) == count
        case Raise():
            good = not blocks and not count
        case _:
            good = not blocks
    if not good:
        yield f"{type(node.operation).__name__} with the wrong number of inputs, outputs or blocks"


def _target(graph: Graph, function: Function, node: Node) -> Iterator[str]:
    match node.operation:
        case Invoke(path) | Read(path) | Write(path) if function.free:
            yield f"a free function reaches for {'.'.join(path)!r}"
        case Invoke(path, method):
            owner = _at(graph, path)
            if owner is None:
                yield f"calls {'.'.join(path)!r}, which does not exist"
            elif (
                isinstance(owner, Graph)
                and "." not in method
                and method not in {f.name for f in owner.functions}
            ):
                yield f"calls {'.'.join(path)!r}, which has no {method!r}"
        case Local(name) if name not in {f.name for f in graph.functions if f.free}:
            yield f"calls the function {name!r}, which is not part of the graph"
        case Read(path) if path[-1] != "training" and not _exists(graph, path):
            yield f"reads {'.'.join(path)!r}, which does not exist"


def _at(graph: Graph, path: tuple[str, ...]) -> object | None:
    found: object = graph
    for name in path:
        if not isinstance(found, Graph):
            return found if isinstance(found, Layer) else Absent("module")
        found = found.table.get(name)
    return found


def _exists(graph: Graph, path: tuple[str, ...]) -> bool:
    return _at(graph, path) is not None
