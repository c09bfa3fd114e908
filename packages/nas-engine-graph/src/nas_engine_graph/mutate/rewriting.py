"""Put other dataflow in the place of a pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir import (
    Graph,
    Invoke,
    Layer,
    Member,
    Node,
    Read,
    Ref,
    Write,
    at,
    replace_member,
    set_function,
    verify,
    walk,
    without_member,
)
from nas_engine_graph.ir.modules import rechained, require_unreached
from nas_engine_graph.ir.queries import class_names
from nas_engine_graph.mutate.fragment import Described, Fragment, fragment, layers_of
from nas_engine_graph.mutate.matching import Match, matches
from nas_engine_graph.mutate.splice import Splice

__all__ = ["replace_match", "rewrite"]

Path = tuple[str, ...]
_SEQUENTIAL = "torch.nn.Sequential"


def rewrite(
    graph: Graph,
    pattern: Described,
    replacement: Described | None = None,
    *,
    make: Callable[[Match], Described] | None = None,
    kinds: Mapping[str, str] | None = None,
    where: Callable[[Match], bool] | None = None,
) -> Graph:
    """The graph with every occurrence of a pattern replaced; itself if there is none.

    Modules that the pattern calls and the replacement does not are removed if nobody else uses
    them. The layers of a replacement are new; a text means the modules of the pattern by their
    names there.

    Args:
        graph: what is rewritten.
        pattern: a text, a module or a function, see ``fragment``; what matches, ``matches`` says.
        replacement: the same. It takes what the pattern takes, by name or else in this order.
        make: makes the replacement of each match instead; called in the order of the program.
        kinds: the classes of the modules in a pattern that is a text.
        where: only these.

    >>> import torch
    >>> from torch import nn
    >>> from nas_engine_graph import convert
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU())
    >>> rewrite(convert(net), nn.Sequential(nn.BatchNorm1d(2), nn.ReLU()), nn.Tanh).instantiate()
    Traceback (most recent call last):
    nas_engine_graph.errors.InvalidGraphError: a replacement is a text, a module or a function: \
call the class Tanh
    >>> made = rewrite(
    ...     convert(net), nn.Sequential(nn.BatchNorm1d(2), nn.ReLU()), nn.Sequential(nn.Tanh())
    ... )
    >>> made.instantiate()
    Sequential(
      (0): Linear(in_features=2, out_features=2, bias=True)
      (1): Tanh()
    )

    Raises:
        InvalidGraphError: the replacement does not fit the pattern, or what is made is no graph.
    """
    if (replacement is None) == (make is None):
        raise InvalidGraphError(("give either a replacement or make",))
    look = fragment(pattern)
    fixed = None if replacement is None else _described(replacement)
    found = list(matches(graph, look, kinds=kinds, where=where))
    # In program order: what is decided for one may depend on what was for those before it.
    puts = [fixed if make is None else _described(make(match)) for match in found]
    made = graph
    # Backwards: what a replacement gives is only used further down.
    for match, put in zip(reversed(found), reversed(puts), strict=True):
        assert put is not None
        made = _replaced(made, match, look, put)
    return verify(_in_step(graph, made, [match.path for match in reversed(found)]))


def _described(described: Described) -> Fragment:
    if isinstance(described, type):
        name = described.__name__
        raise InvalidGraphError(
            (f"a replacement is a text, a module or a function: call the class {name}",)
        )
    return fragment(described)


def replace_match(graph: Graph, match: Match, pattern: Described, put: Described) -> Graph:
    """The graph with one match of a pattern replaced: find the others again."""
    made = _replaced(graph, match, fragment(pattern), _described(put))
    return verify(_in_step(graph, made, [match.path]))


def _replaced(graph: Graph, match: Match, look: Fragment, put: Fragment) -> Graph:
    owner = at(graph, match.path)
    assert isinstance(owner, Graph)
    function = owner.function(match.function)
    gone = _gone(graph, owner, match, put)
    paths = _places(owner, match, put, gone)
    for name, module in layers_of(put).items():
        owner = replace_member(owner, paths[name], module)
    body = Splice(function, match, look, put, paths).body()
    owner = set_function(owner, "", replace(function, body=body))
    for path in gone:
        if path not in paths.values():
            owner = without_member(owner, path)
    return replace_member(graph, match.path, owner) if match.path else owner


def _gone(graph: Graph, owner: Graph, match: Match, put: Fragment) -> list[Path]:
    """The modules of the match that nobody uses once it is replaced."""
    kept = {name for name, module in put.modules.items() if module is None}
    matched = set(map(id, match.nodes))
    around = [at(graph, match.path[:depth]) for depth in range(len(match.path))]
    found = []
    for name, path in match.modules.items():
        inside = any(_touches(n, path) and id(n) not in matched for n in _nodes(owner))
        outside = any(
            _touches(node, (*match.path[depth:], *path))
            for depth, above in enumerate(around)
            for node in _nodes(above)
        )
        if name not in kept and not inside and not outside and path not in found:
            found.append(path)
    order = [path for node in match.nodes if (path := _called(node))]
    return sorted(found, key=order.index)


def _nodes(member: Member) -> Iterator[Node]:
    for function in member.functions if isinstance(member, Graph) else ():
        yield from walk(function.body)


def _touches(node: Node, path: Path) -> bool:
    match node.operation:
        case Invoke(other) | Read(other) | Write(other):
            return other[: len(path)] == path
    return False


def _places(owner: Graph, match: Match, put: Fragment, gone: list[Path]) -> dict[str, Path]:
    """Where the modules that the replacement calls are, or will be, registered."""
    freed = list(gone)
    taken = {name for name, _ in owner.members} | {f.name for f in owner.functions}
    places: dict[str, Path] = {}
    for name, module in put.modules.items():
        if isinstance(module, Layer | Graph):
            named = name.isidentifier()
            hint = name if named else class_names(module)[-1].lower()
            # Who gave no name means the place of what goes.
            places[name] = freed.pop(0) if freed and not named else (_fresh(hint, taken),)
            taken |= {places[name][0]}
        elif name in match.modules:
            places[name] = match.modules[name]
        else:
            raise InvalidGraphError((f"the replacement calls {name!r}, which is not known",))
    return places


def _fresh(name: str, taken: set[str]) -> str:
    fresh, number = name, 0
    while fresh in taken:
        number += 1
        fresh = f"{name}_{number}"
    return fresh


def _in_step(before: Graph, after: Graph, paths: Iterable[Path]) -> Graph:
    """Chains at these paths stay chains where they can, and stay numbered."""
    for path in dict.fromkeys(paths):
        owner = _chain_in_step(before, path, at(after, path))
        after = replace_member(after, path, owner) if path else owner
    return after


def _chain_in_step(graph: Graph, path: Path, owner: Member) -> Graph:
    assert isinstance(owner, Graph)
    if owner.kind != _SEQUENTIAL:
        return owner
    names = [called[0] for n in owner.function().body.nodes if (called := _called(n))]
    members = dict(owner.members)
    chained = replace(owner, members=tuple((name, members[name]) for name in names))
    if not _is_chain(chained):
        return replace(owner, kind="torch.nn.Module")
    before = at(graph, path)
    assert isinstance(before, Graph)
    numbers = tuple((str(i), member) for i, (_, member) in enumerate(chained.members))
    if numbers == chained.members or not all(name.isdigit() for name, _ in before.members):
        return chained
    require_unreached(graph, path)
    return rechained(chained, numbers)


def _called(node: Node) -> Path:
    return node.operation.path if isinstance(node.operation, Invoke) else ()


def _is_chain(graph: Graph) -> bool:
    names = [name for name, _ in graph.members]
    body = graph.function().body
    values = [body.parameters[0].name, *(v.name for node in body.nodes for v in node.outputs)]
    return (
        len(set(names)) == len(names) == len(body.nodes) == len(values) - 1
        and all(
            node.operation == Invoke((name,)) and node.operands == (Ref(value),)
            for node, name, value in zip(body.nodes, names, values, strict=False)
        )
        and body.results == (Ref(values[-1]),)
    )
