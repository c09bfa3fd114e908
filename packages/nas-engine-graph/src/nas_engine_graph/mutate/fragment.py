"""A small piece of dataflow, as a pattern to look for or as what takes its place."""

from __future__ import annotations

import inspect
import itertools
import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_type_hints

from torch import Tensor, nn

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.frontend import convert
from nas_engine_graph.frontend.conversion import is_whole
from nas_engine_graph.frontend.layers.layers import is_layer
from nas_engine_graph.ir import Block, Graph, Invoke, Layer, Local, Member, at, parse_block, walk

__all__ = ["Described", "Fragment", "fragment"]

Described: TypeAlias = "str | nn.Module | Callable[..., Any] | Fragment"
"""A fragment, or what ``fragment`` makes one of."""

_COUNTER = itertools.count()


@dataclass(frozen=True)
class Fragment:
    """Nodes in a straight line, and the modules that they call.

    Attributes:
        body: what it takes, its nodes and its results.
        modules: by the path in its nodes; None where nothing is known of one.
    """

    body: Block
    modules: Mapping[str, Member | None] = field(default_factory=dict)

    @property
    def taken(self) -> tuple[str, ...]:
        """The names of what it takes."""
        return tuple(value.name for value in self.body.parameters)


def fragment(described: Described, modules: Mapping[str, Layer | Graph] | None = None) -> Fragment:
    """The fragment that is described.

    Args:
        described: a fragment of the text form (``take %x``, nodes, ``give %y``); a module, whose
            ``forward`` and layers it is; or a function, which TorchScript has to read.
        modules: what a text calls, by the path in it.

    >>> fragment("take %x %y = aten.relu.default(%x) give %y").taken
    ('x',)
    >>> fragment(nn.Sequential(nn.Linear(2, 2), nn.ReLU())).modules["1"].target
    'torch.nn.ReLU'

    Raises:
        InvalidGraphError: it has branches or loops, or the text is not of the form.
        UnsupportedModuleError: TorchScript can't read it.
    """
    match described:
        case Fragment():
            return described
        case str():
            body = parse_block(described)
            known: dict[str, Member | None] = dict.fromkeys(_paths(body))
            return _straight(Fragment(body, known | dict(modules or {})))
        case nn.Module() if is_whole(described) or is_layer(described):
            return _of_graph(convert(nn.Sequential(described)), "forward")
        case nn.Module():
            return _of_graph(convert(described), "forward")
        case _:
            return _of_function(described)


def _paths(body: Block) -> list[str]:
    found = [node.operation.path for node in walk(body) if isinstance(node.operation, Invoke)]
    return [".".join(path) for path in found]


def _of_graph(graph: Graph, name: str) -> Fragment:
    body = graph.function(name).body
    return _straight(Fragment(body, {path: at(graph, path) for path in _paths(body)}))


def _straight(made: Fragment) -> Fragment:
    if any(node.blocks or isinstance(node.operation, Local) for node in made.body.nodes):
        raise InvalidGraphError(("a fragment has no branches, loops or functions of its own",))
    return made


def _of_function(function: Callable[..., Any]) -> Fragment:
    """The body of a function; a module that calls it is what TorchScript is given."""
    hints = get_type_hints(function)
    names = list(inspect.signature(function).parameters)
    scope: dict[str, Any] = {"nn": nn, "function": function}
    scope |= {f"Type{i}": hints.get(name, Tensor) for i, name in enumerate(names)}
    typed = ", ".join(["self", *(f"{name}: Type{i}" for i, name in enumerate(names))])
    source = (
        "class Pattern(nn.Module):\n"
        f"    def forward({typed}):\n"
        f"        return function({', '.join(names)})\n"
    )
    file = f"<fragment {next(_COUNTER)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    try:
        exec(compile(source, file, "exec", dont_inherit=True), scope)
        graph = convert(scope["Pattern"]())
    finally:
        linecache.cache.pop(file, None)
    (called,) = graph.function().body.nodes
    if not isinstance(called.operation, Local):
        return _of_graph(graph, "forward")
    return _of_graph(graph, called.operation.name)


def layers_of(made: Fragment) -> dict[str, Layer | Graph]:
    """The modules that a fragment brings with it."""
    return {path: m for path, m in made.modules.items() if isinstance(m, Layer | Graph)}
