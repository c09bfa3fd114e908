"""The heads of loops: what they go through or count, and the variables that they set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from nas_engine_graph.backend.expressions import Expressions
from nas_engine_graph.ir import Block, Builtin, Const, Node, Operand, Ref, references, walk

__all__ = ["Head", "Heads"]

_TRIPS, _ITEM, _UNPACK = Builtin("trips"), Builtin("item"), Builtin("unpack")
_LEADING = (_ITEM, _UNPACK, Builtin("derive_index"))
_DERIVE, _LENGTH = Builtin("derive_index"), Builtin("range_length")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands between ``for`` and the body of a loop.

    Attributes:
        targets: the variables that it sets, as they are written.
        iterated: what it goes through.
        done: the nodes of the body for which it stands.
    """

    targets: str
    iterated: str
    done: tuple[Node, ...] = ()

    @property
    def names(self) -> list[str]:
        """The variables."""
        return re.findall(r"\w+", self.targets)


class Heads(Expressions):
    """Writes the heads of loops."""

    _unread: tuple[str, ...] = ("int",)
    """The types of values that nobody reads; those of loops are numbers."""

    def target(self, name: str) -> str:
        """The variable of a value; one for all of a type that nobody reads."""
        return self.names[name] if name in self.names.used else self.unread(self.kinds[name])

    def unread(self, kind: str) -> str:
        """The variable of the values of a type that nobody reads."""
        self._unread = (*self._unread, *({kind} - {*self._unread}))
        return "_" * (1 + self._unread.index(kind))

    def head(self, trips: Operand, block: Block, starts: bool) -> Head:
        """The head of a loop of so many trips, or through what these are counted of.

        Args:
            trips: how many these are at most.
            block: the body.
            starts: whether it certainly starts, and so may set variables before it is asked that.
        """
        source = self.inlined.get(trips.name) if isinstance(trips, Ref) else None
        if starts and source is not None and source.operation == _TRIPS:
            return self._through(source.inputs, block)
        index = block.parameters[0].name
        first = next(self._stated(block), None)
        # Only the first node may be in the head: nothing runs between the two.
        alone = first is not None and not self._is_read(index, block, [first])
        if first is not None and alone and (bounds := self._bounds(trips, first)):
            return Head(self.names[first.outputs[0].name], f"range({bounds})", (first,))
        if index in self.names.used:
            return Head(self.names[index], f"range({self.text(trips)})")
        length = self._length(trips)
        counted = [trips] if length is None else length.inputs
        return Head("_", f"range({', '.join(map(self.text, counted))})")

    def _stated(self, block: Block) -> Iterator[Node]:
        return (node for node in block.nodes if not self.is_inlined(node))

    def _is_read(self, name: str, block: Block, besides: Sequence[Node]) -> bool:
        """Whether anything but some nodes reads a value in a block."""
        mine = sum(Ref(name) in node.operands for node in walk(block) if node in besides)
        return [*references(block)].count(name) > mine

    # ------------------------------------------------------------------ ranges

    def _length(self, trips: Operand) -> Node | None:
        """The node that counts a range, if this is what the trips are."""
        node = self.inlined.get(trips.name) if isinstance(trips, Ref) else None
        return node if node is not None and node.operation == _LENGTH else None

    def _bounds(self, trips: Operand, derive: Node) -> str:
        """The arguments of ``range``, if the node derives its number from the trip."""
        if derive.operation != _DERIVE:
            return ""
        _, start, step = derive.inputs
        if (length := self._length(trips)) is not None:
            same = (length.inputs[0], length.inputs[2]) == (start, step)
            return ", ".join(map(self.text, length.inputs)) if same else ""
        match trips, start, step:
            case Const(int(count)), Const(int(first)), Const(int(by)):
                return f"{first}, {first + count * by}, {by}"
        return ""

    # ------------------------------------------------------------------ what holds items

    def _through(self, many: Sequence[Operand], block: Block) -> Head:
        """``i, (x, y) in enumerate(zip(xs, ys))`` and the like."""
        index = block.parameters[0].name
        items = self._items(index, many, block)
        done = [node for nodes in items for node in nodes]
        counts = [operand for operand in many if self._kind(operand) == "int"]
        number, start, derive = self._number(index, counts, block, done)
        done += [derive] if derive else []
        targets, texts = [], []
        for operand, nodes in zip(many, items, strict=True):
            if operand in counts:
                bounds = self._bounds(operand, derive) if derive and number else self.text(operand)
                texts.append(f"range({bounds})")
                targets.append(number or "_")
                number = ""
            else:
                texts.append(self.text(operand))
                targets.append(self._pattern(operand, nodes))
        if len(many) > 1:
            texts, targets = [f"zip({', '.join(texts)})"], [f"({', '.join(targets)})"]
        if number:
            texts, targets = [f"enumerate({texts[0]}{start})"], [f"({number}, {targets[0]})"]
        return Head(targets[0].removeprefix("(").removesuffix(")"), texts[0], tuple(done))

    def _number(
        self, index: str, counts: Sequence[Operand], block: Block, done: Sequence[Node]
    ) -> tuple[str, str, Node | None]:
        """The variable of the number of a trip, if it is asked for; how it is counted; by what."""
        leading = takewhile(lambda node: node.operation in _LEADING, self._stated(block))
        derive = next((n for n in leading if n.operation == _DERIVE), None)
        if derive is not None and not self._is_read(index, block, [*done, derive]):
            name, (_, start, step) = self.target(derive.outputs[0].name), derive.inputs
            if counts and self._bounds(counts[0], derive):
                return name, "", derive
            if not counts and step == Const(1):
                return name, f", {self.text(start)}", derive
        return self.names[index] if self._is_read(index, block, done) else "", "", None

    def _items(self, index: str, many: Sequence[Operand], block: Block) -> list[list[Node]]:
        """The first nodes of a body: which take the item of each, and what that holds."""
        found: list[list[Node]] = [[] for _ in many]
        for node in self._stated(block):
            places = (
                at for at, o in enumerate(many) if self._goes_on(node, index, o, found[at], block)
            )
            if (at := next(places, None)) is not None:
                found[at].append(node)
            elif node.operation != _DERIVE:
                break
        return found

    def _goes_on(
        self, node: Node, index: str, source: Operand, before: Sequence[Node], block: Block
    ) -> bool:
        """Whether a node takes the item of this, or unpacks it and nothing else asks for it."""
        match before:
            case []:
                return node.operation == _ITEM and node.inputs == (source, Ref(index))
            case [Node(outputs=(item,))]:
                alone = not self._is_read(item.name, block, [node])
                return node.operation == _UNPACK and node.inputs == (Ref(item.name),) and alone
        return False

    def _pattern(self, source: Operand, nodes: Sequence[Node]) -> str:
        """The variables of an item."""
        match nodes:
            case [Node(outputs=(item,))]:
                return self.target(item.name)
            case [_, Node(outputs=(value,))]:
                return f"({self.target(value.name)},)"
            case [_, Node(outputs=values)]:
                return f"({', '.join(self.target(value.name) for value in values)})"
        return self.unread(_kind_of_item(self._kind(source)))

    def _kind(self, operand: Operand) -> str:
        if isinstance(operand, Ref):
            return self.kinds[operand.name]
        return type(operand.value).__name__


def _kind_of_item(kind: str) -> str:
    """The type of what is in a list, a text or a tensor."""
    return kind.removeprefix("List[").removesuffix("]") if kind.startswith("List[") else kind
