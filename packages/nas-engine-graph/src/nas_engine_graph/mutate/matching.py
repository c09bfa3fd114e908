"""Where a pattern occurs in the dataflow of a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir import (
    Block,
    Const,
    Function,
    Graph,
    Invoke,
    Layer,
    Member,
    Node,
    Operand,
    Ref,
    at,
    is_pure,
    references,
)
from nas_engine_graph.mutate.fragment import Described, Fragment, fragment

__all__ = ["Match", "matches"]

Path = tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """One occurrence of a pattern.

    Attributes:
        path: of the graph in which it is.
        function: the method in which it is.
        nodes: the nodes, in program order; the last one gives the result.
        values: what each name that the pattern takes stands for here.
        modules: the path, in that graph, of each module that the pattern calls.
        layers: those modules.
    """

    path: Path
    function: str
    nodes: tuple[Node, ...]
    values: Mapping[str, Operand]
    modules: Mapping[str, Path]
    layers: Mapping[str, Member]

    def constant(self, name: str) -> Any:
        """The constant that a name of the pattern stands for.

        Raises:
            KeyError: the pattern does not take it, or it stands for a value of the graph.
        """
        match self.values[name]:
            case Const(value):
                return value
            case operand:
                raise KeyError(f"%{name} is {operand}, no constant")


@dataclass
class _Attempt:
    """The bindings of one try to match; thrown away if it fails."""

    pattern: Fragment
    graph: Graph
    kinds: Mapping[str, str]
    defined: Mapping[str, Node]
    values: dict[str, Operand] = field(default_factory=dict)
    nodes: dict[int, Node] = field(default_factory=dict)
    modules: dict[str, Path] = field(default_factory=dict)

    def node(self, wanted: Node, found: Node) -> bool:
        if id(wanted) in self.nodes:
            return self.nodes[id(wanted)] is found
        if any(known is found for known in self.nodes.values()):
            return False
        self.nodes[id(wanted)] = found
        return (
            self._operation(wanted, found)
            and len(wanted.inputs) == len(found.inputs)
            and [n for n, _ in wanted.keywords] == [n for n, _ in found.keywords]
            and len(wanted.outputs) == len(found.outputs)
            and not found.blocks
            and all(map(self.operand, wanted.operands, found.operands))
        )

    def operand(self, wanted: Operand, found: Operand) -> bool:
        if isinstance(wanted, Const):
            return wanted == found
        if wanted.name in self.pattern.taken:
            return self.values.setdefault(wanted.name, found) == found
        if not isinstance(found, Ref) or found.name not in self.defined:
            return False
        source = _definitions(self.pattern.body)[wanted.name]
        node = self.defined[found.name]
        position = [value.name for value in source.outputs].index(wanted.name)
        same = [value.name for value in node.outputs][position : position + 1] == [found.name]
        return same and self.node(source, node)

    def _operation(self, wanted: Node, found: Node) -> bool:
        if not isinstance(wanted.operation, Invoke) or not isinstance(found.operation, Invoke):
            return wanted.operation == found.operation
        name = ".".join(wanted.operation.path)
        path = self.modules.setdefault(name, found.operation.path)
        return (
            path == found.operation.path
            and wanted.operation.method == found.operation.method
            and self._fits(name, at(self.graph, path))
        )

    def _fits(self, name: str, member: Member) -> bool:
        match self.kinds.get(name, self.pattern.modules.get(name)), member:
            case None, _:
                return True
            case str(kind), Layer(target):
                return kind in (target, target.rpartition(".")[2])
            case str(kind), Graph(name=other):
                return kind == other
            case Layer(target), Layer(other):
                return target == other
            case Graph(name=first), Graph(name=other):
                return first == other
        return False


def _definitions(block: Block) -> dict[str, Node]:
    return {value.name: node for node in block.nodes for value in node.outputs}


def matches(
    graph: Graph,
    pattern: Described,
    *,
    kinds: Mapping[str, str] | None = None,
    where: Callable[[Match], bool] | None = None,
) -> Iterator[Match]:
    """The occurrences of a pattern, in the graph and all graphs inside it; none overlap.

    What the pattern takes matches any value, or a constant (see ``Match.constant``); what it
    computes on the way may have no other users. A module that it calls matches any module (of a
    text), or one of the same class (of a module). The nodes of a match have to be movable to the
    place of its last one: nothing with an effect stands between them.

    Args:
        graph: where to look.
        pattern: a text, a module or a function, see ``fragment``.
        kinds: the classes of the modules in a text: ``{"conv": "Conv2d"}``.
        where: any other condition.

    >>> from nas_engine_graph.ir import parse
    >>> graph = parse('graph T torch.nn.Module { method forward(%x) -> "Tensor" {'
    ...               '%y = aten.mul.Tensor(%x, 2) %z = aten.add.Tensor(%y, %x) give %z } }')
    >>> (match,) = matches(graph, "take %a, %k %b = aten.mul.Tensor(%a, %k) give %b")
    >>> match.constant("k")
    2

    Raises:
        InvalidGraphError: the pattern has several results or a part that leads to none.
    """
    made = _rooted(fragment(pattern))
    if unknown := set(kinds or {}) - set(made.modules):
        raise InvalidGraphError((f"the pattern calls no module {min(unknown)!r}",))
    yield from _in_graph(graph, (), made, kinds or {}, where)


def _rooted(pattern: Fragment) -> Fragment:
    """The pattern, if everything in it leads to its last node, which gives its result."""
    nodes = pattern.body.nodes
    if not nodes:
        raise InvalidGraphError(("a pattern without nodes",))
    given = tuple(Ref(value.name) for value in nodes[-1].outputs)
    if pattern.body.results != given:
        raise InvalidGraphError(("a pattern gives what its last node gives, and nothing else",))
    defined, reached, waiting = _definitions(pattern.body), set[int](), [nodes[-1]]
    while waiting:
        node = waiting.pop()
        reached.add(id(node))
        names = [o.name for o in node.operands if isinstance(o, Ref)]
        waiting += [defined[name] for name in names if name in defined]
    if any(id(node) not in reached for node in nodes):
        raise InvalidGraphError(("a part of the pattern does not lead to its result",))
    return pattern


def _in_graph(
    graph: Graph,
    path: Path,
    pattern: Fragment,
    kinds: Mapping[str, str],
    where: Callable[[Match], bool] | None,
) -> Iterator[Match]:
    for function in graph.functions:
        if not function.free:
            taken: set[int] = set()
            for match in _in_block(graph, path, function, function.body, pattern, kinds):
                if taken.isdisjoint(map(id, match.nodes)) and (where is None or where(match)):
                    taken |= set(map(id, match.nodes))
                    yield match
    for name, member in graph.members:
        if isinstance(member, Graph):
            yield from _in_graph(member, (*path, name), pattern, kinds, where)


def _in_block(
    graph: Graph,
    path: Path,
    function: Function,
    block: Block,
    pattern: Fragment,
    kinds: Mapping[str, str],
) -> Iterator[Match]:
    defined = _definitions(block)
    for node in block.nodes:
        tried = _Attempt(pattern, graph, kinds, defined)
        if tried.node(pattern.body.nodes[-1], node) and _is_free(tried, function, block):
            ids = set(map(id, tried.nodes.values()))
            yield Match(
                path,
                function.name,
                tuple(n for n in block.nodes if id(n) in ids),
                tried.values,
                tried.modules,
                {name: at(graph, where) for name, where in tried.modules.items()},
            )
        for inner in node.blocks:
            yield from _in_block(graph, path, function, inner, pattern, kinds)


def _is_free(tried: _Attempt, function: Function, block: Block) -> bool:
    """Whether the nodes can be replaced as one, at the place of the last one."""
    ids = set(map(id, tried.nodes.values()))
    positions = [i for i, node in enumerate(block.nodes) if id(node) in ids]
    matched = [block.nodes[i] for i in positions]
    between = block.nodes[positions[0] : positions[-1]]
    if not all(id(node) in ids or is_pure(node) for node in between):
        return False
    inner = {value.name for node in matched[:-1] for value in node.outputs}
    used = [name for name in references(function.body) if name in inner]
    return len(used) == len([name for name in _used(matched) if name in inner])


def _used(nodes: Sequence[Node]) -> list[str]:
    return [o.name for node in nodes for o in node.operands if isinstance(o, Ref)]
