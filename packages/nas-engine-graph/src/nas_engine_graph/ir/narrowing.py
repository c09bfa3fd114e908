"""What the truth of a value tells of others: TorchScript narrows types where it is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_engine_graph.ir.effects import walk
from nas_engine_graph.ir.graph import Block, Node
from nas_engine_graph.ir.operation import Builtin, If
from nas_engine_graph.ir.value import Const, Operand, Ref

__all__ = ["Narrowing", "narrowings"]


_UNION = re.compile(r"Union\[((?:[\w.]+, )+[\w.]+)\]")
_CLASSES = {"Tensor": "torch.Tensor", "Device": "torch.device"}


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The questions that a value answers: by yes if it is true, or by no if it is false.

    ``kind`` is the type of what is asked, if it is one question for that of a value.
    """

    yes: tuple[Node, ...] = ()
    no: tuple[Node, ...] = ()
    kind: str = ""

    def implies(self, other: Narrowing) -> bool:
        """Whether the value, if it is true, answers the only question of another one by yes."""
        return _is_among(other.yes, self.yes)

    def excludes(self, other: Narrowing) -> bool:
        """Whether the value, if it is false, answers the only question of another one by no."""
        return _is_among(other.no, self.no)

    def told(self, answer: bool) -> Iterator[str]:
        """The values that have a narrower type where the value is true, or where it is false."""
        for node in self.yes if answer else self.no:
            if node.operation != Builtin("is" if answer else "is_not"):
                yield from (o.name for o in node.inputs[:1] if isinstance(o, Ref))

    def there(self, answer: bool) -> Iterator[str]:
        """The values that are not None where the value is true, or where it is false."""
        for node in self.yes if answer else self.no:
            if node.operation == Builtin("is_not" if answer else "is"):
                yield from (o.name for o in node.inputs[:1] if isinstance(o, Ref))

    def answers(self, other: Narrowing) -> tuple[bool | None, bool | None]:
        """What a question is where another value is true, and where it is false."""
        if len(self.yes) != 1 or self.yes != self.no:
            return None, None
        (question,) = self.yes
        told = _answer(question, other.yes, True, self.kind)
        return told, _answer(question, other.no, False, self.kind)


def _answer(question: Node, known: Sequence[Node], answer: bool, kind: str) -> bool | None:
    """The answer to a question where others have one."""
    for other in known:
        if other.inputs == question.inputs:
            if other.operation == question.operation:
                return answer
            if {other.operation, question.operation} == {Builtin("is"), Builtin("is_not")}:
                return not answer
        elif _are_all(question, other, kind):
            return not answer
    return None


def _are_all(one: Node, other: Node, kind: str) -> bool:
    """Whether two questions are for all types that a value may be of, each of them in one."""
    both = (one.operation, other.operation) == (Builtin("isinstance"), Builtin("isinstance"))
    if not both or one.inputs[0] != other.inputs[0]:
        return False
    names = [symbol.name for node in (one, other) for symbol in _kinds_of(node)]
    return bool(kind) and sorted(names) == sorted(_members(kind))


def _kinds_of(node: Node) -> tuple[Any, ...]:
    kinds = node.inputs[1]
    return kinds.value if isinstance(kinds, Const) and isinstance(kinds.value, tuple) else ()


def _members(kind: str) -> list[str]:
    """The classes of a union of a few, of which none inherits from another; nothing for others.

    >>> _members("Union[Tensor, str]"), _members("Union[int, List[int]]")
    (['torch.Tensor', 'str'], [])
    """
    if (found := _UNION.fullmatch(kind)) is None:
        return []
    names = found[1].split(", ")
    return [] if {"bool", "int"} <= {*names} else [_CLASSES.get(name, name) for name in names]


def narrowings(body: Block) -> Mapping[str, Narrowing]:
    """The values of a function that tell whether something is None, or of which type it is."""
    found: dict[str, Narrowing] = {}
    _note(body, found, {value.name: value.type for value in body.parameters})
    return found


def _note(block: Block, found: dict[str, Narrowing], kinds: dict[str, str]) -> None:
    for node in block.nodes:
        for inner in node.blocks:
            kinds.update((value.name, value.type) for value in inner.parameters)
            _note(inner, found, kinds)
        kinds.update((value.name, value.type) for value in node.outputs)
        match node.operation:
            case Builtin("is" | "is_not") if node.inputs[1] == Const(None):
                found[node.outputs[0].name] = Narrowing((node,), (node,))
            case Builtin("isinstance" | "jit_isinstance"):
                asked = node.inputs[0]
                kind = kinds.get(asked.name, "") if isinstance(asked, Ref) else ""
                found[node.outputs[0].name] = Narrowing((node,), (node,), kind)
            case If():
                results = zip(*(inner.results for inner in node.blocks), strict=True)
                for value, given in zip(node.outputs, results, strict=True):
                    if (made := _joined(node, given, found)) is not None:
                        found[value.name] = made


def _joined(
    node: Node, given: Sequence[Operand], found: Mapping[str, Narrowing]
) -> Narrowing | None:
    """What a branch tells that is an ``and`` or an ``or``, by its condition and what it gives."""
    first, *arms = (
        found.get(o.name, Narrowing()) if isinstance(o, Ref) else Narrowing()
        for o in (*node.inputs, *given)
    )
    match given:
        case (Ref(), Const(False)):
            made = Narrowing(yes=(*first.yes, *_outside(arms[0].yes, node)))
        case (Const(True), Ref()):
            made = Narrowing(no=(*first.no, *_outside(arms[1].no, node)))
        case _:
            return None
    return made if made.yes or made.no else None


def _outside(asked: Sequence[Node], branch: Node) -> Iterator[Node]:
    """The questions about what is not made in the branch."""
    inside = {value.name for n in walk(Block((), (branch,))) for value in n.outputs}
    return (n for n in asked if not any(isinstance(o, Ref) and o.name in inside for o in n.inputs))


def _is_among(asked: Sequence[Node], known: Sequence[Node]) -> bool:
    """Whether there is one question, and it is one of those that are known."""
    if len(asked) != 1:
        return False
    question = asked[0]
    return any((n.operation, n.inputs) == (question.operation, question.inputs) for n in known)
