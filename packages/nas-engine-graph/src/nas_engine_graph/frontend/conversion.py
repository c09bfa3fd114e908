"""``convert``: the way of a module into the IR, from shadow to verified graph."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, Literal

import torch
import torch.jit._recursive as recursive
from nas_core.errors import Place
from nas_core.model import is_basic_unit
from nas_core.uncollected import uncollected
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.assembly.members import assemble
from nas_engine_graph.frontend.isolation import SCRIPT_ERRORS, isolated
from nas_engine_graph.frontend.layers.layers import is_layer
from nas_engine_graph.frontend.layers.parametrizations import has_parametrization
from nas_engine_graph.frontend.nodes.handlers import handle
from nas_engine_graph.frontend.nodes.translate import translate
from nas_engine_graph.frontend.overriding.switches import check_machinery
from nas_engine_graph.frontend.rewriting.learning import LearntError, Lesson, lesson_of
from nas_engine_graph.frontend.rewriting.reading import Progress
from nas_engine_graph.frontend.shadow import has_simple_signature, is_stand_in, shadow
from nas_engine_graph.frontend.source.leaving import LeftMethod
from nas_engine_graph.frontend.source.marked import marked_in
from nas_engine_graph.frontend.source.mixed import left_alone
from nas_engine_graph.frontend.source.places import frames_of, located
from nas_engine_graph.frontend.stored import has_forward, is_stored
from nas_engine_graph.frontend.world import Tree, World
from nas_engine_graph.ir import Graph, verify
from nas_engine_graph.known import Known

__all__ = ["check", "convert", "is_whole", "translated"]

_LONG = 300
_UNSUPPORTED = (3, 14)
_CLASS = re.compile(
    r"__torch__\.([\w.]*?)(?:___torch_mangle_\d+\.)?(\w+) \(of Python compilation unit at: \w+\)"
)
_KNOWN = f"{Known.__module__}.{Known.__name__}"


def convert(
    module: nn.Module, *, on_unsupported: Literal["error", "basic_unit"] = "error"
) -> Graph:
    """The graph of a module; the module itself is not touched.

    Args:
        module: any module that TorchScript can parse.
        on_unsupported: what to do with a module inside it that can't be converted: refuse the
            whole, or keep that module as one node and warn.

    Raises:
        UnsupportedModuleError: conversion would change what the module means; with file and line.

    >>> from torch import nn
    >>> graph = convert(nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    >>> graph.instantiate()
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
      (1): ReLU()
    )
    """
    if on_unsupported not in ("error", "basic_unit"):
        raise ValueError(f"on_unsupported is 'error' or 'basic_unit', not {on_unsupported!r}")
    with located(module):
        _check_given(module)
    if sys.version_info >= _UNSUPPORTED:
        _say_unsupported()
    units: dict[int, UnsupportedModuleError] = {}
    while True:
        try:
            with located(module), uncollected():
                graph = verify(assemble(translated(module, units.keys())))
            break
        except UnsupportedModuleError as error:
            if on_unsupported == "error":
                raise
            if (culprit := _culprit(module, error, units.keys())) is None:
                facts = error.construct, error.path, error.place
                raise UnsupportedModuleError(*facts, outermost=True) from error
            # Where it can't be made again, what is around it is kept for the same reason.
            inside = [units[id(inner)] for inner in culprit.modules() if id(inner) in units]
            units[id(culprit)] = inside[0] if inside else error
    for unit in _outermost(module, units.keys()):
        warnings.warn(f"kept as a basic unit: {units[id(unit)].args[0]}", stacklevel=2)
    return graph


def _check_given(module: Any) -> None:
    """Refuses what is no module, and a module without what ``nn.Module`` gives it."""
    cls = module if isinstance(module, type) else type(module)
    if not issubclass(cls, nn.Module):
        raise TypeError(f"convert takes a torch.nn.Module, not a value of type {cls.__name__!r}")
    if cls is module:
        raise TypeError(f"convert takes a module, not its class: write {cls.__name__}(…)")
    if "_modules" not in vars(module):
        text = f"{cls.__name__}, whose constructor does not call super().__init__()"
        raise UnsupportedModuleError(text)


@cache  # Once is enough.
def _say_unsupported() -> None:
    warnings.warn(
        "PyTorch does not support TorchScript, with which the graph engine reads modules, on "
        "Python 3.14 and later: where a conversion fails, use Python 3.13, or the engine 'py'",
        RuntimeWarning,
        stacklevel=3,
    )


def is_whole(module: nn.Module) -> bool:
    """Whether the module is one node whatever its class does."""
    return is_basic_unit(module) or has_parametrization(module) or is_stored(module)


def translated(module: nn.Module, units: AbstractSet[int] = frozenset()) -> World:
    """What the methods of a module and of those inside it mean; ``units`` are ids kept whole.

    Raises:
        UnsupportedModuleError: conversion would change what the module means.
    """

    def whole(candidate: nn.Module) -> bool:
        return id(candidate) in units or is_whole(candidate)

    def opaque(candidate: nn.Module) -> bool:
        return whole(candidate) or (is_layer(candidate) and has_simple_signature(candidate))

    if isinstance(module, torch.jit.ScriptModule):
        text = f"a scripted module ({module.original_name}): convert what it was made of"
        raise UnsupportedModuleError(text)
    if not has_forward(module):
        compiled = "_orig_mod" in module._modules
        text = "a module that torch.compile has made: convert the one that it was made of"
        raise UnsupportedModuleError(
            text if compiled else f"{type(module).__name__} has no method forward"
        )
    check(module, whole)
    learnt: tuple[Lesson, ...] = ()
    while True:
        try:
            return _attempted(module, opaque, whole, learnt)
        except UnsupportedModuleError as error:
            lesson = lesson_of(error.__cause__)
            if lesson is not None and lesson not in learnt:
                learnt += (lesson,)
            elif learnt and (left := left_alone(learnt[-1])) is not None:
                learnt = (*learnt[:-1], left)
            else:
                raise


def _attempted(module: nn.Module, opaque: Any, whole: Any, learnt: tuple[Lesson, ...]) -> World:
    with isolated(module, learnt) as progress:
        try:
            scripted = _script(module, opaque, progress)
        except UnsupportedModuleError as error:
            first = error
        else:
            return _translated(module, scripted, opaque, whole, progress)
    lesson = lesson_of(first.__cause__)
    guessed = isinstance(lesson, LeftMethod)
    if lesson not in (None, *learnt) and not guessed:
        raise first
    # A module may call a layer's other methods: then TorchScript has to see the layers.
    try:
        with isolated(module, learnt) as again:
            return _translated(module, _script(module, whole, again), whole, whole, again)
    except UnsupportedModuleError as second:
        if not guessed and lesson_of(second.__cause__) not in (None, *learnt):
            raise
        raise first from first.__cause__


def _translated(
    module: nn.Module, scripted: Any, hidden: Any, whole: Any, progress: Progress
) -> World:
    try:
        return _read(module, scripted, hidden, whole, progress, World.start)
    except UnsupportedModuleError as error:
        exports = any(True for _ in Tree(module, whole).exports())
        if not exports or lesson_of(error.__cause__) not in (None, *progress.learnt):
            raise
    # What nobody but a caller from outside needs is left out, if that is what can't be converted.
    return _read(module, scripted, hidden, whole, progress, lambda world: world.want((), "forward"))


def _read(
    module: nn.Module,
    scripted: Any,
    hidden: Any,
    whole: Any,
    progress: Progress,
    start: Callable[[World], None],
) -> World:
    constant: AbstractSet[str] = frozenset()
    while True:
        learnt, unread = progress.learnt, progress.unread
        world = World(module, scripted, hidden, whole, learnt, unread, constant, handle)
        start(world)
        while world.wanted:
            path, method = world.wanted.pop()
            if world.layer(world.module(path)):
                continue
            made, free = translate(world, path, method)
            world.translated[path, made.name] = made, free
            world.functions[path][made.name] = made
            world.functions[path].update(free)
        if not (more := world.never_written()):
            return world
        constant |= more


def check(module: nn.Module, whole: Callable[[nn.Module], bool]) -> None:
    """Refuses modules whose class or hooks change what calling or saving them does."""

    def visit(child: nn.Module, path: str) -> None:
        if whole(child):
            return
        check_machinery(child, path)
        if not is_layer(child):
            for name, inner in child.named_children():
                visit(inner, f"{path}.{name}" if path else name)

    visit(module, "")


def _script(module: nn.Module, whole: Any, progress: Progress) -> Any:
    try:
        progress.root = twin = shadow(module, whole)
        # As ``create_script_module``, but for a look through the constructor that only warns.
        script: Any = recursive
        script.check_module_initialized(twin)
        kind = script.get_module_concrete_type(twin)
        return script.create_script_module_impl(twin, kind, _methods)
    except SCRIPT_ERRORS as error:
        refused = isinstance(error, UnsupportedModuleError)
        refusal = error if refused else _refusal(error, progress)
        if lesson_of(error) is None and (left := progress.to_leave()) is not None:
            raise refusal from LearntError(left)
        if refused:
            raise
        raise refusal from error


def _frames(text: str) -> list[tuple[str, int]]:
    """The files and lines outside of torch where TorchScript says that it was."""
    return [(f.file, f.line) for f in frames_of(text) if "site-packages/torch/" not in f.file]


def _methods(module: nn.Module) -> Any:
    """The methods to compile: of a stand-in the only one, without a search through its class."""
    recursion: Any = recursive
    if is_stand_in(module):
        return [recursion.make_stub_from_method(module, "forward")]
    if type(module).forward is nn.Sequential.forward and not _all_callable(module):
        return []  # It is only written down: nobody calls it.
    return recursion.infer_methods_to_compile(module)


def _all_callable(module: nn.Module) -> bool:
    return all(map(has_forward, module.children()))


def _refusal(error: Exception, progress: Progress) -> UnsupportedModuleError:
    text = _CLASS.sub(r"\1\2", str(error))
    frames = _frames(text)
    place = Place(*frames[0]) if frames else progress.place
    if _KNOWN in text:
        used = f"`{marked_in(text)}` uses a choice that is not called"
        return UnsupportedModuleError(f"{used}: write `self.name()` for its value", place=place)
    read = "it" if frames else repr(progress.name or type(progress.root).__name__)
    said = " ".join(text.partition('File "')[0].split()).rstrip(":") or type(error).__name__
    message = said if len(said) <= _LONG else f"{said[:_LONG]}…"
    return UnsupportedModuleError(f"TorchScript can't read {read}: {message}", place=place)


def _outermost(module: nn.Module, units: AbstractSet[int]) -> Iterator[nn.Module]:
    """The modules with these ids that are not inside of others."""
    for child in module.children():
        if id(child) in units:
            yield child
        else:
            yield from _outermost(child, units)


def _culprit(
    module: nn.Module, error: UnsupportedModuleError, units: AbstractSet[int]
) -> nn.Module | None:
    """The smallest module that can't be converted and is not kept, which is not the root."""
    path = error.path
    while path:
        found = module.get_submodule(path)
        if id(found) not in units and has_forward(found):
            return found
        path = path.rpartition(".")[0]
    return None if error.path else _failing(module, units, top=True)


def _failing(module: nn.Module, units: AbstractSet[int], top: bool) -> nn.Module | None:
    for child in module.children():
        if id(child) not in units and (found := _failing(child, units, top=False)):
            return found
    if top or is_layer(module) or not has_forward(module):
        return None
    try:
        with torch.no_grad():
            verify(assemble(translated(module, units)))
    except UnsupportedModuleError:
        return module
    return None
