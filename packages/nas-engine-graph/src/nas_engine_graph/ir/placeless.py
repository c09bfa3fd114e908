"""Nodes whose place among the others means nothing: they can be written where they are used."""

from __future__ import annotations

from collections.abc import Iterator

from nas_engine_graph.ir.effects import references, walk
from nas_engine_graph.ir.graph import Block, Function, Graph, Node
from nas_engine_graph.ir.operation import Builtin, Loop, Read, Write
from nas_engine_graph.ir.value import Const, Operand, Ref

__all__ = ["graphs", "placeless", "types", "written"]

_SCALARS = frozenset({"int", "float", "bool", "str", "number"})
_ARITHMETIC = frozenset(
    {"add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "eq", "ne", "lt", "le", "gt",
     "ge", "and", "or", "xor", "not", "lshift", "rshift", "int", "float", "bool", "str", "abs",
     "min", "max", "round", "range_length"}
)  # fmt: skip
_TRIPS = frozenset(map(Builtin, ("range_length", "trips")))
_FRESH = frozenset({"list", "tuple", "dict"})


def graphs(graph: Graph) -> Iterator[Graph]:
    """A graph and all graphs inside it."""
    yield graph
    for _, member in graph.members:
        if isinstance(member, Graph):
            yield from graphs(member)


def written(graph: Graph) -> frozenset[str]:
    """The names that any method inside the graph sets: reading them must stay where it is."""
    return frozenset(
        node.operation.path[-1]
        for inner in graphs(graph)
        for function in inner.functions
        for node in walk(function.body)
        if isinstance(node.operation, Write)
    )


def types(function: Function) -> dict[str, str]:
    """The type of every value."""
    found = {value.name: value.type for node in walk(function.body) for value in node.outputs}
    for block in _blocks(function.body):
        found.update((value.name, value.type) for value in block.parameters)
    return found


def placeless(function: Function, written: frozenset[str]) -> dict[str, Node]:
    """The nodes that may be written in place, by the name of their value.

    Reads of what is never set, new lists and tuples that are used once in the same block, and
    arithmetic on plain numbers that is used once: none can notice, or change, what happens in
    between. So are the trips of a loop, which is their place.
    """
    counts: dict[str, int] = {}
    for name in references(function.body):
        counts[name] = counts.get(name, 0) + 1
    for node in walk(function.body):
        match node:
            case Node(Builtin("item"), (Ref(name), _)):  # The loop names it where it begins.
                counts[name] -= 1
    kinds = types(function)
    assigned = {o.name for o in _assigned(function) if isinstance(o, Ref)}
    found: dict[str, Node] = {}
    for block in _blocks(function.body):
        beside = {o.name for node in block.nodes for o in node.operands if isinstance(o, Ref)}
        beside |= {o.name for o in block.results if isinstance(o, Ref)}
        beside -= assigned
        loops = {node.inputs[0] for node in block.nodes if isinstance(node.operation, Loop)}
        for node in block.nodes:
            if len(node.outputs) == 1 and node.label is None:
                name = node.outputs[0].name
                if node.operation in _TRIPS and Ref(name) in loops and counts[name] == 1:
                    found[name] = node
                if _is_placeless(node, counts.get(name, 0), name in beside, kinds, written):
                    found[name] = node
    return found


def _assigned(function: Function) -> Iterator[Operand]:
    """What stands to the left of an assignment: that has to be a variable."""
    for node in walk(function.body):
        if node.operation in (Builtin("iadd"), Builtin("imul")):
            yield node.inputs[0]


def _is_placeless(
    node: Node, count: int, beside: bool, kinds: dict[str, str], written: frozenset[str]
) -> bool:
    match node.operation:
        case Read(path):
            return count > 0 and path[-1] not in written
        case Builtin(name) if name in _FRESH and count == 1 and beside:
            return bool(node.inputs) or name == "tuple"
        case Builtin("is" | "is_not" | "isinstance" | "jit_isinstance") if count > 0:
            return True  # What a value is never changes.
        case Builtin("method.keys" | "method.values" | "method.items") if count == 1:
            return True  # A view shows the dict as it is, whenever it is made.
        case Builtin(name) if name in _ARITHMETIC and count == 1:
            return all(_is_scalar(operand, kinds) for operand in node.operands)
        case _:
            return False


def _is_scalar(operand: Operand, kinds: dict[str, str]) -> bool:
    return isinstance(operand, Const) or kinds.get(operand.name) in _SCALARS


def _blocks(block: Block) -> Iterator[Block]:
    yield block
    for node in block.nodes:
        for inner in node.blocks:
            yield from _blocks(inner)
