"""TorchScript without its global memory.

TorchScript remembers types and functions per process: a failed script call makes the next one
fail, and what we compile with our own reading of ``is_scripting`` must not be found by the user's
own calls.
"""

from __future__ import annotations

import inspect
import itertools
import threading
import warnings
import weakref
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import FunctionType, MethodType
from typing import Any

import torch
import torch._jit_internal as internal
import torch._sources
import torch.jit._recursive as recursive
import torch.jit._script as script
import torch.jit._state as state
import torch.jit.annotations
import torch.jit.frontend

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.objects import is_object_class
from nas_engine_graph.frontend.rewriting.learning import Lesson, lesson_of
from nas_engine_graph.frontend.rewriting.parts import PARTS_BY_NAME
from nas_engine_graph.frontend.rewriting.reading import Progress, eager_reading, sizes_of
from nas_engine_graph.frontend.rewriting.summed import SUMS
from nas_engine_graph.frontend.rewriting.varied import STAND_INS
from nas_engine_graph.frontend.source.leaving import LeftMethod, is_marked, left_method
from nas_engine_graph.frontend.source.methods import asked, assigned, empty, named, opened
from nas_engine_graph.frontend.source.mixed import WRITTEN
from nas_engine_graph.frontend.source.modes import MODES
from nas_engine_graph.frontend.source.records import valued
from nas_engine_graph.frontend.source.sources import has_source, source_lines
from nas_engine_graph.frontend.stored import is_stored

__all__ = ["SCRIPT_ERRORS", "isolated", "python_functions"]

parser: Any = torch.jit.frontend
SCRIPT_ERRORS = (
    torch.jit.frontend.FrontendError,
    RuntimeError,
    TypeError,
    ValueError,
    OSError,
    AttributeError,
    AssertionError,
    IndexError,
    SyntaxError,
)
"""What TorchScript raises where it can't read something."""
_LOCK = threading.RLock()


def _ordinary(modifier: Callable[[Any], Any], progress: Progress) -> Callable[[Any], Any]:
    """What is marked as unused, and methods marked as ignored, are used: eager code runs them."""
    modifiers = internal.FunctionModifiers
    left = any(isinstance(lesson, LeftMethod) for lesson in progress.learnt)

    def ordinary(function: Any) -> Any:
        found = modifier(function)
        if left and progress.is_left_method(function):
            return modifiers.IGNORE
        if found is modifiers.IGNORE and _is_own_method(function):
            return modifiers.DEFAULT
        if found is modifiers.UNUSED:
            return modifiers.IGNORE if function in progress.unread else modifiers.DEFAULT
        return found

    return ordinary


def _is_own_method(function: Any) -> bool:
    """Whether a function is written in a class of the user's."""
    home = getattr(function, "__qualname__", "").rpartition(".")[0]
    return bool(home) and not home.endswith("<locals>") and not is_of_torch(function)


def _unwrapping(closure: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Names mean what they mean where the function is written, not where its decorator is."""

    def unwrapping(function: Any) -> Any:
        kinds = function.spread.kinds if hasattr(function, "spread") else {}
        own = {**WRITTEN, **MODES, **SUMS, **PARTS_BY_NAME}
        # Stand-ins come as the source is read, which is after this.
        return ChainMap({**closure(inspect.unwrap(function)), **own, **kinds}, STAND_INS)

    return unwrapping


def _leaving(compiled: Callable[..., Any], progress: Progress) -> Callable[..., Any]:
    """A function that can't be read is compiled once more, then as it is for TorchScript."""

    def leaving(function: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return compiled(function, *args, **keywords)
        except UnsupportedModuleError:
            raise
        except SCRIPT_ERRORS as error:
            if not isinstance(function, FunctionType) or lesson_of(error) is not None:
                raise
            if not progress.is_left(function):
                raise
        return compiled(function, *args, **keywords)

    return leaving


def _noting_owners(make: Callable[..., Any], progress: Progress) -> Callable[..., Any]:
    def noting(module: Any, kind: Any, stubs: Any) -> Any:
        progress.owners.setdefault(id(kind), (kind, module))
        try:
            return make(module, kind, stubs)
        except SCRIPT_ERRORS as error:
            forward: Any = getattr(type(module), "forward", None)
            if progress.failed is None and lesson_of(error) is None and is_marked(forward):
                progress.failed = left_method(forward, module)
            raise

    return noting


def _bound(compiled: Callable[..., Any], progress: Progress) -> Callable[..., Any]:
    """Methods that are called by others are read as methods of a module, too, not of its class."""

    def bound(kind: Any, function: Any) -> Any:
        _, owner = progress.owners.get(id(kind), (None, None))
        if owner is None or isinstance(function, MethodType):
            return compiled(kind, function)
        try:
            return compiled(kind, MethodType(function, owner))
        except SCRIPT_ERRORS as error:
            if lesson_of(error) is None and isinstance(function, FunctionType):
                progress.failed = left_method(function, owner)
            raise

    return bound


def _owned(stubs: Callable[[Any], Any], progress: Progress) -> Callable[[Any], Any]:
    def owned(module: Any) -> Any:
        progress.owner = module
        try:
            return stubs(module)
        finally:
            progress.owner = None

    return owned


def _used(read: Callable[..., Any], modules: list[torch.nn.Module]) -> Callable[..., Any]:
    """Reads the properties that are used, and no others: `x.device` uses none of a module.

    What sets one is read where something sets an attribute of its name.
    """
    classes = set(map(type, modules))

    @cache
    def used_of(modules_alone: bool) -> frozenset[str]:
        return asked(modules) if modules_alone else named(classes)

    def properties(cls: type, self_name: str) -> Any:
        used = used_of(is_module := issubclass(cls, torch.nn.Module))
        ignored = getattr(cls, "__jit_unused_properties__", ())
        found = _properties(cls).items()
        kept = {name: made for name, made in found if name in used and name not in ignored}
        if not kept:
            return []
        if is_module:
            for name in kept.keys() - assigned(classes):
                kept[name] = property(kept[name].fget)
        return read(type(cls.__name__, (), kept), self_name)

    return properties


def _properties(cls: type) -> dict[str, property]:
    """The properties of a class, by name."""
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        members.update(vars(base))
    return {n: member for n, member in sorted(members.items()) if isinstance(member, property)}


def _sizes_apart(infer: Callable[..., Any]) -> Callable[..., Any]:
    """Modules do not share a type if one has a size where the other has a tuple of numbers."""

    def inferred(module: Any, share_types: bool = True) -> Any:
        builder = infer(module, share_types)
        if sizes := sizes_of(module):
            builder.add_constant("__sizes__", sizes)
        return builder

    return inferred


def _overloads(find: Callable[[Any, Any], Any], progress: Progress) -> Callable[[Any, Any], Any]:
    """Looks for overloads of methods only where a class of this name has declared some.

    What is called from outside is called with anything.
    """

    def overloads(module: Any, ignored: Any) -> Any:
        name = type(module).__name__
        declared = any(name in classes for classes in internal._overloaded_methods.values())
        return find(module, ignored) if declared and module is not progress.root else {}

    return overloads


_NUMBERS = itertools.count(10**6)
"""Of classes in isolations, as TorchScript numbers what it renames itself."""


def _is_compiled_anew(cls: Any) -> bool:
    """Whether TorchScript compiles the methods of a class, which in here it reads otherwise."""
    return is_object_class(cls) and "__torch_script_interface__" not in vars(cls)


def _is_named_tuple(cls: Any) -> bool:
    """Whether this is one of the user's, in which there may be classes that are compiled anew."""
    return isinstance(cls, type) and issubclass(cls, tuple) and not is_of_torch(cls)


def _apart(compiled: Mapping[Any, Any]) -> dict[Any, Any]:
    return {cls: made for cls, made in compiled.items() if not _is_compiled_anew(cls)}


def _given(progress: Progress) -> Callable[[Any], bool]:
    """Whether who calls the model may give an object of a class, as far as that is declared."""

    def given(cls: Any) -> bool:
        forward = getattr(type(progress.root), "forward", None)
        kinds = getattr(inspect.unwrap(forward), "__annotations__", {}) if forward else {}
        declared = (kind for name, kind in kinds.items() if name != "return")
        return any(cls.__name__ in str(kind) for kind in declared)

    return given


def _named_apart(name: Callable[..., str]) -> Callable[..., str]:
    """TorchScript finds classes by their names: those that are compiled anew have others.

    Two that functions define may have one name until then.
    """
    numbers: dict[Any, int] = {}

    def named(obj: Any, mangle_name: bool = True) -> str:
        found = name(obj, mangle_name)
        if _is_compiled_anew(obj) or _is_named_tuple(obj):
            home, _, last = found.rpartition(".")
            number = numbers.get(obj) or numbers.setdefault(obj, next(_NUMBERS))
            found = f"{home}.___torch_mangle_{number}.{last}"
        if isinstance(obj, type) and "<locals>" in obj.__qualname__:
            state._name_to_pyclass[found] = obj  # It can't be found by its name.
        return found

    return named


def _coded(kind: Callable[..., Any]) -> Callable[..., Any]:
    """Of what TorchScript writes as integers it knows the type of dtypes alone."""

    def coded(annotation: Any, *args: Any, **keywords: Any) -> Any:
        if annotation in (torch.layout, torch.memory_format):
            return torch._C.IntType.get()
        return kind(annotation, *args, **keywords)

    return coded


def _captures(find: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Methods that a decorator has written, as that of data classes does, have no source."""

    def captures(function: Any) -> Any:
        return find(function) if has_source(function) else {}

    return captures


def _found(obj: Any, error_msg: str | None = None) -> tuple[list[str], int, str | None]:
    """What TorchScript asks for of a source: its lines, the number of the first, and its file."""
    try:
        return *source_lines(obj), inspect.getsourcefile(obj)
    except OSError as error:
        raise OSError(f"{error}: {obj}\n{error_msg or ''}") from error


@contextmanager
def isolated(module: torch.nn.Module, learnt: tuple[Lesson, ...] = ()) -> Iterator[Progress]:
    """Compile inside with empty caches, reading sources eagerly; afterwards all is as before.

    Args:
        module: what is compiled.
        learnt: what TorchScript has asked for.
    """
    modules = [inner for inner in module.modules() if not is_stored(inner)]
    bare = empty(modules)
    unfilled = bare - opened(set(map(type, modules))) if bare else bare
    progress = Progress(learnt=learnt, empty=unfilled)
    with _LOCK, warnings.catch_warnings():
        # What TorchScript says, itself or from a visitor of `ast`; what the user's code says is for
        # the user.
        warnings.filterwarnings("ignore", module=r"(torch(\.|$)|ast$)")
        # Overloads are declared once per process, and forgotten when they are compiled.
        declared = {name: list(found) for name, found in internal._overloaded_fns.items()}
        replaced = list(_replacements(progress, modules))
        kept = [(home, name, getattr(home, name)) for home, name, _ in replaced]
        for home, name, made in replaced:
            setattr(home, name, made)
        try:
            yield progress
        finally:
            shared, names = _apart(state._script_classes), state._name_to_pyclass
            for home, name, was in kept:
                setattr(home, name, was)
            state._script_classes.update(shared)
            state._name_to_pyclass.update((n, cls) for n, cls in names.items() if cls in shared)
            for cls, name in progress.added:
                delattr(cls, name)
            internal._overloaded_fns.clear()
            internal._overloaded_fns.update(declared)


def _replacements(
    progress: Progress, modules: list[torch.nn.Module]
) -> Iterator[tuple[Any, str, Any]]:
    """The caches and functions of TorchScript that are others inside."""
    known = state._jit_function_overload_caching
    yield recursive, "concrete_type_store", recursive.ConcreteTypeStore()
    yield state, "_jit_caching_layer", weakref.WeakKeyDictionary()
    yield state, "_jit_function_overload_caching", weakref.WeakKeyDictionary(known)
    yield state, "_script_classes", _apart(state._script_classes)
    yield state, "_name_to_pyclass", dict(state._name_to_pyclass)
    named = _named_apart(internal._qualified_name)
    yield internal, "_qualified_name", named
    yield script, "_qualified_name", named
    yield torch.jit.annotations, "_qualified_name", named
    yield internal, "get_type_hint_captures", _captures(internal.get_type_hint_captures)
    overloads = _overloads(recursive.get_overload_annotations, progress)
    yield recursive, "get_overload_annotations", overloads
    kind = torch.jit.annotations.try_ann_to_type
    yield torch.jit.annotations, "try_ann_to_type", _coded(kind)
    yield torch._sources, "get_source_lines_and_file", _found
    yield internal, "get_closure", _unwrapping(internal.get_closure)
    yield parser, "parse_def", eager_reading(parser.parse_def, progress)
    fields = internal._get_named_tuple_properties
    yield internal, "_get_named_tuple_properties", valued(fields, _given(progress))
    modifier = internal.get_torchscript_modifier
    yield internal, "get_torchscript_modifier", _ordinary(modifier, progress)
    yield recursive, "try_compile_fn", _leaving(recursive.try_compile_fn, progress)
    yield torch.jit, "script", _leaving(torch.jit.script, progress)
    made = recursive.create_script_module_impl
    yield recursive, "create_script_module_impl", _noting_owners(made, progress)
    yield recursive, "compile_unbound_method", _bound(recursive.compile_unbound_method, progress)
    infer = recursive.infer_concrete_type_builder
    yield recursive, "infer_concrete_type_builder", _sizes_apart(infer)
    yield recursive, "get_property_stubs", _owned(recursive.get_property_stubs, progress)
    yield recursive, "get_class_properties", _used(parser.get_class_properties, modules)


def python_functions() -> dict[str, Callable[..., Any]]:
    """TorchScript's name of every function compiled in this isolation, and the function."""
    found: dict[str, Callable[..., Any]] = {
        name: function for function, name in state._jit_caching_layer.items()
    }
    for function, names in state._jit_function_overload_caching.items():
        found.update(dict.fromkeys(names, function))
    return found
