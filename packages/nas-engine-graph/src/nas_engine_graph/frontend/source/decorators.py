"""Decorators: TorchScript reads what they wrap, eager code runs what they put around it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.amp.autocast_mode as _autocast
import torch.utils._contextlib as _contextlib
from nas_core.errors import Place
from torch.profiler import record_function

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.encode import encode
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.modes import name_of_mode
from nas_engine_graph.frontend.source.raising import only_checks
from nas_engine_graph.ir import Block, Call, Const, Node, Ref, Value, With

__all__ = ["Entered", "contexts", "within"]

_COMPILERS = ("torch._dynamo", "torch._compile")
_HELD: dict[str, Callable[[dict[str, Any]], Any]] = {
    _contextlib.__file__: lambda cells: getattr(cells["ctx_factory"], "__self__", None),
    _autocast.__file__: lambda cells: cells["autocast_instance"],
    contextlib.__file__: lambda cells: cells.get("self"),
}
"""What has the context manager of those in whose files a wrapper may be written."""


class Entered(NamedTuple):
    """A context manager of torch in which a decorator runs a function.

    Attributes:
        target: its dotted name.
        arguments: what it is made with.
        made: whether TorchScript makes it before it is entered, as an object.
    """

    target: str
    arguments: tuple[Const, ...] = ()
    made: bool = False


def contexts(function: Any, path: str) -> Iterator[Entered]:
    """The context managers in which decorators run a function, the outermost first.

    Raises:
        UnsupportedModuleError: a decorator does something else.
    """
    function = getattr(function, "decorated", function)
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        home = str(getattr(function, "__globals__", {}).get("__name__", ""))
        if (entered := _entered(_context(function))) is not None:
            yield entered
        elif not (home.startswith(_COMPILERS) or is_of_torch(inner) or only_checks(function)):
            raise _refusal(function, inner, path)
        function = inner


def within(entered: Entered, body: Block, value: Callable[[str, str], Value]) -> Block:
    """The body of a function as that of a ``with``: what it returns leaves under new names.

    Args:
        entered: what ``with`` enters.
        body: the body.
        value: makes a new value, of a name and a type.
    """
    kinds = {each.name: each.type for node in body.nodes for each in node.outputs}
    kinds |= {each.name: each.type for each in body.parameters}
    handed = tuple(operand for operand in body.results if isinstance(operand, Ref))
    outputs = tuple(value(ref.name, kinds[ref.name]) for ref in handed)
    names = iter(outputs)
    results = tuple(
        Ref(next(names).name) if isinstance(operand, Ref) else operand for operand in body.results
    )
    if not entered.made:
        node = Node(
            With(entered.target), entered.arguments, (), outputs, (Block((), body.nodes, handed),)
        )
        return Block(body.parameters, (node,), results)
    context = value(entered.target.rpartition(".")[2], entered.target)
    made = Node(Call(entered.target), entered.arguments, (), (context,))
    inside = Block((value("entered", entered.target),), body.nodes, handed)
    node = Node(With(), (Ref(context.name),), (), outputs, (inside,))
    return Block(body.parameters, (made, node), results)


def _context(wrapper: Any) -> Any:
    """The context manager in which a wrapper of torch or of the library runs what it wraps."""
    code = getattr(wrapper, "__code__", None)
    if code is None or code.co_filename not in _HELD:
        return None
    closure = (cell.cell_contents for cell in wrapper.__closure__ or ())
    return _HELD[code.co_filename](dict(zip(code.co_freevars, closure, strict=True)))


def _entered(context: Any) -> Entered | None:
    """What a context manager is entered as in generated code; None if nothing is known of it."""
    if (name := name_of_mode(type(context))) is not None:
        on = getattr(context, "mode", None)
        as_always = on is None or (on and type(context) is torch.inference_mode)
        return Entered(name, () if as_always else (Const(on),))
    if type(context) is record_function:
        arguments = [context.name] if context.args is None else [context.name, context.args]
        target = "torch.autograd.profiler.record_function"
        return Entered(target, tuple(map(Const, arguments)), made=True)
    if not isinstance(context, torch.autocast) or not is_of_torch(type(context)):
        return None
    if context.device == "cuda" and not torch.cuda.is_available():
        return None  # It is off then, whatever it was told to be.
    facts = context.device, context.fast_dtype, context._enabled, context._cache_enabled
    return Entered("torch.autocast", tuple(Const(encode(fact)) for fact in facts))


def _refusal(wrapper: Any, inner: Any, path: str) -> UnsupportedModuleError:
    code = getattr(inner, "__code__", None)
    place = Place(code.co_filename, code.co_firstlineno) if code else None
    name = _name(wrapper)
    return UnsupportedModuleError(f"the decorator {name!r} of {inner.__name__!r}", path, place)


def _name(wrapper: Any) -> str:
    context, code = _context(wrapper), getattr(wrapper, "__code__", None)
    if context is not None:
        made = getattr(context, "func", type(context))  # Of a generator of the user's.
        return f"torch.{made.__qualname__}" if is_of_torch(made) else str(made.__qualname__)
    return type(wrapper).__name__ if code is None else str(code.co_qualname).partition(".")[0]
