"""What the truth of a value tells of others: TorchScript narrows types where it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
            case Builtin("is" | "is_not" | "isinstance" | "jit_isinstance"):
                found[node.outputs[0].name] = Narrowing((node,), (node,))
            case If():
                results = zip(*(inner.results for inner in node.blocks), strict=True)
                for value, given in zip(node.outputs, results, strict=True):
                    made = _joined((node.inputs[0], *given), found)
                    if made.yes or made.no:
                        found[value.name] = made


def _joined(operands: Sequence[Operand], found: Mapping[str, Narrowing]) -> Narrowing:
    """What a branch tells that is an ``and`` or an ``or``, by its condition and what it gives."""
    first, *_ = known = [
        found.get(o.name, Narrowing()) if isinstance(o, Ref) else Narrowing() for o in operands
    ]
    match operands:
        case (_, Ref(), Const(False)):
            return Narrowing(yes=(*first.yes, *known[1].yes))
        case (_, Const(True), Ref()):
            return Narrowing(no=(*first.no, *known[2].no))
    return Narrowing()


def _is_among(asked: Sequence[Node], known: Sequence[Node]) -> bool:
    """Whether there is one question, and it is one of those that are known."""
    if len(asked) != 1:
        return False
    question = asked[0]
    return any((n.operation, n.inputs) == (question.operation, question.inputs) for n in known)
