"""What the truth of a value tells of others: TorchScript narrows types where it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nas_engine_graph.ir.effects import walk
from nas_engine_graph.ir.graph import Block, Node
from nas_engine_graph.ir.operation import Builtin, If
from nas_engine_graph.ir.value import Const, Operand, Ref

__all__ = ["Narrowing", "narrowings"]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The questions that a value answers: by yes if it is true, or by no if it is false."""

    yes: tuple[Node, ...] = ()
    no: tuple[Node, ...] = ()

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

    def answers(self, other: Narrowing) -> tuple[bool | None, bool | None]:
        """What a question is where another value is true, and where it is false."""
        if len(self.yes) != 1 or self.yes != self.no:
            return None, None
        (question,) = self.yes
        return _answer(question, other.yes, True), _answer(question, other.no, False)


def _answer(question: Node, known: Sequence[Node], answer: bool) -> bool | None:
    """The answer to a question where others have one."""
    for other in known:
        if other.inputs == question.inputs:
            if other.operation == question.operation:
                return answer
            if {other.operation, question.operation} == {Builtin("is"), Builtin("is_not")}:
                return not answer
    return None


def narrowings(body: Block) -> Mapping[str, Narrowing]:
    """The values of a function that tell whether something is None, or of which type it is."""
    found: dict[str, Narrowing] = {}
    _note(body, found)
    return found


def _note(block: Block, found: dict[str, Narrowing]) -> None:
    for node in block.nodes:
        for inner in node.blocks:
            _note(inner, found)
        match node.operation:
            case Builtin("is" | "is_not") if node.inputs[1] == Const(None):
                found[node.outputs[0].name] = Narrowing((node,), (node,))
            case Builtin("isinstance" | "jit_isinstance"):
                found[node.outputs[0].name] = Narrowing((node,), (node,))
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
