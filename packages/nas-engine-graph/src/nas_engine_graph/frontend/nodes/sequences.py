"""Lists that are tuples to Python: TorchScript has one type for lists, sizes and some tuples."""

from __future__ import annotations

import ast
from typing import Any

from nas_engine_graph.frontend.nodes.iteration import counts_trips, takes_item
from nas_engine_graph.frontend.schema import schema_of
from nas_engine_graph.frontend.scripted import blocks_of, inputs_of, outputs_of
from nas_engine_graph.frontend.source.coded import sign_of
from nas_engine_graph.frontend.source.marked import assigned_to, called, marked, marked_text

__all__ = [
    "augmented",
    "code_of",
    "given_as_tuple",
    "hidden",
    "hides",
    "is_argument",
    "is_float",
    "is_given_as_list",
    "is_implied",
    "is_limit",
    "is_listed",
    "is_of_item",
    "is_ordered",
    "is_tuple",
    "is_type",
    "is_view",
    "makes_tuple",
    "source_of",
    "wanted_as",
]

_JOINING = frozenset({"aten::add", "aten::add_", "aten::mul", "aten::eq", "aten::ne"})
_CALLS = frozenset({"prim::CallFunction", "prim::CallMethod", "prim::PythonOp"})
_COMPARING = frozenset({"aten::eq", "aten::ne"})
_PASSING = frozenset(
    {"aten::slice", "aten::mul", "aten::mul_", "prim::unchecked_cast",
     "prim::unchecked_unwrap_optional", "aten::_unwrap_optional"}
)  # fmt: skip
_DISGUISES = frozenset({"aten::sub_", "aten::sub", "aten::div_", "aten::div"})
_CHANGING = frozenset({"aten::add", "aten::sub", "aten::mul", "aten::div"})
_LISTING = frozenset({"aten::list", "aten::tolist"})
_VIEWS = frozenset({"aten::keys", "aten::values", "aten::items"})
_OF_VIEWS = frozenset({"aten::list", "aten::len", "aten::__contains__"})
"""What there is of views, too, which have what the dict has at that time."""
_STORING = frozenset({"aten::append", "aten::insert", "aten::_set_item", "aten::index_put_"})


def is_tuple(value: Any) -> bool:
    """Whether Python certainly has a tuple, such as a size, where TorchScript has this list."""
    node = value.node()
    kind, inputs = node.kind(), inputs_of(node)
    if kind in ("aten::Size", "aten::grad"):
        return True
    if kind == "prim::ListConstruct":
        return makes_tuple(node)
    if kind in ("aten::add", "aten::add_"):
        return any(map(is_tuple, inputs[:2]))
    if kind == "prim::If":
        at = [output.unique() for output in outputs_of(node)].index(value.unique())
        return any(is_tuple(block.returnNode().inputsAt(at)) for block in blocks_of(node))
    if not value.type().annotation_str.startswith("List"):
        return False
    schema = schema_of(node) if kind.startswith("aten::") else None
    if (
        schema is not None
        and kind not in _LISTING
        and (schema.dispatched or schema.arguments[0].type == "Tensor")
    ):
        return True  # What an operator returns several of, Python gets as a tuple.
    return kind in _PASSING and any(map(is_tuple, inputs[:2]))


def makes_tuple(node: Any) -> bool:
    """Whether a new list is a tuple that TorchScript has converted, to join or compare it.

    Raises:
        LookupError: nothing tells which of the two it is, and it makes a difference.
    """
    uses = list(node.output().uses())
    if len(uses) == 1 and uses[0].user.kind() in _CALLS:
        return _argument(uses[0].user, uses[0].offset - 1, node.inputsSize()) is ast.Tuple
    if len(uses) != 1 or uses[0].user.kind() not in _JOINING:
        return False
    user, at = uses[0].user, uses[0].offset
    if user.inputsSize() < 2 or at > 1:
        return False
    other = user.inputsAt(1 - at)
    if (literal := _literal(user, at)) is not None:
        return literal is ast.Tuple
    if _unpacks_one(node):
        return True
    if user.kind() == "aten::mul" or other.node().kind() in ("prim::ListConstruct", "aten::list"):
        return False
    if user.kind() in _COMPARING:
        raise LookupError("a comparison with what may be a list or a tuple: write it in place")
    return is_tuple(other)


def _unpacks_one(node: Any) -> bool:
    """Whether the items are all the items of one tuple."""
    items = [value.unique() for value in inputs_of(node)]
    sources = [value.node() for value in inputs_of(node)]
    if not sources or any(source.kind() != "prim::TupleUnpack" for source in sources):
        return False
    return items == [value.unique() for value in outputs_of(sources[0])]


def given_as_tuple(node: Any) -> Any | None:
    """The unpacked tuple of which a new list is, if only TorchScript makes a list of it.

    It does so for functions that declare a list, to which Python gives the tuple.
    """
    if node.kind() != "prim::ListConstruct" or not _unpacks_one(node):
        return None
    if any(use.user.kind() not in _CALLS for use in node.output().uses()):
        return None
    source = source_of(node)
    # What the user's code unpacks has names.
    unnamed = all(value.debugName().isdigit() for value in outputs_of(source))
    return source if unnamed and is_given_as_list(source, node) else None


def is_given_as_list(node: Any, made: Any | None = None) -> bool:
    """Whether a tuple is only unpacked to make the list of its items that a call gets."""
    uses = [use for value in outputs_of(node) for use in value.uses()]
    if len(uses) != node.outputsSize() or not uses:
        return False
    if made is None:
        made = uses[0].user
        return given_as_tuple(made) is not None
    return all(use.user == made for use in uses)


def _argument(call: Any, at: int, count: int) -> type[ast.expr] | None:
    """The kind of expression that an argument of a call is, if the source writes it in place."""
    if (written := called(call)) is None:
        return None
    found = written.args[at : at + 1] or [word.value for word in written.keywords]
    kinds = {type(v) for v in found if isinstance(v, ast.Tuple | ast.List) and len(v.elts) == count}
    return kinds.pop() if len(kinds) == 1 else None


def _literal(node: Any, at: int) -> type[ast.expr] | None:
    """The kind of expression that the source has as this operand, or gives the variable there."""
    match marked(node):
        case ast.BinOp(left, ast.Add() | ast.Mult(), right):
            found = (left, right)[at]
        case ast.Compare(left, [ast.Eq() | ast.NotEq()], [right]):
            found = (left, right)[at]
        case _:
            return None
    if isinstance(found, ast.Name):
        kinds = {_kind(value) for value in assigned_to(found.id, node)}
        return kinds.pop() if len(kinds) == 1 else None
    match found:
        case ast.Tuple([ast.List() | ast.ListComp()]):
            return None  # Or only in parentheses.
    return _kind(found)


def _kind(written: ast.expr) -> type[ast.expr] | None:
    """The kind of a tuple or list that is written out."""
    match written:
        case ast.Tuple():
            return ast.Tuple
        case ast.List() | ast.ListComp():
            return ast.List
    return None


def hides(node: Any) -> bool:
    """Whether a list is made only to take its one item out again.

    ``eager`` writes such lists: TorchScript does not fold what is in them.
    """
    uses = list(node.output().uses())
    if node.kind() != "prim::ListConstruct" or node.inputsSize() != 1 or len(uses) != 1:
        return False
    user = uses[0].user
    if user.kind() != "aten::__getitem__" or uses[0].offset != 0:
        return False
    return user.inputsAt(1).toIValue() == 0 or code_of(user) is not None


def source_of(node: Any) -> Any:
    """The node that makes the first input."""
    return node.inputsAt(0).node()


def code_of(node: Any) -> str | None:
    """What ``eager`` has written as the index of a list that hides its one item."""
    return sign_of(node.inputsAt(1).toIValue())


def hidden(node: Any) -> Any | None:
    """The list that the item of which the node takes out ``hides``; None for any other node."""
    if node.kind() != "aten::__getitem__":
        return None
    source = source_of(node)
    return source if source.kind() == "prim::ListConstruct" and hides(source) else None


def augmented(node: Any) -> str | None:
    """The sign of the assignment that ``eager`` has written with another one: ``|`` of ``|=``."""
    if node.kind() not in _DISGUISES:
        return None
    second = node.inputsAt(1).node()
    if is_implied(second):
        second = source_of(second)
    return None if hidden(second) is None else code_of(second)


def is_of_item(node: Any) -> bool:
    """Whether the node is the ``+`` of ``items[key] += 1``, which changes a tensor of a dict."""
    if node.kind() not in _CHANGING:
        return False
    setting = (use.user for use in node.output().uses() if use.user.kind() == "aten::_set_item")
    return any(user.sourceRange() == node.sourceRange() for user in setting)


def is_implied(node: Any) -> bool:
    """Whether only TorchScript makes an integer of a bool, or a float of a number."""
    name = node.kind().removeprefix("aten::")
    return (
        name in ("Int", "Float")
        and node.inputsAt(0).type().annotation_str in ("bool", "number")
        and marked_text(node) != name.lower()
    )


def is_argument(node: Any) -> bool:
    """Whether TorchScript has made the node for what an operator takes, not for a variable."""
    users = (use.user for use in node.output().uses())
    return any(user.sourceRange() == node.sourceRange() for user in users)


def is_float(node: Any) -> bool:
    """Whether the node is what ``eager`` makes of a call of ``float``: minus a hidden zero."""
    if node.kind() != "aten::sub" or node.inputsSize() != 2:
        return False
    zero = node.inputsAt(1).node()
    return hidden(zero) is not None and code_of(zero) == "float"


def is_limit(node: Any) -> bool:
    """Whether ``eager`` says with the node that the limits of a dtype are floats."""
    if node.kind() != "aten::Float":
        return False
    source = source_of(node)
    return hidden(source) is not None and (code_of(source) or "").startswith("finfo.")


def is_listed(node: Any) -> bool:
    """Whether ``eager`` has multiplied a size by one, so that TorchScript makes a list of it."""
    if node.kind() != "aten::mul" or node.inputsAt(1).toIValue() != 1:
        return False
    makers = [use.user for use in node.output().uses() if use.user.kind() == "prim::ListConstruct"]
    shown = [use.user for maker in makers for use in maker.output().uses()]
    return any(hidden(user) is not None and code_of(user) == "size" for user in shown)


def is_ordered(node: Any) -> bool:
    """Whether a new dict is an ``OrderedDict``: of calls of ``dict`` all is marked."""
    return "(" not in marked_text(node)


def is_type(node: Any) -> bool:
    """Whether the node is what ``eager`` makes of ``x.type()``."""
    if node.kind() != "aten::str":
        return False
    source = source_of(node)
    return hidden(source) is not None and code_of(source) == "type"


def is_view(node: Any) -> bool:
    """Whether the node makes a view of a dict, which TorchScript has as a list."""
    return node.kind() in _VIEWS


def wanted_as(node: Any) -> str:
    """What the uses of a view of a dict ask for: ``"view"`` or ``"list"``.

    Raises:
        LookupError: for both.
    """
    users = [use.user for use in node.output().uses()]
    kinds = {user.kind() for user in users if not (counts_trips(user) or takes_item(user))}
    kept = {kind for kind in kinds if not kind.startswith("aten::") or kind in _STORING}
    read = kinds - kept - _OF_VIEWS
    if kept and read:
        raise LookupError("a view of a dict that is read and kept: write list(...) around it")
    return "list" if read else "view"
