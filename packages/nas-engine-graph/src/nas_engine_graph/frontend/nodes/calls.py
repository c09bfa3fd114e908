"""Calls: of modules, of importable functions, of functions that become part of the graph."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from nas_engine_graph.frontend.encode import NotEncodableError, encode, symbol_of
from nas_engine_graph.frontend.kinds import decode
from nas_engine_graph.frontend.names import class_name, public_method, torch_name
from nas_engine_graph.frontend.nodes.translator import Context, FunctionName, ModulePath, Translator
from nas_engine_graph.frontend.rewriting.learning import LearntError
from nas_engine_graph.frontend.rewriting.parts import PARTS
from nas_engine_graph.frontend.rewriting.varied import varied_of
from nas_engine_graph.frontend.source import marked
from nas_engine_graph.frontend.source.calling import function_of
from nas_engine_graph.frontend.source.leaving import LeftMethod, key_of
from nas_engine_graph.frontend.source.mixed import CASTS, as_future, as_kept, as_number, wider_in
from nas_engine_graph.frontend.source.modes import mode_of
from nas_engine_graph.frontend.source.places import unsupported
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import Builtin, Call, Const, Invoke, Local, Node, Operand, Symbol, key

__all__ = [
    "context_target", "function", "method", "named_tuple", "python", "shortened",
    "without_defaults",
]  # fmt: skip

_CONTEXTS = {"no_grad": "torch.no_grad", "autocast": "torch.autocast"}
_GIVEN_BACK = (Const(Symbol("torch.jit.annotate")), Const(Symbol("typing.Any")))
"""What is forked where a value is known already: a function that gives it back."""
_LENGTHS = (nn.Sequential.__len__, nn.ModuleList.__len__, nn.ModuleDict.__len__)


def method(t: Translator, node: Any) -> None:
    """``prim::CallMethod``: a call of a module, or of another method of one."""
    owner, name = t.meaning[node.inputsAt(0).unique()], node.s("name")
    if isinstance(owner, Context):
        if name != "__init__":
            raise unsupported(node, f"method {name!r} of a context manager", t.owner or ())
        owner.arguments = t.operands(node, 1)
        if owner.target == "torch.autocast":
            owner.arguments = _autocast(node.inputsAt(0).type().annotation_str, owner.arguments)
        if owner.target == "torch.inference_mode" and owner.arguments == (Const(True),):
            owner.arguments = ()  # As decorators have it.
        return
    assert isinstance(owner, ModulePath)
    module = t.world.module(owner.path)
    relative = owner.path[len(t.owner or ()) :]
    inputs = t.operands(node, 1)
    if name == "__len__" and type(module).__len__ in _LENGTHS:  # type: ignore[attr-defined]
        t.alias(node, Const(len(module._modules)))
        return
    wanted = (owner.path, name)
    if not (own := not t.world.layer(module)):
        name = re.sub(r"__\d+$", "", name)  # One of the overloads.
    python = None if name in vars(module) else function_of(type(module), name)
    positional, keywords = shortened(node, python, inputs, 1, own)
    hint = relative[-1] if relative and not relative[-1].isdigit() else name
    called = Invoke(relative, public_method(name))
    if own:
        t.need(called, t.world.want, *wanted)
        t.own[called] = python, 1
    t.emit(node, called, positional, keywords, hint=hint)


def _autocast(kind: str, given: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """What ``torch.autocast`` takes for what it, or ``torch.cuda.amp.autocast``, is given."""
    match kind.split("."):
        case [_, "torch", ("cpu" | "cuda") as home, *_]:
            enabled, dtype, *others = given
            given = (Const(home), dtype, enabled, *others)
    device, dtype, *others = given
    return (device, _as_dtype(dtype), *others)


def _as_dtype(operand: Operand) -> Operand:
    """A dtype, which TorchScript writes as an integer."""
    match operand:
        case Const(int() as value):
            return Const(decode(value, "dtype"))
    return operand


def shortened(
    node: Any, python: Any, inputs: Sequence[Operand], skip: int = 0, own: bool = False
) -> tuple[list[Operand], list[tuple[str, Operand]]]:
    """Arguments without those that are the default; keywords from the first that is left out.

    Args:
        node: the call.
        python: what is called.
        inputs: all arguments.
        skip: how many of its parameters have no argument here.
        own: whether it is written anew, with parameters that are all positional.
    """
    parameters = _parameters(python, skip)
    if len(parameters) < len(inputs):
        return list(inputs), []
    given = {
        parameter.name: operand
        for index, (parameter, operand) in enumerate(zip(parameters, inputs, strict=False))
        if not _is_converted(parameter, operand, index, node)
    }
    return _arranged(parameters, given, own)


def _parameters(python: Any, skip: int) -> list[inspect.Parameter]:
    """The parameters of a function but the first ones; none if they can't be told."""
    try:
        return list(inspect.signature(python).parameters.values())[skip:]
    except (TypeError, ValueError):
        return []


def _arranged(
    parameters: Sequence[inspect.Parameter], given: Mapping[str, Operand], own: bool
) -> tuple[list[Operand], list[tuple[str, Operand]]]:
    positional: list[Operand] = []
    keywords: list[tuple[str, Operand]] = []
    for index, parameter in enumerate(parameters):
        operand = given.get(parameter.name)
        if operand is None or _is_default(parameter.default, operand):
            continue
        if index > len(positional) or (parameter.kind is parameter.KEYWORD_ONLY and not own):
            keywords.append((parameter.name, operand))
        else:
            positional.append(operand)
    return positional, keywords


def without_defaults(t: Translator, node: Node) -> Node:
    """A call without arguments that are the default, as far as is known after all."""
    parameters = _parameters(*t.own.get(node.operation, (None, 0)))
    if len(parameters) < len(node.operands):
        return node
    names = (parameter.name for parameter in parameters)
    given = dict(zip(names, node.inputs, strict=False)) | dict(node.keywords)
    positional, keywords = _arranged(parameters, given, own=True)
    return replace(node, inputs=tuple(positional), keywords=tuple(keywords))


def _is_default(default: Any, operand: Operand) -> bool:
    if default is inspect.Parameter.empty or not isinstance(operand, Const):
        return False
    try:
        return bool(key(encode(default)) == key(operand.value))
    except NotEncodableError:
        return False


def _is_converted(parameter: inspect.Parameter, operand: Operand, index: int, node: Any) -> bool:
    """Whether this is a default that TorchScript has made another number of, such as a float."""
    match operand:
        case Const(int() | float() | tuple() as value) if value == parameter.default:
            call = marked.called(node)
            return call is not None and not _gives(call, index, parameter.name)
    return False


def _gives(call: ast.Call, index: int, name: str) -> bool:
    """Whether a call has an argument for a parameter."""
    spread = any(isinstance(argument, ast.Starred) for argument in call.args)
    named = any(keyword.arg in (name, None) for keyword in call.keywords)
    return spread or named or index < len(call.args)


def function(t: Translator, node: Any) -> None:
    """``prim::CallFunction``."""
    name = t.meaning[node.inputsAt(0).unique()]
    assert isinstance(name, FunctionName)
    python = t.world.python.get(name.name)
    inputs = t.operands(node, 1)
    if python in PARTS:
        _part(t, node, *inputs)
        return
    if python in CASTS:
        _cast(t, node, inputs[0])
        return
    if python is as_kept:
        t.meaning[node.output().unique()] = Const(None)
        return
    if python is as_future:
        t.emit(node, Call("torch.jit.fork"), [*_GIVEN_BACK, *inputs], hint="future")
        return
    if python is as_number:
        t.emit(node, Builtin("int"), inputs, hint="int")
        return
    if python is not None and (public := torch_name(python)) is not None:
        called = resolve(public)
        positional, keywords = shortened(node, called, inputs)
        if called is not python:
            positional, keywords = shortened(node, python, inputs)
        t.emit(node, Call(public), positional, keywords, hint=python.__name__)
        return
    if python is not None and (imported := t.world.unread.get(python)) is not None:
        positional, keywords = shortened(node, python, inputs)
        t.emit(node, Call(imported), positional, keywords, hint=python.__name__)
        return
    local = free_function(t, name.name, python)
    positional, keywords = shortened(node, python, inputs, own=True)
    t.own[Local(local)] = python, 0
    t.emit(node, Local(local), positional, keywords, hint=local)


def _part(t: Translator, node: Any, value: Operand, key: Operand, named: Operand) -> None:
    """The attribute or item of what TorchScript knows nothing of."""
    assert isinstance(key, Const)
    if named == Const(True):
        t.emit(node, Builtin(f"field.{key.value}"), [value], hint=str(key.value))
    else:
        t.emit(node, Builtin("getitem"), [value, key], hint="item")


def _cast(t: Translator, node: Any, operand: Operand) -> None:
    """What TorchScript takes for a value of another type; a tensor that may be none is marked."""
    kind, given = node.output().type().annotation_str, t.type_of(operand)
    if kind != given and (kind == "Tensor" or given == "number"):
        t.emit(node, Builtin("typed"), [operand], hint="value")
        t.loosen(node.output(), *([] if kind == "Tensor" else [operand]))
        return
    if given == "Tensor" != kind and (mixed := wider_in(node, t.world.learnt)) is not None:
        text = f"{mixed.name!r}, which is a number or a tensor"
        raise unsupported(node, text, t.owner or ()) from LearntError(mixed)
    t.alias(node, operand)


def free_function(t: Translator, name: str, python: Callable[..., Any] | None) -> str:
    """Ask for a free function of the user, which is translated once; its name in the graph."""
    known = t.world.local_names
    if name not in known:
        base = python.__name__ if python is not None else name.rpartition(".")[2]
        base = base if base.isidentifier() else "function"
        known[name] = base if base not in known.values() else f"{base}_{len(known)}"
    local = known[name]
    t.need(Local(local), t.want, name, local, python)
    return local


def python(t: Translator, node: Any) -> None:
    """``prim::PythonOp``: a function marked @torch.jit.ignore, called as it is."""
    called = node.pyobj()
    if isinstance(called, nn.Module):
        t.emit(node, Call(_global(t, node, called)), t.operands(node), hint="value")
        return
    if (call := varied_of(called)) is not None:
        given, hint = t.operands(node), call.function.rpartition(".")[2]
        keywords = list(zip(call.keywords, given[call.positional :], strict=True))
        t.emit(node, Call(call.function), given[: call.positional], keywords, hint=hint)
        return
    if "lazy_bind" in getattr(called, "__qualname__", ""):
        _left_method(t, node, key_of(called.original_fn))
        return
    owner = called.__self__ if inspect.ismethod(called) else None
    if owner is not None and not isinstance(owner, type):
        raise unsupported(node, f"a call of the ignored method {called.__name__!r}", t.owner or ())
    try:
        # Such as ``apply`` of a ``torch.autograd.Function``.
        symbol = _member(owner, called.__name__) if owner else symbol_of(called)
    except NotEncodableError as error:
        name = f"{owner.__name__}.{called.__name__}" if owner else called.__name__
        construct = f"a call of {name!r}, which can't be imported by name"
        raise unsupported(node, construct, t.owner or ()) from error
    if "<locals>" in symbol.name or symbol.name.startswith("stand_ins"):
        raise unsupported(node, f"a call of the local function {called.__name__!r}", t.owner or ())
    t.emit(node, Call(symbol.name), t.operands(node), hint=called.__name__)


def _left_method(t: Translator, node: Any, key: Any) -> None:
    """A call of a method that stays as it is."""
    owner, name = t.meaning[node.inputsAt(0).unique()], node.pyname()
    known = (m for m in t.world.learnt if isinstance(m, LeftMethod) and m.key == key)
    if not isinstance(owner, ModulePath) or (left := next(known, None)) is None:
        text = f"a call of the method {name!r}, marked @torch.jit.ignore"
        raise unsupported(node, text, t.owner or ())
    called = Invoke(owner.path[len(t.owner or ()) :], left.name)
    kinds = t.world.attributes.setdefault(t.world.canonical(owner.path), {})
    for attribute in {*left.uses, *left.sets} & vars(t.world.module(owner.path)).keys():
        t.need(called, kinds.setdefault, attribute, "")
    for child in left.calls:
        t.need(called, t.world.want, (*owner.path, child), "forward")
    t.emit(node, called, t.operands(node, 1), hint=name)


def _global(t: Translator, node: Any, called: nn.Module) -> str:
    """The dotted name of a module that is a global variable: it is no part of what calls it."""
    homes = [(name, vars(home)) for name, home in list(sys.modules.items()) if name != "__main__"]
    found = (
        f"{home}.{name}"
        for home, names in homes
        for name, value in list(names.items())
        if value is called
    )
    if (first := min(found, default=None)) is None:
        text = f"a call of a {type(called).__name__} that is no part of the module, and not global"
        raise unsupported(node, text, t.owner or ())
    return first


def _member(cls: type, name: str) -> Symbol:
    return Symbol(f"{symbol_of(cls).name}.{name}")


def named_tuple(t: Translator, node: Any, kind: str) -> None:
    """A named tuple of a class of the user's."""
    if (name := class_name(kind, t.homes)) is None:
        raise unsupported(
            node,
            f"the named tuple {kind.rpartition('.')[2]!r}, which is not defined at the top of a "
            "module",
            t.owner or (),
        )
    t.emit(node, Call(name), t.operands(node), hint="items")


def context_target(kind: str) -> str | None:
    """The dotted name of a context manager that the IR can hold; None for any other class."""
    known = kind.startswith("__torch__.torch.")
    return _CONTEXTS.get(kind.rpartition(".")[2]) if known else mode_of(kind)
