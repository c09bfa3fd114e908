"""Operators of what may be a number or a tensor: which of the two is found out when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_engine_graph.frontend.nodes.sequences import is_implied
from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.rewriting.learning import LearntError
from nas_engine_graph.frontend.schema import Schema
from nas_engine_graph.frontend.scripted import outputs_of
from nas_engine_graph.frontend.source.mixed import mixed_in
from nas_engine_graph.frontend.source.places import unsupported
from nas_engine_graph.ir import Builtin, Operand

__all__ = ["IMPLICIT", "hand_on", "learn", "loosely"]

IMPLICIT = frozenset({"IntImplicit", "FloatImplicit", "ScalarImplicit", "ComplexImplicit"})
"""Where TorchScript makes a number of a tensor, and Python does not."""
_LOOSELY = {"add_": "iadd", "sub_": "isub", "mul_": "imul", "div_": "itruediv"}


def learn(t: Translator, node: Any, schema: Schema) -> None:
    """Refuses, for once, a variable that is a number to TorchScript, and not to Python."""
    if schema.name not in IMPLICIT and not is_implied(node):
        return
    kind = "Tensor" if schema.name in IMPLICIT else node.output().type().annotation_str
    if (mixed := mixed_in(node, kind, t.world.learnt)) is not None:
        text = f"{mixed.name!r}, which is a number or not"
        raise unsupported(node, text, t.owner or ()) from LearntError(mixed)


def loosely(t: Translator, node: Any, schema: Schema, operands: Sequence[Operand]) -> bool:
    """Appends what Python does to a number or tensor; False for what is the same for both."""
    if not _is_of_loose(t, schema, operands):
        return False
    if schema.name == "reciprocal" and (product := _quotient(node)) is not None:
        t.divisors[product] = operands[0]
        t.alias(node, operands[0])
        return True
    name = _LOOSELY.get(schema.name)
    if (divisor := t.divisors.get(node.output().unique())) is not None:
        name, operands = "truediv", (operands[1], divisor)
    if name is None:
        return False
    t.emit(node, Builtin(name), operands[:2], hint=name)
    t.loosen(node.output())
    return True


def _quotient(node: Any) -> int | None:
    """The product that TorchScript has made of a division by what the node takes."""
    users = [use.user for use in node.output().uses() if use.user.kind() == "aten::mul"]
    return users[-1].output().unique() if users and "<string>" in node.sourceRange() else None


def hand_on(t: Translator, node: Any, schema: Schema, operands: Sequence[Operand]) -> None:
    """Notes that the result may be a number, too, if no operand certainly is a tensor."""
    tensors = [operand for operand in operands if t.type_of(operand) == "Tensor"]
    if _is_of_loose(t, schema, operands) and all(map(t.is_loose, tensors)):
        for output in outputs_of(node):
            t.loosen(output)


def _is_of_loose(t: Translator, schema: Schema, operands: Sequence[Operand]) -> bool:
    return schema.dispatched and any(map(t.is_loose, operands))
