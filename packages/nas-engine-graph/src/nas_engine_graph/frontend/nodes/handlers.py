"""What each kind of TorchScript node means: a table of functions; operators are the default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nas_engine_graph.frontend.encode import NotEncodableError, encode
from nas_engine_graph.frontend.names import annotated, plain_name
from nas_engine_graph.frontend.nodes import calls, control, fields, operators, subscripts, views
from nas_engine_graph.frontend.nodes.iteration import iterate
from nas_engine_graph.frontend.nodes.lets import let
from nas_engine_graph.frontend.nodes.sequences import (
    given_as_tuple,
    hides,
    is_given_as_list,
    makes_tuple,
    source_of,
)
from nas_engine_graph.frontend.nodes.translator import (
    Context,
    Created,
    FunctionName,
    ModulePath,
    Translator,
)
from nas_engine_graph.frontend.nodes.unset import uninitialized
from nas_engine_graph.frontend.scripted import inputs_of, outputs_of
from nas_engine_graph.frontend.source.coded import decoded
from nas_engine_graph.frontend.source.mixed import may_differ
from nas_engine_graph.frontend.source.places import unsupported
from nas_engine_graph.ir import Builtin, Call, Const, Read, Ref, Size, Symbol, Write

__all__ = ["handle"]

_SCALARS = (
    type(None),
    bool,
    int,
    float,
    str,
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
)


def _constant(t: Translator, node: Any) -> None:
    value = node.output()
    if node.hasAttribute("name"):
        t.meaning[value.unique()] = FunctionName(value.type().annotation_str)
        return
    written = value.toIValue()
    content = decoded(written)
    t.inexact |= content is not written and content != written
    if isinstance(content, list | dict):
        _literal(t, node, content)
        return
    try:
        t.meaning[value.unique()] = Const(encode(content))
    except NotEncodableError as error:
        raise unsupported(node, str(error), t.owner or ()) from error


def _literal(t: Translator, node: Any, content: Any) -> None:
    items = content if isinstance(content, list) else [x for pair in content.items() for x in pair]
    name = "list" if isinstance(content, list) else "dict"
    t.emit(node, Builtin(name), [Const(encode(item)) for item in items], hint="items")


def _is_scalar(value: Any) -> bool:
    if type(value) in (tuple, torch.Size):
        return all(map(_is_scalar, value))
    return isinstance(value, _SCALARS)


def _get(t: Translator, node: Any) -> None:
    owner, name = t.meaning[node.input().unique()], node.s("name")
    if not isinstance(owner, ModulePath):
        fields.get(t, node)
        return
    module = t.world.module(owner.path)
    value = node.output()
    if name in module._modules and module._modules[name] is not None:
        t.meaning[value.unique()] = ModulePath((*owner.path, name))
        return
    relative = (*owner.path[len(t.owner or ()) :], name)
    content = getattr(module, name)
    if name == "training" or name in module._parameters or name in module._buffers:
        if content is None and not t.world.is_written(name):
            t.meaning[value.unique()] = Const(None)
        else:
            t.emit(node, Read(relative), hint=name)
    elif _is_scalar(content) and not t.world.is_written(name):
        t.meaning[value.unique()] = Const(encode(content))
        # TorchScript takes sizes for tuples, and an integer for a float that is declared.
        t.inexact |= isinstance(content, torch.Size)
        t.inexact |= may_differ(t.annotated(value), type(content).__name__)
    else:
        if name in t.world.set_by_left:
            text = f"a read of {name!r}, which a method sets that is marked @torch.jit.ignore"
            raise unsupported(node, text, owner.path)
        _note_attribute(t, owner, Read(relative), t.annotated(value))
        t.emit(node, Read(relative), hint=name)


def _note_attribute(t: Translator, owner: ModulePath, access: Read | Write, kind: str) -> None:
    """Notes the type of an attribute that is read or set; what is read tells it better."""
    kinds = t.world.attributes.setdefault(t.world.canonical(owner.path), {})
    note = kinds.__setitem__ if isinstance(access, Read) else kinds.setdefault
    t.need(access, note, access.path[-1], kind)


def _set(t: Translator, node: Any) -> None:
    owner_value, value = inputs_of(node)
    owner, name = t.meaning[owner_value.unique()], node.s("name")
    if not isinstance(owner, ModulePath):
        fields.put(t, node)
        return
    module = t.world.module(owner.path)
    if name == "training":
        raise unsupported(node, "setting self.training", t.owner or ())
    relative = (*owner.path[len(t.owner or ()) :], name)
    if name not in module._parameters and name not in module._buffers:
        kind = t.annotated(value)
        if getattr(module, name) is None and "None" not in kind and "Optional" not in kind:
            kind = f"Optional[{kind}]"
        _note_attribute(t, owner, Write(relative), kind)
    t.emit(node, Write(relative), [t.operand(node, 1)])


def _same(t: Translator, node: Any) -> None:
    t.alias(node, t.operand(node, 0))


def _tuple(t: Translator, node: Any) -> None:
    if (packed := t.packed.get(node.output().unique())) is not None:
        t.alias(node, packed)
        return
    kind = node.output().type()
    if kind.annotation_str.startswith("__torch__."):
        calls.named_tuple(t, node, kind.annotation_str)
        return
    inputs = t.operands(node)
    if all(isinstance(i, Const) for i in inputs) and inputs:
        t.alias(node, Const(tuple(i.value for i in inputs if isinstance(i, Const))))
        return
    t.emit(node, Builtin("tuple"), inputs, hint="items")


def _list(t: Translator, node: Any) -> None:
    if hides(node) or subscripts.is_index(node) or views.is_dtype(t, node) or _is_fixed_size(node):
        return
    if (source := given_as_tuple(node)) is not None:
        t.alias(node, t.operand(source, 0))
        return
    try:
        name = "tuple" if makes_tuple(node) else "list"
    except LookupError as error:
        (use,) = node.output().uses()  # The list itself has no place.
        raise unsupported(use.user, str(error), t.owner or ()) from error
    inputs = t.operands(node)
    if name == "tuple" and all(isinstance(i, Const) for i in inputs):
        t.alias(node, Const(tuple(i.value for i in inputs if isinstance(i, Const))))
    else:
        t.emit(node, Builtin(name), inputs, hint="items")


def _is_fixed_size(node: Any) -> bool:
    """Whether a new list only holds the numbers of a ``torch.Size``."""
    return (
        node.kind() == "prim::ListConstruct"
        and all(value.node().kind() == "prim::Constant" for value in inputs_of(node))
        and [use.user.kind() for use in node.output().uses()] == ["aten::Size"]
    )


def _size(t: Translator, node: Any) -> None:
    """``torch.Size`` of a list or tuple."""
    source = source_of(node)
    if _is_fixed_size(source):
        t.alias(node, Const(Size(value.toIValue() for value in inputs_of(source))))
        return
    t.emit(node, Call("torch.Size"), t.operands(node), hint="size")


def _dict(t: Translator, node: Any) -> None:
    t.emit(node, Builtin("dict"), t.operands(node), hint="items")


def _unpack(t: Translator, node: Any) -> None:
    if is_given_as_list(node):
        return
    source = t.operand(node, 0)
    if isinstance(source, Const) and isinstance(source.value, tuple):
        for output, item in zip(outputs_of(node), source.value, strict=True):
            t.meaning[output.unique()] = Const(item)
        return
    if node.outputsSize():
        t.emit(node, Builtin("unpack"), [source], hint="item")


def _index(t: Translator, node: Any) -> None:
    source, index = t.operands(node)
    match source, index:
        case Const(value=tuple() as items), Const(value=int() as at):
            t.alias(node, Const(items[at]))
        case _:
            t.emit(node, Builtin("getitem"), [source, index], hint="item")


def _tuple_slice(t: Translator, node: Any) -> None:
    bounds = [Const(node.i("beg")), Const(node.i("end")), Const(1)]
    t.emit(node, Builtin("slice"), [t.operand(node, 0), *bounds], hint="items")


def _tolist(t: Translator, node: Any) -> None:
    """``x.tolist()``, whose depth and type TorchScript takes from an annotation."""
    t.emit(node, Builtin("method.tolist"), [t.operand(node, 0)], hint="items")


def _print(t: Translator, node: Any) -> None:
    t.emit(node, Builtin("print"), t.operands(node))


def _enum(t: Translator, node: Any) -> None:
    name = node.kind().removeprefix("prim::Enum").lower()
    t.emit(node, Builtin(f"attribute.{name}"), t.operands(node), hint=name)


def _create(t: Translator, node: Any) -> None:
    target = calls.context_target(node.output().type().annotation_str)
    if target is None:
        fields.create(t, node)
    else:
        t.meaning[node.output().unique()] = Context(target)


def _call(t: Translator, node: Any) -> None:
    match t.meaning[node.inputsAt(0).unique()]:
        case Created() as created:
            fields.initialise(t, node, created)
        case Const() | Ref():
            fields.call(t, node)
        case _:
            calls.method(t, node)


def _enter(t: Translator, node: Any) -> None:
    context = t.meaning[node.inputsAt(0).unique()]
    if isinstance(context, Context):
        t.enter(context)
        return
    made = Context("", t.operands(node))
    t.enter(made)
    made.given = (t.bind(node.output(), "entered"),)


def _exit(t: Translator, node: Any) -> None:
    t.leave(node)


def _isinstance(t: Translator, node: Any) -> None:
    names = [annotated(kind, t.homes) for kind in node.tys("types")]
    if local := [name for name in names if "__torch__" in name]:
        text = f"isinstance of {plain_name(local[0])}, which can't be imported"
        raise unsupported(node, text, t.owner or ())
    if any("[" in name for name in names):
        # What is in containers is asked by ``torch.jit.isinstance``.
        kinds = [Const(name) for name in names]
        t.emit(node, Builtin("jit_isinstance"), [t.operand(node, 0), *kinds], hint="fits")
        return
    if unknown := [name for name in names if "." not in name and name not in _CLASSES]:
        raise unsupported(node, f"isinstance of {unknown[0]}", t.owner or ())
    symbols = tuple(Symbol(_CLASSES.get(name, name)) for name in names)
    t.emit(node, Builtin("isinstance"), [t.operand(node, 0), Const(symbols)], hint="fits")


def _wait(t: Translator, node: Any) -> None:
    """The value of a future that who calls the model gives: all others are values already."""
    t.emit(node, Call("torch.jit.wait"), t.operands(node), hint="value")


_CLASSES = {name: name for name in ("int", "float", "bool", "str", "list", "tuple", "complex")}
_CLASSES |= {"Tensor": "torch.Tensor", "Device": "torch.device"}
HANDLERS: dict[str, Callable[[Translator, Any], None]] = {
    "prim::Constant": _constant,
    "prim::GetAttr": _get,
    "prim::SetAttr": _set,
    "prim::CallMethod": _call,
    "prim::CallFunction": calls.function,
    "prim::PythonOp": calls.python,
    "prim::If": control.branch,
    "prim::Loop": control.loop,
    "prim::RaiseException": control.raise_exception,
    "prim::TupleConstruct": _tuple,
    "prim::ListConstruct": _list,
    "prim::DictConstruct": _dict,
    "prim::TupleUnpack": _unpack,
    "prim::ListUnpack": _unpack,
    "prim::TupleIndex": _index,
    "prim::TupleSlice": _tuple_slice,
    "prim::unchecked_cast": _same,
    "prim::unchecked_unwrap_optional": _same,
    "aten::_unwrap_optional": _same,
    "prim::Uninitialized": uninitialized,
    "prim::isinstance": _isinstance,
    "prim::tolist": _tolist,
    "prim::Print": _print,
    "prim::CreateObject": _create,
    "prim::Enter": _enter,
    "prim::Exit": _exit,
    "prim::EnumName": _enum,
    "prim::EnumValue": _enum,
    "aten::Size": _size,
    "aten::wait": _wait,
    "aten::index": subscripts.index,
    "aten::index_put_": subscripts.assign,
    "aten::copy_": subscripts.assign,
    "aten::slice": subscripts.part,
    "aten::view": views.view,
    "aten::tensor": subscripts.tensor,
    "prim::dtype": subscripts.fact,
    "prim::device": subscripts.fact,
}


def handle(t: Translator, node: Any) -> None:
    """Append to the open block what the TorchScript node means."""
    if not let(t, node) and not iterate(t, node):
        HANDLERS.get(node.kind(), operators.operator)(t, node)
