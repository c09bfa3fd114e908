"""Operators, by schema: the dispatcher's as they are, TorchScript's own as Python's."""

from __future__ import annotations

import math
from ast import Attribute
from collections.abc import Sequence
from typing import Any

import torch

from nas_engine_graph.frontend.encode import is_valued, plain_value
from nas_engine_graph.frontend.nodes.folding import FOLDED, folded
from nas_engine_graph.frontend.nodes.loose import IMPLICIT, hand_on, learn, loosely
from nas_engine_graph.frontend.nodes.packed import emit_packed, is_packed
from nas_engine_graph.frontend.nodes.sequences import (
    augmented,
    code_of,
    hidden,
    is_argument,
    is_float,
    is_implied,
    is_limit,
    is_listed,
    is_of_item,
    is_ordered,
    is_tuple,
    is_type,
    is_view,
    source_of,
    wanted_as,
)
from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.schema import Schema, schema_of
from nas_engine_graph.frontend.scripted import inputs_of
from nas_engine_graph.frontend.source.marked import called, overload_of
from nas_engine_graph.frontend.source.places import unsupported
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import (
    Builtin,
    Call,
    Const,
    Operand,
    Operation,
    Operator,
    Ref,
    Size,
    Symbol,
    key,
)

__all__ = ["operator"]

# What TorchScript calls it, what the IR calls it.
_NAMES = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "truediv", "floordiv": "floordiv",
    "remainder": "mod", "pow": "pow", "neg": "neg", "eq": "eq", "ne": "ne", "lt": "lt", "le": "le",
    "gt": "gt", "ge": "ge", "__and__": "and", "__or__": "or", "__xor__": "xor", "__not__": "not",
    "__lshift__": "lshift", "__rshift__": "rshift", "__is__": "is", "__isnot__": "is_not",
    "__getitem__": "getitem", "_set_item": "setitem", "__delitem__": "delitem", "Delete": "delitem",
    "__contains__": "contains", "len": "len", "list": "list_of", "dict": "dict_of", "Int": "int",
    "Float": "float", "Bool": "bool", "Complex": "complex", "str": "str", "abs": "abs",
    "round": "round", "min": "min", "max": "max", "sum": "sum", "sorted": "sorted", "any": "any",
    "all": "all", "ord": "ord", "chr": "chr", "hex": "hex", "oct": "oct", "bin": "bin",
    "format": "format", "percentFormat": "percent", "divmod": "divmod", "hash": "hash",
    "range": "range", "rangelist": "rangelist", "__range_length": "range_length",
    "__derive_index": "derive_index", "StringIndex": "getitem",
    "__round_to_zero_floordiv": "truncdiv",
    "slice": "slice", "add_": "iadd", "mul_": "imul", "warn": "warn",
}  # fmt: skip
_QUESTIONS = {"has_torch_function": False, "is_scripting": True, "is_tracing": False}
# What Python does to numbers, and to tensors in place.
_AUGMENTED = {
    "%": ("mod", "remainder_"), "**": ("pow", "pow_"), "//": ("floordiv", "floor_divide_"),
    "|": ("or", "bitwise_or_"), "&": ("and", "bitwise_and_"), "^": ("xor", "bitwise_xor_"),
    "<<": ("lshift", "__ilshift__"), ">>": ("rshift", "__irshift__"),
}  # fmt: skip
_KEEPING = frozenset({"is", "is_not", "str"})  # These tell a member of an enum from its value.
_INEXACT = frozenset({"pow", "round", "min", "max"})
_NUMBERS = frozenset({"int", "float", "number", "bool", "complex"})


def _method_name(schema: Schema, first: str) -> Operation | None:
    """How Python spells an operator that only TorchScript knows."""
    name = schema.name
    if first == "Tensor":
        member = getattr(torch.Tensor, name, None)
        if member is not None:
            return Builtin(f"{'method' if callable(member) else 'attribute'}.{name}")
    if first == "Device" and hasattr(torch.device, name):
        return Builtin(f"attribute.{name}")
    if first == "str" and hasattr(str, name):
        return Builtin(f"method.{name}")
    if first.startswith(("List", "Dict")) and (hasattr(list, name) or hasattr(dict, name)):
        return Builtin(f"method.{name}")
    if first in _NUMBERS and callable(getattr(math, name, None)):
        return Call(f"math.{name}")
    if schema.namespace == "aten" and callable(getattr(torch, name, None)):
        return Call(f"torch.{name}")
    return None


def _spelling(schema: Schema) -> Operation | None:
    first = schema.arguments[0].type if schema.arguments else ""
    scalar = first not in ("Tensor", "Optional[Tensor]")
    if schema.namespace == "aten" and schema.name in ("sqrt", "exp", "log", "floor", "ceil"):
        return Call(f"math.{schema.name}")
    if schema.name == "mathremainder":
        return Call("math.remainder")
    if schema.namespace == "aten" and schema.name in ("tensor", "as_tensor"):
        return Call(f"torch.{schema.name}")
    if schema.namespace == "aten" and schema.name == "grad":
        return Call("torch.autograd.grad")
    if schema.name in _NAMES and (scalar or schema.name in _TENSOR_TOO):
        return Builtin(_NAMES[schema.name])
    return _method_name(schema, first)


_TENSOR_TOO = frozenset(
    {"Int", "Float", "Bool", "Complex", "len", "__is__", "__isnot__", "__not__", "str", "format",
     "__getitem__", "_set_item", "list", "__contains__", "abs", "min", "max", "round"}
)  # fmt: skip


def arguments(
    schema: Schema, operands: Sequence[Operand]
) -> tuple[list[Operand], list[tuple[str, Operand]]]:
    """Operands without the last ones that are the default."""
    positional: list[Operand] = []
    keywords: list[tuple[str, Operand]] = []
    needed = 0
    for argument, operand in zip(schema.arguments, operands, strict=True):
        default = argument.has_default and _is_default(argument.default, argument.kind, operand)
        # The function of Python has another one before the last of the operator.
        if not argument.keyword and argument.name != "allow_unused":
            positional.append(operand)
            needed = needed if default else len(positional)
        elif not default:
            keywords.append((argument.name, operand))
    return positional[:needed], keywords


def _is_default(default: Any, kind: str | None, operand: Operand) -> bool:
    if not isinstance(operand, Const):
        return False
    if kind is not None:
        return default is None and operand.value is None
    value = tuple(default) if isinstance(default, list) else default
    return bool(key(value) == key(operand.value))


def _plain(operand: Operand) -> Operand:
    """An operand of which only the value counts: a member of an enum may be a text or number."""
    if isinstance(operand, Const) and isinstance(operand.value, Symbol):
        found = resolve(operand.value.name)
        return Const(plain_value(found) if is_valued(found) else operand.value)
    return operand


def operator(t: Translator, node: Any) -> None:
    """Append the node for an operator, or fold it."""
    schema = schema_of(node)
    if schema is None:
        raise unsupported(node, f"TorchScript's {node.kind()}", t.owner or ())
    if _is_of_eager(t, node):
        return
    named = overload_of(node)
    if named not in ("", schema.overload or "default"):
        text = f"a call of {named!r} of {schema.name!r}, for which TorchScript takes another one"
        raise unsupported(node, text, t.owner or ())
    learn(t, node, schema)
    operands = t.operands(node)
    if (sign := augmented(node)) is not None:
        _augmented(t, node, sign, schema, operands)
    elif not loosely(t, node, schema, operands):
        _plainly(t, node, schema, operands)
        hand_on(t, node, schema, operands)


def _plainly(t: Translator, node: Any, schema: Schema, operands: Sequence[Operand]) -> None:
    operation = Operator(schema.target) if schema.dispatched else _spelling(schema)
    if operation == Builtin("pow") and isinstance(getattr(called(node), "func", None), Attribute):
        operation = Call("math.pow")
    if schema.dispatched and is_of_item(node):
        operation = Operator(f"aten.{schema.name}_.{schema.overload}")
    constant = all(isinstance(operand, Const) for operand in operands)
    if (
        isinstance(operation, Operator)
        or operation == Builtin("contains")
        or (constant and isinstance(operation, Builtin) and operation.name in FOLDED - _KEEPING)
    ):
        operands = tuple(map(_plain, operands))
    if is_implied(node) and t.type_of(operands[0]) == "number" and not is_argument(node):
        t.emit(node, Builtin("typed"), operands, hint="value")
        return
    if (known := _known(node, schema, operands, operation)) is not None:
        t.alias(node, known)
        return
    if operation is None:
        raise unsupported(node, f"TorchScript's {node.kind()}", t.owner or ())
    if isinstance(operation, Builtin):
        _builtin(t, node, operation.name, schema, list(operands))
        return
    positional, keywords = arguments(schema, operands)
    if operation == Operator("aten.arange.start_step") and len(positional) == 2:
        operation = Operator("aten.arange.start")  # With steps of one it is this one.
    if is_packed(node):
        emit_packed(t, node, operation, positional, keywords)
        return
    t.emit(node, operation, positional, keywords, hint=_hint(schema))


def _is_of_eager(t: Translator, node: Any) -> bool:
    """Appends what ``eager`` has written in another way; False for any other node."""
    if (source := hidden(node)) is not None:
        _shown(t, node, source)
    elif is_limit(node):
        t.alias(node, t.operand(node, 0))
    elif is_float(node):
        _float(t, node)
    elif is_listed(node):
        t.alias(node, t.operand(node, 0))
    elif is_type(node):
        t.emit(node, Builtin("method.type"), t.operands(node), hint="type")
    else:
        return False
    return True


def _shown(t: Translator, node: Any, source: Any) -> None:
    """The item of a list that only hides it; of a size that TorchScript took for a tuple."""
    item = t.operand(source, 0)
    code = code_of(node) or ""
    if code.startswith(("finfo.", "iinfo.")):
        made = t.value(code.partition(".")[2], "float" if code.startswith("f") else "int")
        t.append(node, Builtin(code), [item], made)
        t.alias(node, Ref(made.name))
        return
    if code != "size" or (isinstance(item, Const) and not isinstance(item.value, tuple)):
        t.alias(node, item)
        return
    t.inexact |= not node.output().type().annotation_str.startswith("List")
    if isinstance(item, Const):
        t.alias(node, Const(Size(item.value)))  # type: ignore[arg-type]
    else:
        t.emit(node, Call("torch.Size"), [item], hint="size")


def _known(
    node: Any, schema: Schema, operands: Sequence[Operand], operation: Operation | None
) -> Operand | None:
    """What an operator gives that only TorchScript needs or asks, or that is constant."""
    if schema.name in IMPLICIT or is_implied(node):
        return operands[0]  # Eager code passes the value itself where TorchScript converts it.
    if schema.name in _QUESTIONS:
        return Const(_QUESTIONS[schema.name])
    if isinstance(operation, Builtin) and operation.name in ("is", "is_not"):
        kinds = [value.type().annotation_str for value in inputs_of(node)]
        if Const(None) in operands and sorted(kinds) == ["NoneType", "Tensor"]:
            return Const(operation.name == "is_not")  # What may be None is declared so.
    if isinstance(operation, Call) and operation.target.startswith("math."):
        return folded(operation, operands)
    return None


def _augmented(
    t: Translator, node: Any, sign: str, schema: Schema, operands: Sequence[Operand]
) -> None:
    """An assignment with an operator, for which ``eager`` has written another one."""
    name, in_place = _AUGMENTED[sign]
    if t.is_loose(operands[0]):
        t.emit(node, Builtin(f"i{name}"), operands[:2], hint=name)
        t.loosen(node.output())
    elif schema.arguments[0].type == "Tensor":
        operation = Operator(f"aten.{in_place}.{schema.overload}")
        t.emit(node, operation, operands[:2], hint=name)
    elif schema.dispatched:
        raise unsupported(node, f"`{sign}=` of a number and a tensor", t.owner or ())
    else:
        _builtin(t, node, name, schema, list(operands[:2]))


def _float(t: Translator, node: Any) -> None:
    """A call of ``float``, which TorchScript may have left out."""
    number = t.operand(node, 0)
    if isinstance(number, Const):
        t.alias(node, Const(float(number.value)))  # type: ignore[arg-type]
    elif source_of(node).kind() == "aten::Float":
        t.alias(node, number)
    else:
        t.emit(node, Builtin("float"), [number], hint="float")


def _hint(schema: Schema) -> str:
    return schema.name.strip("_") or "value"


def _builtin(t: Translator, node: Any, name: str, schema: Schema, operands: list[Operand]) -> None:
    if name in _INEXACT:
        t.inexact = True
    positional, keywords = operands, list[tuple[str, Operand]]()
    if name.startswith("method."):  # TorchScript may have other defaults than Python.
        positional, keywords = arguments(schema, operands)
    if not keywords and (known := folded(Builtin(name), positional)) is not None:
        t.alias(node, known)
        return
    if name in ("iadd", "imul"):
        # A tuple can't be changed in place: Python makes another one.
        if is_tuple(node.inputsAt(0)):
            t.emit(node, Builtin(name[1:]), operands, hint="items")
        else:
            t.emit(node, Builtin(name), operands, outputs=())
            t.alias(node, operands[0])
        return
    if is_view(node):
        _view(t, node, name, operands)
        return
    if name == "dict_of" and is_ordered(node):
        t.emit(node, Call("collections.OrderedDict"), operands, hint="items")
        return
    if name.startswith("method."):
        if name == "method.sort":  # Of a list, to which Python gives the order by its name alone.
            keywords = [("reverse", operand) for operand in positional[1:]]
            positional = positional[:1]
        t.emit(node, Builtin(name), positional, keywords, hint=_hint(schema))
        return
    t.emit(node, Builtin(name), operands, hint=_hint(schema))


def _view(t: Translator, node: Any, name: str, operands: list[Operand]) -> None:
    """The keys, values or items of a dict: as a view or, where they are indexed, as a list."""
    try:
        wanted = wanted_as(node)
    except LookupError as error:
        raise unsupported(node, str(error), t.owner or ()) from error
    kind, hint = t.annotated(node.output()), name.removeprefix("method.")
    if wanted == "view":
        t.emit(node, Builtin(name), operands, hint=hint)
        return
    made = t.value(hint, kind)
    t.append(node, Builtin(name), operands, made)
    t.emit(node, Builtin("list_of"), [Ref(made.name)], hint="items")
