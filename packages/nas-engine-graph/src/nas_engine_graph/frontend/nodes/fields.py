"""Nodes of TorchScript on objects of the user's classes: they come out as Python's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nas_engine_graph.frontend.names import ACCESSOR, class_name, plain_name
from nas_engine_graph.frontend.nodes.calls import shortened
from nas_engine_graph.frontend.nodes.translator import Created, Translator
from nas_engine_graph.frontend.source.places import unsupported
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import Builtin, Call, Const

__all__ = ["call", "create", "get", "initialise", "put"]

_TYPES = ("ClassType", "InterfaceType")


def _class_of(t: Translator, node: Any, value: Any) -> str:
    """The dotted name of the class of an object."""
    kind = value.type().annotation_str
    if value.type().kind() not in _TYPES:
        raise unsupported(node, f"{_act(node)} of a {kind}", t.owner or ())
    if (name := class_name(kind, t.homes)) is None:
        short = plain_name(kind)
        text = f"an object of class {short}, which is not defined at the top of a module"
        raise unsupported(node, text, t.owner or ())
    return name


def _act(node: Any) -> str:
    word = "method" if node.kind() == "prim::CallMethod" else "attribute"
    return f"{word} {node.s('name')!r}"


def create(t: Translator, node: Any) -> None:
    """``prim::CreateObject``, which is nothing until it is initialised."""
    t.meaning[node.output().unique()] = Created(_class_of(t, node, node.output()))


def initialise(t: Translator, node: Any, created: Created) -> None:
    """The call of ``__init__``: in Python that of the class."""
    value = node.inputsAt(0)
    function = getattr(resolve(created.name), "__init__", None)
    positional, keywords = shortened(node, function, t.operands(node, 1), 1)
    made = t.bind(value, created.name.rpartition(".")[2].lower())
    t.emit(node, Call(created.name), positional, keywords, outputs=(made,))
    t.meaning[node.output().unique()] = Const(None)


def get(t: Translator, node: Any) -> None:
    """``prim::GetAttr``."""
    _class_of(t, node, node.input())
    name = node.s("name")
    t.emit(node, Builtin(f"field.{name}"), t.operands(node), hint=name)


def put(t: Translator, node: Any) -> None:
    """``prim::SetAttr``."""
    _class_of(t, node, node.inputsAt(0))
    t.emit(node, Builtin(f"set_field.{node.s('name')}"), t.operands(node))


def call(t: Translator, node: Any) -> None:
    """``prim::CallMethod``, also of what gets or sets a property."""
    name, operands = node.s("name"), t.operands(node)
    cls: Any = resolve(_class_of(t, node, node.inputsAt(0)))
    if not hasattr(cls, name) and (found := ACCESSOR.fullmatch(name)) is not None:
        if found["act"] == "set":
            t.emit(node, Builtin(f"set_field.{found['name']}"), operands, outputs=())
            t.meaning[node.output().unique()] = Const(None)
        else:
            t.emit(node, Builtin(f"property.{found['name']}"), operands, hint=found["name"])
        return
    given = shortened(node, getattr(cls, name, None), operands[1:], 1)
    for heir in _heirs(cls):
        # TorchScript has filled in a default as if it had been given, or it was given.
        if shortened(node, getattr(heir, name, None), operands[1:], 1) != given:
            text = f"method {name!r} with an argument whose default is another in {heir.__name__}"
            raise unsupported(node, text, t.owner or ())
    positional, keywords = given
    t.emit(node, Builtin(f"call.{name}"), [operands[0], *positional], keywords, hint=name)


def _heirs(cls: Any) -> Iterator[Any]:
    """All classes that inherit from one."""
    heirs: list[Any] = type.__subclasses__(cls) if isinstance(cls, type) else []
    for heir in heirs:
        yield heir
        yield from _heirs(heir)
