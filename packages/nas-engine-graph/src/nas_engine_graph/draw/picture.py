"""A graph as DOT: what flows from node to node, modules as boxes around theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_core.nn import ChosenInputs, ChosenList

from nas_engine_graph.draw.labels import marking
from nas_engine_graph.draw.style import BOX, digraph
from nas_engine_graph.draw.words import UNMARKED, caption, cut, printable, target
from nas_engine_graph.ir import (
    Block,
    Builtin,
    Call,
    Function,
    Graph,
    If,
    Invoke,
    Layer,
    Local,
    Loop,
    Member,
    Node,
    Operand,
    Operator,
    Raise,
    Read,
    Ref,
    With,
    Write,
    at,
    is_pure,
)

__all__ = ["colours_of", "to_dot"]

_PALETTE = ("#ffd166", "#8ecae6", "#a7c957", "#f4a6c0", "#cdb4db", "#f7b267", "#84dcc6", "#d0c7b8")
_OTHER = "#e0e0e0"
_CARRIED = ("Tensor", "List[Tensor", "Optional[Tensor", "Tuple[Tensor", "Dict[str, Tensor")

_GATHERING = (
    "list", "tuple", "unpack", "dict", "getitem", "item", "slice", "list_of", "method.append",
)  # fmt: skip
# What an InputChoice becomes: how it works does not belong into a picture of the user's model.
_CHOSEN = (ChosenInputs.__name__, ChosenList.__name__)

Sources = tuple[str, ...]
"""The drawn nodes from which a value may come."""


@dataclass
class _Frame:
    """One call: the graph, its path, and where each value comes from."""

    path: tuple[str, ...]
    graph: Graph
    sources: dict[str, Sources] = field(default_factory=dict)


def to_dot(graph: Graph, decisions: Mapping[str, Any] | None = None, *, legend: bool = True) -> str:
    """The graph in the DOT language.

    Layers, operators and child modules of ``forward`` are drawn as far as tensors flow through
    them; shapes are written on the edges if the graph is annotated. What has a label is coloured.

    Args:
        graph: any graph.
        decisions: what was chosen, by label.
        legend: whether to write the decisions beside the graph.

    >>> from torch import nn
    >>> from nas_engine_graph import convert
    >>> print(to_dot(convert(nn.Sequential(nn.ReLU()))).splitlines()[0])
    digraph Sequential {
    """
    return str(_Picture(graph, decisions or {}, legend).dot.source)


def colours_of(decisions: Iterable[str]) -> dict[str, str]:
    """The colour of each choice.

    >>> colours_of(["width", "depth"])
    {'width': '#ffd166', 'depth': '#8ecae6'}
    """
    return {label: _PALETTE[index % len(_PALETTE)] for index, label in enumerate(decisions)}


class _Picture:
    def __init__(self, graph: Graph, decisions: Mapping[str, Any], legend: bool) -> None:
        self.root = graph
        self.count = 0
        self.shapes: dict[str, str] = {}  # What is known of the output of each drawn node.
        self.colours = colours_of(decisions)
        name = graph.name if graph.name.isidentifier() else "graph"
        self.dot = digraph(name)
        if legend and decisions:
            self._legend(decisions)
        self._whole(graph)

    # ------------------------------------------------------------------ parts

    def _legend(self, decisions: Mapping[str, Any]) -> None:
        marked = marking(self.root)
        lines = [
            f"{cut(label)} = {cut(value)}{'' if label in marked else UNMARKED}"
            for label, value in decisions.items()
        ]
        # Lines to the left, the last one too.
        text = caption([*lines, ""]).replace("\\n", "\\l")
        self._node(self.dot, text, shape="note", style="", color="#aaaaaa")

    def _whole(self, graph: Graph) -> None:
        frame, function = _Frame((), graph), graph.function()
        for value in function.body.parameters:
            name = self._node(self.dot, caption([value.name]), shape="ellipse")
            frame.sources[value.name] = (name,)
        results = self._block(self.dot, frame, function.body)
        name = self._node(self.dot, caption(["result"]), shape="ellipse")
        self._edges([source for sources in results for source in sources], name)

    def _block(self, dot: Any, frame: _Frame, block: Block) -> list[Sources]:
        for node in block.nodes:
            self._step(dot, frame, node)
        return [self._sources(frame, operand) for operand in block.results]

    def _step(self, dot: Any, frame: _Frame, node: Node) -> None:
        match node.operation:
            case If():
                arms = [
                    self._inside(dot, frame, block, word)
                    for block, word in zip(node.blocks, ("if", "else"), strict=True)
                ]
                joined = [tuple(dict.fromkeys((*a, *b))) for a, b in zip(*arms, strict=True)]
                self._set(frame, node, joined)
            case Loop():
                (block,) = node.blocks
                for value, operand in zip(block.parameters[1:], node.inputs[2:], strict=True):
                    frame.sources[value.name] = self._sources(frame, operand)
                self._set(frame, node, self._inside(dot, frame, block, "loop")[1:])
            case With(name):
                self._set(
                    frame, node, self._inside(dot, frame, node.blocks[0], target(name or "with"))
                )
            case Invoke() | Local():
                self._call(dot, frame, node)
            case Raise() | Write():
                return
            case Read(path):
                self._read(dot, frame, node, path)
            case Operator(name) | Builtin(name) | Call(name):
                self._operation(dot, frame, node, name)

    def _inside(self, dot: Any, frame: _Frame, block: Block, word: str) -> list[Sources]:
        self.count += 1
        style = BOX | {"style": "rounded,dashed"}
        with dot.subgraph(name=f"cluster_{self.count}", graph_attr=style) as inner:
            inner.attr(label=caption([word]))
            return self._block(inner, frame, block)

    def _operation(self, dot: Any, frame: _Frame, node: Node, name: str) -> None:
        sources = self._all_sources(frame, node)
        gathers = isinstance(node.operation, Builtin) and name in _GATHERING
        changed = node.inputs[0] if node.inputs and not is_pure(node) else None
        if isinstance(changed, Ref) and isinstance(node.operation, Builtin):
            frame.sources[changed.name] = sources  # What is put into a list is in it from now on.
        if gathers or not any(_carries(value.type) for value in node.outputs):
            self._set(frame, node, [sources] * len(node.outputs))
            return
        made = self._node(dot, caption([target(name)]), style="filled", fillcolor="#f2f2f2")
        self._joined(frame, node, sources, made)
        if isinstance(changed, Ref) and name.rpartition(".")[0].endswith("_"):
            frame.sources[changed.name] = (made,)  # Changed in place: who reads it, reads this.

    def _read(self, dot: Any, frame: _Frame, node: Node, path: tuple[str, ...]) -> None:
        (value,) = node.outputs
        if _carries(value.type):
            made = self._node(
                dot, caption([cut(".".join(path))]), shape="ellipse", fillcolor="#eeeeee"
            )
            frame.sources[value.name] = (made,)

    def _call(self, dot: Any, frame: _Frame, node: Node) -> None:
        if isinstance(node.operation, Local):
            name, path, owner = node.operation.name, frame.path, frame.graph
            self._function(dot, frame, node, _Frame(path, owner), owner.function(name), [cut(name)])
            return
        assert isinstance(node.operation, Invoke)
        name, path = node.operation.method, (*frame.path, *node.operation.path)
        called = self._at(path)
        if not isinstance(called, Graph) or called.name in _CHOSEN or "." in name:
            self._layer(dot, frame, node, path, called)
            return
        here = ".".join(node.operation.path)
        words = [f"{cut(here)}: {cut(called.name)}" if here else cut(name), *_choice(called.label)]
        self._function(dot, frame, node, _Frame(path, called), called.function(name), words)

    def _function(
        self,
        dot: Any,
        frame: _Frame,
        node: Node,
        inner: _Frame,
        function: Function,
        words: list[str],
    ) -> None:
        """A box around what is called."""
        for value, operand in zip(function.body.parameters, node.inputs, strict=False):
            inner.sources[value.name] = self._sources(frame, operand)
        for word, operand in node.keywords:
            inner.sources[word] = self._sources(frame, operand)
        self.count += 1
        label = inner.graph.label
        colour = {"bgcolor": self._colour(label, "40")} if label else {}
        with dot.subgraph(name=f"cluster_{self.count}", graph_attr=BOX | colour) as box:
            box.attr(label=caption(words))
            results = self._block(box, inner, function.body)
        together = tuple(dict.fromkeys(source for sources in results for source in sources))
        self._set(frame, node, [together] * len(node.outputs))

    def _layer(
        self, dot: Any, frame: _Frame, node: Node, path: tuple[str, ...], owner: Member | None
    ) -> None:
        label = owner.label if isinstance(owner, Layer | Graph) else None
        words = [cut(getattr(owner, "name", "module"))]
        if isinstance(owner, Layer):
            words = [cut(target(owner.target))]
            given = [*owner.args, *(f"{name}={printable(value)}" for name, value in owner.kwargs)]
            words[0] += f"({cut(', '.join(map(printable, given)))})"
        colour = {"fillcolor": self._colour(label)} if label else {}
        lines = [*words, cut(".".join(path)), *_choice(label)]
        made = self._node(dot, caption(lines), **colour)
        self._joined(frame, node, self._all_sources(frame, node), made)

    # ------------------------------------------------------------------ nodes and edges

    def _at(self, path: tuple[str, ...]) -> Member | None:
        """What is at a path, or what it is tied to."""
        for tie in self.root.ties:
            if path[: len(tie.target)] == tie.target:
                path = (*tie.source, *path[len(tie.target) :])
        try:
            return at(self.root, path)
        except KeyError:
            return None

    def _colour(self, label: str | None, alpha: str = "") -> str:
        """The colour of the choice, or of the last two if there are more."""
        if not label:
            return "#ffffff"
        names = [label] if label in self.colours else label.split(", ")
        found = [self.colours.get(name, _OTHER) + alpha for name in names]
        return ":".join(found[-2:])

    def _node(self, dot: Any, text: str, **style: str) -> str:
        self.count += 1
        name = f"n{self.count}"
        dot.node(name, text, **style)
        return name

    def _edges(self, sources: Iterable[str], name: str) -> None:
        for source in dict.fromkeys(sources):
            label = self.shapes.get(source)
            self.dot.edge(source, name, **({"label": caption([f" {label}"])} if label else {}))

    def _joined(self, frame: _Frame, node: Node, sources: Sources, made: str) -> None:
        self._edges(sources, made)
        kinds = (node.notes or {}).get("outputs", ())
        if shapes := [str(kind) for kind in kinds if kind is not None]:
            self.shapes[made] = ", ".join(shapes)
        self._set(frame, node, [(made,)] * len(node.outputs))

    def _set(self, frame: _Frame, node: Node, sources: Iterable[Sources]) -> None:
        frame.sources.update(zip((v.name for v in node.outputs), sources, strict=False))

    def _sources(self, frame: _Frame, operand: Operand) -> Sources:
        return frame.sources.get(operand.name, ()) if isinstance(operand, Ref) else ()

    def _all_sources(self, frame: _Frame, node: Node) -> Sources:
        found = (self._sources(frame, operand) for operand in node.operands)
        return tuple(dict.fromkeys(source for sources in found for source in sources))


def _carries(kind: str) -> bool:
    return kind.startswith(_CARRIED)


def _choice(label: str | None) -> list[str]:
    return [f"choice: {cut(label)}"] if label else []
