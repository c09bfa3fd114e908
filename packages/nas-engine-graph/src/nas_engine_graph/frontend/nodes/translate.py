"""One TorchScript graph as one function of the IR: nodes in program order, constants folded."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from nas_engine_graph.frontend.encode import NotEncodableError, encode
from nas_engine_graph.frontend.names import ACCESSOR, annotated, public_method
from nas_engine_graph.frontend.nodes.calls import without_defaults
from nas_engine_graph.frontend.nodes.carried import in_order
from nas_engine_graph.frontend.nodes.settled import settled
from nas_engine_graph.frontend.nodes.translator import ModulePath, Translator
from nas_engine_graph.frontend.nodes.unset import any_value
from nas_engine_graph.frontend.rewriting.defaults import fits
from nas_engine_graph.frontend.source.calling import function_of
from nas_engine_graph.frontend.source.decorators import contexts, within
from nas_engine_graph.frontend.source.places import unsupported
from nas_engine_graph.frontend.world import Path, World, exported, free_key
from nas_engine_graph.ir import Function, Value, walk

__all__ = ["translate"]

_NUMBER = re.compile(r"\b(float|int)\b")


def translate(world: World, path: Path, method: str) -> tuple[Function, dict[str, Function]]:
    """A method of the module at ``path``, and the free functions that it calls."""
    compiled = world.scripted(path)._get_method(method)
    key = f"{world.scripted(path)._type()}.{method}"
    translator = Translator(world, path, key, compiled)
    module = world.module(path)
    bound = _member(type(module), method)
    if method in vars(module):
        bound = getattr(vars(module)[method], "__func__", vars(module)[method])
    python = bound
    try:
        made, called = _function(
            translator, public_method(method), python if inspect.isfunction(python) else None, False
        )
    except NotEncodableError as error:
        first = next(iter(compiled.graph.nodes()), compiled.graph.return_node())
        raise unsupported(first, str(error), path) from error
    return replace(made, exported=method in exported(module)), called


def _function(
    t: Translator, name: str, python: Callable[..., Any] | None, free: bool
) -> tuple[Function, dict[str, Function]]:
    """The function that a graph is, and the free functions that it calls."""
    inputs = list(t.graph.inputs())
    if not free:
        t.meaning[inputs.pop(0).unique()] = ModulePath(t.owner or ())
    parameters = tuple(map(t.parameter, inputs))
    body = t.block(t.graph, parameters)
    body = replace(body, results=t.operands(t.graph.return_node()))
    for entered in reversed([*contexts(python, ".".join(t.owner or ()))]):
        body = within(entered, body, t.value)
    returns = annotated(t.declared, t.homes)
    body = settled(body, partial(any_value, t), partial(without_defaults, t), t.alike)
    for node in walk(body):
        for ask in t.needs.get(node.operation, ()):
            ask()
    made = Function(
        name,
        body,
        "" if t.inexact and _NUMBER.search(returns) else returns,
        _defaults(python, parameters, free),
        free,
    )
    called: dict[str, Function] = {}
    for compiled, (local, other) in t.wanted.items():
        called.update(_free_function(t.world, compiled, local, other))
    return in_order(made), called


def _free_function(
    world: World, name: str, local: str, python: Callable[..., Any] | None
) -> dict[str, Function]:
    """A free function by its name in the graph, after those that it calls; translated once."""
    if name not in world.free:
        translator = Translator(world, None, name, world.compiled(name))
        made, called = _function(translator, local, python, True)
        world.free[name] = {**called, free_key(local): made}
    return world.free[name]


def _defaults(
    python: Callable[..., Any] | None, parameters: tuple[Value, ...], free: bool
) -> tuple[Any, ...]:
    """The defaults of a function; those of a free one that are of another type nobody can use."""
    if python is None:
        return ()
    given = inspect.signature(python).parameters
    found: list[Any] = []
    for parameter in parameters:
        default = (
            given[parameter.name].default if parameter.name in given else inspect.Parameter.empty
        )
        if default is not inspect.Parameter.empty:
            if found or not free or fits(default, parameter.type):
                found.append(encode(default))
        elif found:
            text = f"the argument {parameter.name!r} without a default after one with one"
            raise NotEncodableError(text)
    return tuple(found)


def _member(cls: type, method: str) -> Any:
    """The member of a class that TorchScript calls so: of a property, what gets or sets it."""
    if (found := ACCESSOR.fullmatch(method)) is None or hasattr(cls, method):
        return function_of(cls, method)
    owner = getattr(cls, found["name"], None)
    return getattr(owner, f"f{found['act']}", None)
