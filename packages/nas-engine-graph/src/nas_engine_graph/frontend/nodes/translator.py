"""The state of translating one TorchScript graph: what its values mean, and the nodes so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from nas_engine_graph.frontend.kinds import Kinds, decode
from nas_engine_graph.frontend.names import annotated
from nas_engine_graph.frontend.scripted import inputs_of, outputs_of
from nas_engine_graph.frontend.source.mixed import may_differ
from nas_engine_graph.frontend.source.places import place_of, unsupported
from nas_engine_graph.frontend.world import Path, World
from nas_engine_graph.ir import (
    Block,
    Const,
    Data,
    Node,
    Operand,
    Operation,
    Ref,
    Value,
    With,
)

__all__ = ["Context", "Created", "FunctionName", "ModulePath", "Translator"]


@dataclass(frozen=True, slots=True)
class ModulePath:
    """A module, as a value of TorchScript; the path starts at the converted module."""

    path: Path


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A compiled function, by TorchScript's name for it."""

    name: str


@dataclass(slots=True)
class Context:
    """A context manager between its creation and its use; without a target it is the argument."""

    target: str = ""
    arguments: tuple[Operand, ...] = ()
    given: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Created:
    """An object of a class of the user's, by its dotted name, before its ``__init__`` is called."""

    name: str


Meaning: TypeAlias = Operand | ModulePath | FunctionName | Context | Created

_WORD = re.compile(r"\W+")


@dataclass
class _Open:
    """A block whose nodes are being collected; ``context`` for the body of a ``with``."""

    nodes: list[Node] = field(default_factory=list)
    bound: list[int] = field(default_factory=list)
    context: Context | None = None


class Translator:
    """The state of translating one graph."""

    def __init__(self, world: World, owner: Path | None, key: str, compiled: Any) -> None:
        self.world, self.owner, self.graph = world, owner, compiled.graph
        (self.declared,) = (result.type for result in compiled.schema.returns)
        self.kinds: Kinds = world.kinds(key, self.graph)
        self.meaning: dict[int, Meaning] = {}
        self.types: dict[str, str] = {}
        self.packed: dict[int, Operand] = {}
        self.loose: set[str] = set()
        self.unset: dict[str, Any] = {}
        self.divisors: dict[int, Operand] = {}
        self.wanted: dict[str, tuple[str, Callable[..., Any] | None]] = {}
        self.own: dict[Operation, tuple[Callable[..., Any] | None, int]] = {}
        self.needs: dict[Operation, list[Callable[[], object]]] = {}
        self.inexact = False  # Whether TorchScript has other types for numbers than Python.
        self._names: dict[str, int] = {}
        self._open: list[_Open] = []

    # ------------------------------------------------------------------ values

    def fresh(self, hint: str) -> str:
        """A name that no other value of the function has."""
        base = _WORD.sub("_", hint).strip("_") or "value"
        base = f"v{base}" if base[0].isdigit() else base
        number = self._names.get(base, 0)
        self._names[base] = number + 1
        name = f"{base}_{number}" if number else base
        if number and name in self._names:
            return self.fresh(name)
        self._names.setdefault(name, 1)
        return name

    def bind(self, value: Any, hint: str = "", kind: str = "") -> Value:
        """A new value of the IR for a value of TorchScript; ``kind`` where its type is another."""
        debug = value.debugName().split(".")[0]
        name = self.fresh(hint or debug if debug.isdigit() or not debug else debug)
        made = Value(name, kind or self.annotated(value))
        self.types[name] = made.type
        self.meaning[value.unique()] = Ref(name)
        if self._open:
            self._open[-1].bound.append(value.unique())
        return made

    def parameter(self, value: Any) -> Value:
        """The value of the IR for an argument, which has the name that callers may give."""
        name = value.debugName().split(".")[0]
        if name == "torch":
            first = next(iter(self.graph.nodes()), self.graph.return_node())
            text = "an argument called 'torch', which generated code needs for the package"
            raise unsupported(first, text, self.owner or ())
        made = Value(name, self.annotated(value))
        self.types[name] = made.type
        self.meaning[value.unique()] = Ref(name)
        self._names[name] = 1
        return made

    @property
    def homes(self) -> tuple[str, ...]:
        """The modules in which the classes that the function names may be."""
        return () if self.owner is None else (type(self.world.module(self.owner)).__module__,)

    def annotated(self, value: Any) -> str:
        """The type of a value of TorchScript as an annotation."""
        return annotated(value.type(), self.homes)

    def operand(self, node: Any, index: int) -> Operand:
        """The operand that the node takes as its input of this index."""
        return self._operand(node.inputsAt(index), node, index)

    def _operand(self, value: Any, node: Any, index: int) -> Operand:
        found = self.meaning[value.unique()]
        if isinstance(found, Ref):
            return found
        return self.resolve(value, lambda: self.kinds.at(node, index), node)

    def resolve(self, value: Any, kind: Callable[[], str | None], node: Any) -> Operand:
        found = self.meaning[value.unique()]
        match found:
            case Const(value=int() as number) if not isinstance(number, bool):
                if (meant := kind()) is not None:
                    return Const(decode(number, meant))
                return found
            case Const() | Ref():
                return found
            case ModulePath(path=path):
                raise unsupported(
                    node, f"module {'.'.join(path)!r} used as a value", self.owner or ()
                )
            case _:
                raise unsupported(
                    node, "a function or context manager used as a value", self.owner or ()
                )

    def operands(self, node: Any, start: int = 0) -> tuple[Operand, ...]:
        values = islice(enumerate(inputs_of(node)), start, None)
        return tuple(self._operand(value, node, index) for index, value in values)

    def type_of(self, operand: Operand) -> str:
        if isinstance(operand, Ref):
            return self.types[operand.name]
        return type(operand.value).__name__

    def loosen(self, value: Any, *sources: Operand) -> None:
        """Notes that a tensor may be a number, if one of the sources may or none is given."""
        made = self.meaning[value.unique()]
        if isinstance(made, Ref) and (not sources or any(map(self.is_loose, sources))):
            self.loose.add(made.name)

    def is_loose(self, operand: Operand) -> bool:
        """Whether it may be a number where TorchScript has a tensor."""
        return isinstance(operand, Ref) and operand.name in self.loose

    # ------------------------------------------------------------------ nodes

    def emit(
        self,
        node: Any,
        operation: Operation,
        inputs: Sequence[Operand] = (),
        keywords: Sequence[tuple[str, Operand]] = (),
        *,
        hint: str = "",
        blocks: tuple[Block, ...] = (),
        outputs: tuple[Value, ...] | None = None,
    ) -> None:
        """Append a node whose outputs are those of the TorchScript node."""
        if outputs is None:
            outputs = tuple(self.bind(value, hint) for value in outputs_of(node))
        made = Node(
            operation, tuple(inputs), tuple(keywords), outputs, blocks, place=place_of(node)
        )
        if any(isinstance(o, Const) and isinstance(o.value, Data) for o in made.operands):
            # Who calls a function gives it none of its defaults, which are objects of its own.
            raise unsupported(node, "a tensor as a constant", self.owner or ())
        self._open[-1].nodes.append(made)

    def need(self, operation: Operation, ask: Callable[..., object], *arguments: Any) -> None:
        """Notes whom to ask for what an operation needs, if it is left in the function."""
        self.needs.setdefault(operation, []).append(partial(ask, *arguments))

    def want(self, name: str, local: str, python: Callable[..., Any] | None) -> None:
        """Ask for a free function by TorchScript's name for it; ``local`` is that in the graph."""
        self.wanted[name] = local, python

    def nodes(self) -> list[Node]:
        """The nodes of the open block."""
        return self._open[-1].nodes

    def value(self, hint: str, kind: str) -> Value:
        """A new value that TorchScript does not have."""
        made = Value(self.fresh(hint), kind)
        self.types[made.name] = kind
        return made

    def alike(self, name: str) -> Value:
        """A new value of the type of another one."""
        return self.value(name, self.types[name])

    def append(
        self,
        node: Any,
        operation: Operation,
        inputs: Sequence[Operand],
        output: Value,
        keywords: Sequence[tuple[str, Operand]] = (),
    ) -> None:
        """Append a node with an output that TorchScript does not have."""
        made = Node(operation, tuple(inputs), tuple(keywords), (output,), place=place_of(node))
        self._open[-1].nodes.append(made)

    def alias(self, node: Any, operand: Operand) -> None:
        """The output of the node is this operand: no node is needed."""
        self.inexact |= may_differ(node.output().type().annotation_str, self.type_of(operand))
        self.meaning[node.output().unique()] = operand

    def block(self, block: Any, parameters: tuple[Value, ...] = ()) -> Block:
        """Translate a block of a control-flow node; its results are filled in by the caller."""
        self._open.append(_Open())
        self.inline(block)
        return Block(parameters, tuple(self._open.pop().nodes))

    def inline(self, block: Any) -> None:
        for node in block.nodes():
            self.world.handle(self, node)

    def enter(self, context: Context) -> None:
        self._open.append(_Open(context=context))

    def leave(self, node: Any) -> None:
        """Close the innermost ``with``: what it defines leaves under new names."""
        opened = self._open.pop()
        if opened.context is None:
            raise unsupported(node, "a with statement left by a jump", self.owner or ())
        results: list[Operand] = []
        outputs: list[Value] = []
        renamed: dict[str, Ref] = {}
        for unique in opened.bound:
            found = self.meaning.get(unique)
            if isinstance(found, Ref) and found.name in self.types:
                made = Value(self.fresh(found.name), self.types[found.name])
                self.types[made.name] = made.type
                self.loose |= {made.name} if self.is_loose(found) else set()
                results.append(found)
                outputs.append(made)
                renamed[found.name] = Ref(made.name)
                if self._open:
                    self._open[-1].bound.append(unique)
        for unique, found in self.meaning.items():
            if isinstance(found, Ref) and found.name in renamed:
                self.meaning[unique] = renamed[found.name]
        body = Block(opened.context.given, tuple(opened.nodes), tuple(results))
        self._open[-1].nodes.append(
            Node(
                With(opened.context.target),
                opened.context.arguments,
                (),
                tuple(outputs),
                (body,),
                place=place_of(node),
            )
        )
