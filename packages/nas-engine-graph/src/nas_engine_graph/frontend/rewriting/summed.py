"""``sum`` of tensors, which TorchScript does not have."""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import List  # noqa: UP035  TorchScript reads it.

from torch import Tensor

from nas_engine_graph.frontend.source.marked import first_mark
from nas_engine_graph.frontend.source.places import frame_of
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["SUMS", "Summed", "chained", "is_in_turn", "sum_tensors", "summed_of"]

_SAID = re.compile(
    r"aten::sum\.dim_IntList\(.*\n.*for argument 'self' but instead found type 'List\[Tensor\]'"
)
_IN_TURN = "nas_engine_graph_sum_in_turn"


def tensors_summed(tensors: List[Tensor]) -> Tensor:  # noqa: UP006
    """The sum as Python makes it, which begins with 0."""
    total = 0 + tensors[0]
    for i in range(1, len(tensors)):
        total = total + tensors[i]
    return total


def tensors_added(tensors: List[Tensor], start: Tensor) -> Tensor:  # noqa: UP006
    """The sum that begins with a tensor."""
    total = start
    for tensor in tensors:
        total = total + tensor
    return total


SUMS = {f"nas_engine_graph_{f.__name__}": f for f in (tensors_summed, tensors_added)}
"""These functions by names that no function of the user's has."""


@dataclass(frozen=True, slots=True)
class Summed:
    """A call that sums up tensors; the column is that in the file."""

    file: str
    line: int
    column: int


def summed_of(text: str) -> Summed | None:
    """Where that is, if it is why TorchScript refuses."""
    frame = frame_of(text)
    if frame is None or not _SAID.search(text):
        return None
    return Summed(frame.file, frame.line, first_mark(text))


def sum_tensors(tree: ast.AST, first: int, indent: int, found: Iterable[Summed]) -> None:
    """Write such calls as those of functions of ours, in place.

    Args:
        tree: a function.
        first: the line of its file that is its first.
        indent: by how much it is indented there.
        found: the calls.
    """
    places = {(summed.line - first + 1, summed.column - indent) for summed in found}
    for node in nodes_of(tree) if places else ():
        if not isinstance(node, ast.Call) or (node.lineno, node.col_offset) not in places:
            continue
        match node:
            case ast.Call(ast.Name("sum") as name, [ast.GeneratorExp()], []):
                name.id = _IN_TURN
            case ast.Call(ast.Name("sum"), [ast.GeneratorExp(), _], []):
                pass
            case ast.Call(ast.Name("sum") as name, [_], []):
                name.id = f"nas_engine_graph_{tensors_summed.__name__}"
            case ast.Call(ast.Name("sum") as name, [_, _], []):
                name.id = f"nas_engine_graph_{tensors_added.__name__}"


def is_in_turn(node: ast.Call) -> bool:
    """Whether this is such a call, of what a generator computes."""
    return isinstance(node.func, ast.Name) and node.func.id == _IN_TURN


def chained(node: ast.Call, items: Sequence[ast.expr]) -> ast.expr:
    """``0 + f() + g()``: what is computed in turn is added before the next is computed.

    Without any items it is a call of ``sum``, which TorchScript refuses.
    """
    total: ast.expr = ast.copy_location(ast.Constant(0), node)
    for item in items:
        total = ast.copy_location(ast.BinOp(total, ast.Add(), item), node)
    if not items:
        node.func = ast.copy_location(ast.Name("sum", ast.Load()), node)
    return total if items else node
