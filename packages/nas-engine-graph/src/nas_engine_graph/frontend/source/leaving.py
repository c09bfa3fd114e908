"""Methods marked ``@torch.jit.ignore`` that TorchScript can't read: they are called as they are.

Others that are so marked are read. Generated code calls the method of the user's class, and gives
it its own module, ``Net.logged(self, x)``: the method may use of it what generated code has, too.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, TypeAlias

import torch._jit_internal as internal
from torch import nn

from nas_engine_graph.frontend.encode import NotEncodableError, symbol_of
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.modules import class_of
from nas_engine_graph.frontend.source.sources import readable

__all__ = ["LeftMethod", "at_home", "is_marked", "key_of", "left_method"]

Key: TypeAlias = tuple[CodeType, tuple[int, ...], type | None]
_MARKS = (internal.FunctionModifiers.IGNORE, internal.FunctionModifiers.UNUSED)


@dataclass(frozen=True)
class LeftMethod:
    """A method that stays as it is.

    Attributes:
        key: tells it from others.
        name: its dotted name.
        uses: the attributes of its module that it reads or changes.
        sets: those that it sets.
        calls: the modules inside its module that it calls.
    """

    key: Key
    name: str
    uses: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


def key_of(function: Any) -> Key:
    """Equal for one function and what was made of it, for each class that a function defines."""
    plain = getattr(function, "__func__", function)
    cells = tuple(map(id, plain.__closure__ or ()))
    return plain.__code__, cells, getattr(plain, "home", None)


def at_home(function: FunctionType, home: type) -> FunctionType:
    """The same method, which knows in which class it is written."""
    code, scope, cells = function.__code__, function.__globals__, function.__closure__
    made = FunctionType(code, scope, function.__name__, function.__defaults__, cells)
    functools.update_wrapper(made, function)
    del made.__wrapped__  # type: ignore[attr-defined]
    made.home = home  # type: ignore[attr-defined]
    return made


def is_marked(function: Any) -> bool:
    """Whether TorchScript is told to leave a function or method alone."""
    plain = getattr(function, "__func__", function)
    return getattr(plain, "_torchscript_modifier", None) in _MARKS


def left_method(function: FunctionType, owner: nn.Module) -> LeftMethod | None:
    """A method, if it is marked and can do without being read; None for any other."""
    name = _name(function, owner)
    if not is_marked(function) or name is None:
        return None
    if (tree := readable(function)) is None:
        return None
    definition: Any = tree.body[0]
    uses = _Uses(definition.args.args[0].arg if definition.args.args else "", owner)
    uses.visit(ast.Module(definition.body, []))
    found = (sorted(uses.read), sorted(uses.set), sorted(uses.called))
    return None if uses.more else LeftMethod(key_of(function), name, *map(tuple, found))


def _name(function: FunctionType, owner: nn.Module) -> str | None:
    """The dotted name under which a method is found in the class where it is written."""
    last = function.__qualname__.rpartition(".")[2]
    for home in filter(None, (getattr(function, "home", None), *type(owner).__mro__)):
        if getattr(vars(home).get(last), "__code__", None) is function.__code__:
            try:
                return f"{symbol_of(home).name}.{last}"
            except NotEncodableError:
                return None
    return None


class _Uses(ast.NodeVisitor):
    """What a method uses of its module; ``more`` if that is more than generated code has."""

    def __init__(self, own: str, owner: nn.Module) -> None:
        self.own, self.owner, self.more = own, owner, False
        self.read: set[str] = set()
        self.set: set[str] = set()
        self.called: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        self.more |= node.id in (self.own, "super")  # Others may use anything of it.

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(ast.Name(own), name) if own == self.own:
                if name in self.owner._modules:
                    self.called.add(name)
                    for child in (*node.args, *node.keywords):
                        self.visit(child)
                    return
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """``self.total += x`` changes a tensor in place, which stays the same."""
        match node.target:
            case ast.Attribute(ast.Name(own), name) if own == self.own and self.has_tensor(name):
                self.visit(node.value)
            case _:
                self.generic_visit(node)

    def has_tensor(self, name: str) -> bool:
        return name in self.owner._parameters or name in self.owner._buffers

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.value, ast.Name) or node.value.id != self.own:
            self.generic_visit(node)
            return
        name = node.attr
        stored = not isinstance(node.ctx, ast.Load)
        if self.has_tensor(name):
            self.more |= stored
        elif name in self.owner._modules:
            child = self.owner._modules[name]
            self.more |= stored or child is None or not is_of_torch(class_of(child))
        elif name in vars(self.owner):
            if name != "training":
                (self.set if stored else self.read).add(name)
        elif not hasattr(nn.Module, name):
            self.more |= not stored
            self.set |= {name} if stored else set()
