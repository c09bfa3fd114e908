"""Edits of modules: a member and the calls of it change in one act."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir.edit import (
    Found,
    at,
    connect,
    fresh_name,
    insert_after,
    remove,
    replace_member,
    replace_node,
)
from nas_engine_graph.ir.effects import walk
from nas_engine_graph.ir.graph import Block, Function, Graph, Layer, Member, Node, Value
from nas_engine_graph.ir.operation import Invoke, Read, Write
from nas_engine_graph.ir.queries import NotFoundError, calls, class_names, steps_of
from nas_engine_graph.ir.value import Ref

__all__ = [
    "chain",
    "insert_module",
    "rechained",
    "remove_module",
    "repeat_module",
    "replace_module",
    "require_unreached",
    "without_member",
]

Path = tuple[str, ...]
_SEQUENTIAL = "torch.nn.Sequential"


def chain(*members: Layer | Graph, name: str = "Sequential", label: str | None = None) -> Graph:
    """A ``torch.nn.Sequential`` of the members; without any it hands on its input.

    >>> print(chain(Layer("torch.nn.ReLU")))
    graph Sequential torch.nn.Sequential {
      layer "0" = torch.nn.ReLU()
      method forward(%input) -> "Tensor" {
        %input_1 = invoke "0"(%input)
        give %input_1
      }
    }
    """
    named = tuple((str(i), member) for i, member in enumerate(members))
    return rechained(Graph(name, kind=_SEQUENTIAL, label=label), named)


def rechained(graph: Graph, members: tuple[tuple[str, Member], ...]) -> Graph:
    """A Sequential with these members and the method that calls them in order."""
    if all(name.isdigit() for name, _ in members):
        members = tuple((str(i), member) for i, (_, member) in enumerate(members))
    names = ["input", *(f"input_{i}" for i in range(1, len(members) + 1))]
    nodes = [
        Node(Invoke((name,)), (Ref(taken),), outputs=(Value(given),))
        for (name, _), (taken, given) in zip(members, itertools.pairwise(names), strict=True)
    ]
    body = Block((Value("input"),), tuple(nodes), (Ref(names[-1]),))
    others = tuple(f for f in graph.functions if f.name != "forward")
    return replace(graph, members=members, functions=(Function("forward", body), *others))


def replace_module(graph: Graph, path: str | Sequence[str], module: Layer | Graph) -> Graph:
    """The graph with another module at ``path``; its calls stay, and so does its label.

    Raises:
        KeyError: there is no module.
    """
    old = _module(graph, path)
    if module.label is None and old.label is not None:
        module = replace(module, label=old.label)
    return replace_member(graph, path, module)


def repeat_module(graph: Graph, path: str | Sequence[str], times: int) -> Graph:
    """The graph with a chain of ``times`` copies in the place of a module; 0 for none.

    The copies are modules of their own: they share no weights.

    Raises:
        KeyError: there is no module.
        InvalidGraphError: it is not called with one value for one value.
    """
    module = _module(graph, path)
    for found in calls(graph, path):
        _require_unary(found.node, path)
    copies = (replace(module, label=None),) * times
    return replace_member(graph, path, chain(*copies, label=module.label))


def insert_module(
    graph: Graph,
    where: Found | str | Sequence[str],
    module: Layer | Graph,
    *,
    name: str | None = None,
    before: bool = False,
) -> Graph:
    """The graph with a module that takes the output of a node, and gives it to all its users.

    Args:
        graph: the graph.
        where: the node, or the path of a module that is called once.
        module: what is inserted.
        name: what it is registered as, beside the caller of the node.
        before: it takes the first input of the node instead, and gives it to the node alone.

    Raises:
        KeyError: there is no module at the path.
        InvalidGraphError: the module is not called once, or the node has not one output.
    """
    found = where if isinstance(where, Found) else _only_call(graph, where)
    owner = at(graph, found.path)
    assert isinstance(owner, Graph)
    if owner.kind == _SEQUENTIAL:
        return _inserted_in_chain(graph, found, module, name, before)
    name = _fresh_member(owner, name or class_names(module)[-1].lower())
    function = owner.function(found.function)
    added = replace_member(owner, (name,), module)
    graph = replace_member(graph, found.path, added) if found.path else added
    value = fresh_name(function, name)
    if before:
        first, *rest = found.node.inputs
        made = Node(Invoke((name,)), (first,), outputs=(Value(value),))
        changed = replace(found.node, inputs=(Ref(value), *rest))
        return replace_node(graph, found, made, changed)
    output = _only_output(found.node)
    made = Node(Invoke((name,)), (Ref(output),), outputs=(Value(value),))
    return insert_after(connect(graph, found, output, Ref(value)), found, made)


def _inserted_in_chain(
    graph: Graph, found: Found, module: Layer | Graph, name: str | None, before: bool
) -> Graph:
    owner = at(graph, found.path)
    assert isinstance(owner, Graph)
    assert isinstance(found.node.operation, Invoke)
    require_unreached(graph, found.path)
    members = list(owner.members)
    index = [member for member, _ in members].index(found.node.operation.path[0])
    numbered = all(member.isdigit() for member, _ in members)
    fresh = str(len(members)) if numbered else _fresh_member(owner, name or "inserted")
    members.insert(index if before else index + 1, (fresh, module))
    changed = rechained(owner, tuple(members))
    return replace_member(graph, found.path, changed) if found.path else changed


def remove_module(graph: Graph, path: str | Sequence[str]) -> Graph:
    """The graph without a module: where it was called, its input goes on.

    Raises:
        KeyError: there is no module.
        InvalidGraphError: it is not called with one value for one value.
    """
    steps = steps_of(path)
    _module(graph, steps)
    parent = at(graph, steps[:-1])
    assert isinstance(parent, Graph)
    if parent.kind == _SEQUENTIAL:
        require_unreached(graph, steps[:-1])
        rest = rechained(parent, tuple(m for m in parent.members if m[0] != steps[-1]))
        return replace_member(graph, steps[:-1], rest) if steps[:-1] else rest
    while (found := next(calls(graph, steps), None)) is not None:
        _require_unary(found.node, steps)
        graph = remove(graph, found, instead=found.node.inputs[0])
    return without_member(graph, steps)


def without_member(graph: Graph, steps: Path) -> Graph:
    """The graph without what is registered at a path, whoever uses it."""
    name, *rest = steps
    if rest:
        child = dict(graph.members)[name]
        assert isinstance(child, Graph)
        graph = replace_member(graph, (name,), without_member(child, tuple(rest)))
    else:
        graph = replace(graph, members=tuple(m for m in graph.members if m[0] != name))

    def apart(path: Path) -> bool:
        return path[: len(steps)] != steps

    return replace(
        graph,
        ties=tuple(tie for tie in graph.ties if apart(tie.target) and apart(tie.source)),
        pinned=tuple(path for path in graph.pinned if apart(path)),
        turned=tuple(path for path in graph.turned if apart(path)),
        resets=tuple(reset for reset in graph.resets if apart((reset.attribute,))),
    )


def _module(graph: Graph, path: str | Sequence[str]) -> Layer | Graph:
    found = at(graph, path)
    if not isinstance(found, Layer | Graph):
        kind = type(found).__name__.lower()
        raise NotFoundError(f"{'.'.join(steps_of(path))!r} is no module, but a {kind}")
    return found


def _only_call(graph: Graph, path: str | Sequence[str]) -> Found:
    _module(graph, path)
    found = list(calls(graph, path))
    if len(found) != 1:
        where = ".".join(steps_of(path))
        raise InvalidGraphError((f"{where!r} is called {len(found)} times: say at which node",))
    return found[0]


def _only_output(node: Node) -> str:
    if len(node.outputs) != 1:
        raise InvalidGraphError((f"a node with {len(node.outputs)} outputs, not one",))
    return node.outputs[0].name


def _require_unary(node: Node, path: str | Sequence[str]) -> None:
    if len(node.inputs) != 1 or node.keywords or len(node.outputs) != 1:
        where = ".".join(steps_of(path))
        raise InvalidGraphError((f"{where!r} is not called with one value for one value",))


def require_unreached(graph: Graph, path: Path) -> None:
    """Refuse to number the members of a chain anew if others name them by their number.

    Raises:
        InvalidGraphError: they do.
    """
    for depth in range(len(path)):
        owner = at(graph, path[:depth])
        for function in owner.functions if isinstance(owner, Graph) else ():
            for node in walk(function.body):
                match node.operation:
                    case Invoke(inner) | Read(inner) | Write(inner):
                        start = path[depth:]
                        if inner[: len(start)] == start and len(inner) > len(start):
                            where = ".".join(path)
                            raise InvalidGraphError(
                                (f"{where!r} is a chain whose members are used by number",)
                            )


def _fresh_member(graph: Graph, name: str) -> str:
    names = {member for member, _ in graph.members} | {f.name for f in graph.functions}
    fresh, number = name, 0
    while fresh in names:
        number += 1
        fresh = f"{name}_{number}"
    return fresh
