"""``super().forward(x)`` and ``Base.forward(self, x)``: TorchScript knows methods of one class.

What such a call stands for becomes a method of its own, ``forward_of_Base``.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from torch import nn

from nas_engine_graph.frontend.source.calling import next_call, own_call
from nas_engine_graph.frontend.source.leaving import at_home, is_marked
from nas_engine_graph.frontend.source.modules import module_at
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import value_of

__all__ = ["Add", "method_name", "renamed", "with_super_methods"]

Add: TypeAlias = Callable[[type, str, types.FunctionType], str]
"""Lets a class have one more method while it is read; gives the name that it got."""


def method_name(method: str, base: type) -> str:
    """What the method of a base class is called beside the one that overrides it."""
    return f"{method}_of_{base.__name__}"


def renamed(function: types.FunctionType, name: str) -> types.FunctionType:
    """The same function under another name."""
    code, scope, cells = function.__code__, function.__globals__, function.__closure__
    made = types.FunctionType(code, scope, name, function.__defaults__, cells)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__annotations__ = function.__annotations__
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    made.__dict__.update(function.__dict__)
    return made


def with_super_methods(
    tree: ast.AST, function: Any, owner: nn.Module, around: Mapping[str, Any], add: Add
) -> None:
    """Let a method call the methods of base classes by names of their own, in place."""
    nodes = nodes_of(tree)
    definition = next(node for node in nodes if isinstance(node, ast.FunctionDef))
    if not definition.args.args:
        return
    own = definition.args.args[0].arg
    _name_forwards(nodes, owner, add)
    for call in nodes:
        match call:
            case ast.Call(ast.Attribute(ast.Call(ast.Name("super"), asked, []), name)):
                start = _class_around(function) if not asked else value_of(asked[0], around)
                bases = _after(start, type(owner))
            case ast.Call(ast.Attribute(value, name), [ast.Name(first), *_]) if first == own:
                base = value_of(value, around)
                bases = base.__mro__ if _is_base(base, type(owner)) else ()
                if isinstance(base, type) and not bases and is_marked(getattr(base, name, None)):
                    _leave(call, base, owner, add)
                    continue
            case ast.Call(ast.Attribute(value, name), [first, *_]) if is_marked(
                getattr(base := value_of(value, around), name, None)
            ):
                _leave(call, base, owner, add)
                continue
            case _:
                continue
        base = next((cls for cls in bases if name in vars(cls)), nn.Module)
        member = vars(base).get(name)
        if name == "__call__":
            base, name, member = next_call(type(owner), bases)
        if base is nn.Module or not isinstance(member, types.FunctionType):
            continue
        if not isinstance(call.func.value, ast.Call):  # type: ignore[attr-defined]
            del call.args[0]
        target = ast.copy_location(ast.Name(own, ast.Load()), call)
        made = add(type(owner), method_name(name, base), member)
        call.func = ast.copy_location(ast.Attribute(target, made, ast.Load()), call)


def _name_forwards(nodes: Iterable[ast.AST], owner: nn.Module, add: Add) -> None:
    """``child.forward(x)`` of a module with a ``__call__`` of its own, which it does not run."""
    for call in nodes:
        match call:
            case ast.Call(ast.Attribute(value, "forward") as called) if own_call(
                cls := type(module_at(value, owner))
            ):
                base, _, member = next_call(cls, ())
                called.attr = add(cls, method_name("forward", base), member)


def _leave(call: Any, base: Any, owner: nn.Module, add: Add) -> None:
    """``Net.logged(module, x)`` of another class: a method that stays as it is."""
    member, module = vars(base).get(call.func.attr), module_at(call.args[0], owner)
    if isinstance(member, types.FunctionType) and module is not None:
        made = add(type(module), method_name(call.func.attr, base), at_home(member, base))
        first = call.args.pop(0)
        call.func = ast.copy_location(ast.Attribute(first, made, ast.Load()), call)


def _class_around(function: Any) -> Any:
    """The class in which a function is written that says ``super()``."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    cells = dict(zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True))
    return cells["__class__"].cell_contents if "__class__" in cells else None


def _after(start: Any, cls: type) -> tuple[type, ...]:
    """The classes that ``super`` of a class looks into, one after the other."""
    order = cls.__mro__
    return order[order.index(start) + 1 :] if start in order else ()


def _is_base(found: Any, cls: type) -> bool:
    return isinstance(found, type) and found in cls.__mro__ and found is not nn.Module
