"""A run through a graph: every node in turn, with its blocks and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor, nn

from nas_engine_graph.annotate.abstract import UNKNOWN, join, join_types, type_of
from nas_engine_graph.annotate.evaluation import constant, evaluate
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import (
    Block,
    Builtin,
    Call,
    Const,
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
    TensorType,
    With,
    Write,
    at,
    is_pure,
)

__all__ = ["Note", "Run"]

Path: TypeAlias = tuple[str, ...]
_TRIPS = 1000
_FAILURES = (
    RuntimeError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError,
    AssertionError,
)  # fmt: skip


class _RaisedError(Exception):
    """The graph itself raises here."""


@dataclass
class Note:
    """What is known of a node after all its evaluations."""

    outputs: tuple[TensorType | None, ...]
    flops: int | None
    problem: str | None = None

    def add(self, other: Note) -> None:
        """Take in another evaluation."""
        self.outputs = tuple(map(join_types, self.outputs, other.outputs))
        known = self.flops is not None and other.flops is not None
        self.flops = self.flops + other.flops if known else None  # type: ignore[operator]
        self.problem = self.problem or other.problem

    def as_mapping(self) -> Mapping[str, Any]:
        """As notes of a node."""
        found = {"outputs": self.outputs, "flops": self.flops}
        return found if self.problem is None else found | {"problem": self.problem}


@dataclass
class _Frame:
    """One call of a function: where its module is, and the values so far."""

    path: Path
    graph: Graph
    values: dict[str, Any] = field(default_factory=dict)


class Run:
    """The state of one run; ``notes`` by the path of the graph and the ``id`` of the node."""

    def __init__(self, graph: Graph, module: nn.Module, counter: Any) -> None:
        self.graph, self.module, self.counter = graph, module, counter
        self.notes: dict[tuple[Path, int], Note] = {}
        self._first = {
            id(child): tuple(name.split(".")) if name else ()
            for name, child in module.named_modules()
        }
        self._written: dict[tuple[Path, str], Any] = {}
        self._changed: dict[int, Any] = {}  # What may have been changed, kept so that ids last.
        self._flops = self._counted = self._gaps = self._unsure = self._casting = 0
        self._problem: str | None = None

    def forward(self, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """Run the graph; ``UNKNOWN`` if it raises."""
        try:
            return self._call(_Frame((), self.graph), self.graph.function(), inputs, keywords)
        except _RaisedError:
            return UNKNOWN

    def _call(
        self,
        frame: _Frame,
        function: Function,
        inputs: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Any:
        names = [value.name for value in function.body.parameters]
        defaults = map(constant, function.defaults)
        late = names[len(names) - len(function.defaults) :]
        given = dict(zip(late, defaults, strict=True)) | dict(zip(names, inputs, strict=False))
        frame.values = {**given, **keywords}
        results = self._block(frame, function.body)
        return results[0] if len(results) == 1 else results

    # ------------------------------------------------------------------ values

    def _value(self, frame: _Frame, operand: Operand) -> Any:
        if isinstance(operand, Const):
            return constant(operand.value)
        found = frame.values.get(operand.name, UNKNOWN)
        return UNKNOWN if id(found) in self._changed else found

    def _block(self, frame: _Frame, block: Block) -> tuple[Any, ...]:
        for node in block.nodes:
            self._node(frame, node)
        return tuple(self._value(frame, result) for result in block.results)

    def _node(self, frame: _Frame, node: Node) -> None:
        flops, gaps = self._flops, self._gaps
        self._problem = None
        outputs = self._outputs(frame, node)
        frame.values.update(zip((v.name for v in node.outputs), outputs, strict=False))
        cost = self._flops - flops
        sure = self._gaps == gaps and not (cost and self._unsure)
        types = (None if self._casting else type_of(output) for output in outputs)
        note = Note(tuple(types), cost if sure else None, self._problem)
        self._problem = None
        found = self.notes.setdefault((frame.path, id(node)), note)
        if found is not note:
            found.add(note)

    def _outputs(self, frame: _Frame, node: Node) -> tuple[Any, ...]:
        match node.operation:
            case If():
                return self._branch(frame, node)
            case Loop():
                return self._loop(frame, node)
            case With(target):
                words = [self._value(frame, operand) for operand in node.inputs]
                if not target:  # What objects of the user's do is not looked into.
                    frame.values[node.blocks[0].parameters[0].name] = UNKNOWN
                    return self._block(frame, node.blocks[0])
                if target == "torch.autocast":
                    return self._cast(frame, node, on=words[2:3] != [False])
                with resolve(target)(*words):
                    return self._block(frame, node.blocks[0])
            case Raise():
                raise _RaisedError
            case Write(path):
                value = self._value(frame, node.inputs[0])
                place = self._canonical((*frame.path, *path[:-1])), path[-1]
                self._written[place] = UNKNOWN if self._unsure else value
                return ()
            case Read(path):
                return (self._read((*frame.path, *path)),)
            case _:
                return self._unpacked(node, self._evaluated(frame, node))

    def _cast(self, frame: _Frame, node: Node, on: bool) -> tuple[Any, ...]:
        """What autocast gives: on the meta device nothing is cast, so that types are unknown."""
        self._casting += on
        try:
            results = self._block(frame, node.blocks[0])
        finally:
            self._casting -= on
        return (UNKNOWN,) * len(results) if on else results

    def _unpacked(self, node: Node, value: Any) -> tuple[Any, ...]:
        count = len(node.outputs)
        if count == 1 and node.operation != Builtin("unpack"):
            return (value,)
        if isinstance(value, tuple | list) and len(value) == count:
            return tuple(value)
        return (UNKNOWN,) * count

    def _canonical(self, path: Path) -> Path:
        return self._first[id(self._module(path))]

    def _module(self, path: Path) -> nn.Module:
        return self.module.get_submodule(".".join(path))

    def _is_stored(self, path: Path) -> bool:
        """Whether this is in a module that TorchScript has compiled before, or one itself."""
        found: Member | None = self.graph
        for name in path:
            found = found.table.get(name) if isinstance(found, Graph) else found
        return isinstance(found, Layer) and found.target == "torch.jit.load"

    def _read(self, path: Path) -> Any:
        if self._is_stored(path):
            return UNKNOWN
        place = self._canonical(path[:-1]), path[-1]
        if place in self._written:
            return self._written[place]
        found = getattr(self._module(path[:-1]), path[-1])
        return found.to("meta") if isinstance(found, Tensor) else found

    # ------------------------------------------------------------------ one step

    def _evaluated(self, frame: _Frame, node: Node) -> Any:
        inputs = [self._value(frame, operand) for operand in node.inputs]
        keywords = {name: self._value(frame, operand) for name, operand in node.keywords}
        operation = node.operation
        lost = any(value is UNKNOWN for value in [*inputs, *keywords.values()])
        if isinstance(operation, Invoke | Local):
            return self._called(frame, operation, inputs, keywords)
        gathers = isinstance(operation, Builtin) and operation.name in ("list", "tuple", "dict")
        if lost and not gathers:
            self._gaps += not isinstance(operation, Builtin)
            self._maybe_changed(node, inputs)
            return UNKNOWN
        before = type_of(inputs[0]) if inputs else None
        if self._unsure and self._maybe_changed(node, inputs):
            return UNKNOWN
        assert isinstance(operation, Operator | Builtin | Call)
        value = self._tried(
            lambda: evaluate(operation, inputs, keywords), gap=not isinstance(operation, Builtin)
        )
        if self._unsure and before != (type_of(inputs[0]) if inputs else None):
            self._changed[id(inputs[0])] = inputs[0]
        return value

    def _maybe_changed(self, node: Node, inputs: Sequence[Any]) -> bool:
        """Note that a container may have another content from now on, if the node changes it."""
        if is_pure(node) or not inputs or not isinstance(inputs[0], list | dict):
            return False
        self._changed[id(inputs[0])] = inputs[0]
        return True

    def _tried(self, act: Callable[[], Any], gap: bool = True) -> Any:
        """What it gives, or ``UNKNOWN``, with a gap in the sum if it would have cost anything."""
        try:
            value = act()
        except _FAILURES as error:
            self._gaps += gap
            self._problem = (str(error).strip() or type(error).__name__).splitlines()[0]
            value = UNKNOWN
        total = self.counter.get_total_flops()
        self._flops += total - self._counted
        self._counted = total
        return value

    def _called(
        self, frame: _Frame, operation: Invoke | Local, inputs: list[Any], keywords: dict[str, Any]
    ) -> Any:
        if isinstance(operation, Local):
            function = frame.graph.function(operation.name)
            return self._call(_Frame(frame.path, frame.graph), function, inputs, keywords)
        if "." in operation.method:  # What it does is not looked into.
            self._gaps += 1
            return UNKNOWN
        if self._is_stored((*frame.path, *operation.path)):
            self._gaps += 1
            return UNKNOWN
        path = self._canonical((*frame.path, *operation.path))
        owner = at(self.graph, path)
        if isinstance(owner, Graph):
            function = owner.function(operation.method)
            return self._call(_Frame(path, owner), function, inputs, keywords)
        if UNKNOWN in [*inputs, *keywords.values()]:
            self._gaps += 1
            return UNKNOWN
        module = self._module(path)
        act = module if operation.method == "forward" else getattr(module, operation.method)
        return self._tried(lambda: act(*inputs, **keywords))

    # ------------------------------------------------------------------ control flow

    @contextmanager
    def _maybe(self) -> Iterator[None]:
        self._unsure += 1
        try:
            yield
        finally:
            self._unsure -= 1

    def _branch(self, frame: _Frame, node: Node) -> tuple[Any, ...]:
        condition = self._value(frame, node.inputs[0])
        if _is_known(condition):
            return self._block(frame, node.blocks[0 if condition else 1])
        found: list[tuple[Any, ...]] = []
        costs: list[int] = []
        start = self._flops
        for block in node.blocks:
            self._flops = start
            with self._maybe():
                try:
                    found.append(self._block(frame, block))
                except _RaisedError:
                    continue
            costs.append(self._flops - start)
        if not found:
            raise _RaisedError
        self._flops = start + max(costs)
        self._gaps += len(set(costs)) > 1
        return found[0] if len(found) == 1 else tuple(map(join, *found))

    def _loop(self, frame: _Frame, node: Node) -> tuple[Any, ...]:
        (block,) = node.blocks
        trips, go, *carried = [self._value(frame, operand) for operand in node.inputs]
        names = [value.name for value in block.parameters]
        trip = 0
        while _is_known(go) and _is_known(trips) and trip < _TRIPS:
            if not go or trip == trips:
                return tuple(carried)
            frame.values.update(zip(names, [trip, *carried], strict=True))
            go, *carried = self._block(frame, block)
            trip += 1
        return self._any_trips(frame, block, carried)

    def _any_trips(self, frame: _Frame, block: Block, carried: list[Any]) -> tuple[Any, ...]:
        """What is true of the carried values after however many trips."""
        names = [value.name for value in block.parameters]
        self._gaps += 1
        while True:
            frame.values.update(zip(names, [UNKNOWN, *carried], strict=True))
            with self._maybe():
                try:
                    _, *following = self._block(frame, block)
                except _RaisedError:
                    return tuple(carried)
            joined = list(map(join, carried, following))
            if all(a is b for a, b in zip(carried, joined, strict=True)):
                return tuple(joined)
            carried = joined


def _is_known(value: Any) -> bool:
    """Whether a value can be asked for its truth or number: a tensor has no elements here."""
    return value is not UNKNOWN and not isinstance(value, Tensor)
