"""Expressions that are evaluated once and used twice: ``[... for v in [f(x)]][let]`` of ``logic``.

TorchScript makes two lists and a loop of one trip of it, which are taken away again.
"""

from __future__ import annotations

from typing import Any

from nas_engine_graph.frontend.nodes.sequences import code_of, source_of
from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.scripted import blocks_of

__all__ = ["let"]


def let(t: Translator, node: Any) -> bool:
    """Translate the node if it is a part of such an expression; whether it is one."""
    match node.kind():
        case "prim::ListConstruct":
            return _collects(node) or _is_source(node)
        case "aten::len":
            return _is_source(source_of(node))
        case "prim::Loop" if _is_let(node):
            (block,) = blocks_of(node)
            t.inline(block)
            return True
        case "aten::append" if _collects(source_of(node)):
            t.meaning[source_of(node).output().unique()] = t.operand(node, 1)
            return True
        case "aten::__getitem__" if _collects(source_of(node)):
            t.alias(node, t.operand(node, 0))
            return True
        case "aten::__getitem__" if _is_source(source_of(node)):
            t.alias(node, t.operand(source_of(node), 0))
            return True
    return False


def _collects(node: Any) -> bool:
    """Whether a new list is the one that the loop fills."""
    return (
        node.kind() == "prim::ListConstruct"
        and not node.inputsSize()
        and any(
            use.user.kind() == "aten::__getitem__" and code_of(use.user) == "let"
            for use in node.output().uses()
        )
    )


def _is_source(node: Any) -> bool:
    """Whether a new list holds what the loop takes."""
    if node.kind() != "prim::ListConstruct" or node.inputsSize() != 1:
        return False
    lengths = (use.user for use in node.output().uses() if use.user.kind() == "aten::len")
    return any(_is_let(use.user) for length in lengths for use in length.output().uses())


def _is_let(node: Any) -> bool:
    if node.kind() != "prim::Loop":
        return False
    (block,) = blocks_of(node)
    return any(n.kind() == "aten::append" and _collects(source_of(n)) for n in block.nodes())
