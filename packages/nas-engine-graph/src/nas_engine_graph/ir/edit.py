"""Edits: pure functions from graph to graph, sharing whatever they do not touch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas_core.errors import nearest

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir.effects import is_pure, references, walk
from nas_engine_graph.ir.graph import Block, Function, Graph, Layer, Member, Node, Tie, Value
from nas_engine_graph.ir.operation import Builtin, Call, Invoke, Local, Operator
from nas_engine_graph.ir.value import Operand, Ref

__all__ = [
    "Found",
    "at",
    "connect",
    "drop_unused",
    "find",
    "fresh_name",
    "insert_after",
    "insert_before",
    "layers",
    "remove",
    "replace_member",
    "replace_node",
    "set_function",
]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A node, and where it is: the path of its graph and the name of its function."""

    path: Path
    function: str
    node: Node


def _target(node: Node) -> str:
    match node.operation:
        case Operator(name) | Builtin(name) | Call(name) | Local(name):
            return name
        case Invoke(path):
            return ".".join(path)
        case operation:
            return type(operation).__name__.lower()


def _path(path: str | Sequence[str]) -> Path:
    return tuple(path.split(".")) if isinstance(path, str) and path else tuple(path)


def at(graph: Graph, path: str | Sequence[str]) -> Member:
    """The member at a dotted path; the graph itself for the empty path.

    Raises:
        KeyError: nothing is there; with the nearest name.
    """
    found: Member = graph
    for name in _path(path):
        members = found.table if isinstance(found, Graph) else {}
        if name not in members:
            where = ".".join(_path(path))
            raise KeyError(f"nothing at {where!r}: no {name!r}{nearest(name, members)}")
        found = members[name]
    return found


def layers(
    graph: Graph, *, kind: str | None = None, label: str | None = None
) -> Iterator[tuple[Path, Layer]]:
    """All layers with their paths, as registered; by class name (``Conv2d``) or label."""
    for name, member in graph.members:
        if isinstance(member, Graph):
            for path, layer in layers(member, kind=kind, label=label):
                yield (name, *path), layer
        elif isinstance(member, Layer):
            fits = kind is None or kind in (member.target, member.target.rpartition(".")[2])
            if fits and (label is None or member.label == label):
                yield (name,), member


def find(
    graph: Graph,
    *,
    name: str | None = None,
    kind: str | None = None,
    label: str | None = None,
    where: Callable[[Node], bool] | None = None,
) -> Iterator[Found]:
    """Nodes in program order, in the graph and all graphs inside it.

    Args:
        name: what the node calls: ``aten.add.Tensor``, ``torch.nn.functional.relu``, or the path
            of a module as its caller writes it.
        kind: the class of the called layer or graph, ``Conv2d``.
        label: the label of the node, or of the called layer or graph.
        where: any other condition.
    """
    yield from _find(graph, (), name, kind, label, where)


def _find(
    graph: Graph,
    path: Path,
    name: str | None,
    kind: str | None,
    label: str | None,
    where: Callable[[Node], bool] | None,
) -> Iterator[Found]:
    for function in graph.functions:
        for node in walk(function.body):
            owner = _called(graph, node)
            if (
                (name is None or _target(node) == name)
                and (kind is None or kind in _kinds(owner))
                and (label is None or label in (node.label, getattr(owner, "label", None)))
                and (where is None or where(node))
            ):
                yield Found(path, function.name, node)
    for child, member in graph.members:
        if isinstance(member, Graph):
            yield from _find(member, (*path, child), name, kind, label, where)


def _called(graph: Graph, node: Node) -> Member | None:
    if not isinstance(node.operation, Invoke):
        return None
    try:
        return at(graph, node.operation.path)
    except KeyError:
        return None


def _kinds(member: Member | None) -> tuple[str, ...]:
    match member:
        case Layer(target):
            return (target, target.rpartition(".")[2])
        case Graph(name=name, kind=kind):
            return (name, kind)
        case _:
            return ()


# ---------------------------------------------------------------------- members


def replace_member(graph: Graph, path: str | Sequence[str], member: Member) -> Graph:
    """The graph with another member at ``path``; a new name is registered last."""
    (name, *rest) = _path(path)
    members = dict(graph.table)
    if rest:
        child = members.get(name)
        if not isinstance(child, Graph):
            raise KeyError(f"{name!r} is no module with members{nearest(name, members)}")
        member = replace_member(child, rest, member)
    if members.get(name) is member:
        return graph
    members[name] = member
    return replace(
        graph, members=tuple(members.items()), ties=_ties(graph, _path(path), bool(rest))
    )


def _ties(graph: Graph, path: Path, inner: bool) -> tuple[Tie, ...]:
    if inner:
        return graph.ties
    return tuple(
        t for t in graph.ties if t.target[: len(path)] != path and t.source[: len(path)] != path
    )


def set_function(graph: Graph, path: str | Sequence[str], function: Function) -> Graph:
    """The graph with another function of this name in the graph at ``path``."""
    owner = at(graph, path)
    if not isinstance(owner, Graph):
        raise KeyError(f"{'.'.join(_path(path))!r} is no graph")
    functions = {f.name: f for f in owner.functions} | {function.name: function}
    changed = replace(owner, functions=tuple(functions.values()))
    return replace_member(graph, path, changed) if _path(path) else changed


# ---------------------------------------------------------------------- nodes


def _rewritten(block: Block, change: Callable[[Node], Sequence[Node]]) -> Block:
    """The block with every node replaced by what ``change`` says; itself if nothing changes."""
    nodes: list[Node] = []
    for node in block.nodes:
        blocks = tuple(_rewritten(inner, change) for inner in node.blocks)
        same = all(a is b for a, b in zip(blocks, node.blocks, strict=True))
        found = change(node)
        if len(found) == 1 and found[0] is node and not same:
            nodes.append(replace(node, blocks=blocks))
        else:
            nodes.extend(found)
    if len(nodes) == len(block.nodes) and all(
        a is b for a, b in zip(nodes, block.nodes, strict=True)
    ):
        return block
    return replace(block, nodes=tuple(nodes))


def _edit(graph: Graph, found: Found, change: Callable[[Node], Sequence[Node]]) -> Graph:
    owner = at(graph, found.path)
    assert isinstance(owner, Graph)
    function = owner.function(found.function)
    body = _rewritten(function.body, lambda node: change(node) if node is found.node else (node,))
    if body is function.body:
        raise InvalidGraphError(
            ("the node is not part of this graph: find it again after an edit",)
        )
    return set_function(graph, found.path, replace(function, body=body))


def replace_node(graph: Graph, found: Found, *nodes: Node) -> Graph:
    """The graph with other nodes in the place of one; they have to define the values it defined."""
    return _edit(graph, found, lambda _: nodes)


def insert_before(graph: Graph, found: Found, *nodes: Node) -> Graph:
    """The graph with nodes before one."""
    return _edit(graph, found, lambda node: (*nodes, node))


def insert_after(graph: Graph, found: Found, *nodes: Node) -> Graph:
    """The graph with nodes after one."""
    return _edit(graph, found, lambda node: (node, *nodes))


def _substituted(block: Block, names: dict[str, Operand], keep: Node | None) -> Block:
    def swap(operand: Operand) -> Operand:
        return names.get(operand.name, operand) if isinstance(operand, Ref) else operand

    def swapped(node: Node) -> Node:
        if node is keep:
            return node
        made = replace(
            node,
            inputs=tuple(map(swap, node.inputs)),
            keywords=tuple((name, swap(operand)) for name, operand in node.keywords),
            blocks=tuple(_substituted(inner, names, keep) for inner in node.blocks),
        )
        return node if made == node else made

    nodes = tuple(map(swapped, block.nodes))
    return replace(block, nodes=nodes, results=tuple(map(swap, block.results)))


def connect(
    graph: Graph, found: Found, value: str, to: Operand, *, keep: Node | None = None
) -> Graph:
    """The graph in which every use of ``value`` in the function of ``found`` takes ``to`` instead.

    Args:
        keep: a node that goes on using ``value``: the one that computes ``to`` from it.
    """
    owner = at(graph, found.path)
    assert isinstance(owner, Graph)
    function = owner.function(found.function)
    body = _substituted(function.body, {value: to}, keep)
    return set_function(graph, found.path, replace(function, body=body))


def remove(graph: Graph, found: Found, instead: Operand | None = None) -> Graph:
    """The graph without a node; uses of its only output take ``instead``."""
    if instead is not None:
        (output,) = found.node.outputs
        graph = connect(graph, found, output.name, instead, keep=found.node)
    return _edit(graph, found, lambda _: ())


def fresh_name(function: Function, hint: str) -> str:
    """A name that no value of the function has."""
    taken = {value.name for value in _values(function.body)}
    name, number = hint, 0
    while name in taken:
        number += 1
        name = f"{hint}_{number}"
    return name


def _values(block: Block) -> Iterator[Value]:
    yield from block.parameters
    for node in block.nodes:
        yield from node.outputs
        for inner in node.blocks:
            yield from _values(inner)


def drop_unused(graph: Graph) -> Graph:
    """The graph without pure nodes that nobody uses; itself if there are none."""
    functions = tuple(_dropped(function) for function in graph.functions)
    members: list[tuple[str, Any]] = [
        (name, drop_unused(member) if isinstance(member, Graph) else member)
        for name, member in graph.members
    ]
    same = all(a is b for a, b in zip(functions, graph.functions, strict=True))
    same = same and all(a is b for (_, a), (_, b) in zip(members, graph.members, strict=True))
    return graph if same else replace(graph, functions=functions, members=tuple(members))


def _dropped(function: Function) -> Function:
    dead = _dead(function.body)
    if not dead:
        return function
    body = _rewritten(function.body, lambda node: () if id(node) in dead else (node,))
    return replace(function, body=body)


def _dead(body: Block) -> set[int]:
    """The pure nodes that nobody uses, or only others of these."""
    uses = Counter(references(body))
    pure = [node for node in walk(body) if node.outputs and is_pure(node)]
    makers = {value.name: node for node in pure for value in node.outputs}
    waiting, dead = pure, set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in dead or any(uses[value.name] for value in node.outputs):
            continue
        dead.add(id(node))
        for operand in node.operands:
            if isinstance(operand, Ref):
                uses[operand.name] -= 1
                if operand.name in makers:
                    waiting.append(makers[operand.name])
    return dead
