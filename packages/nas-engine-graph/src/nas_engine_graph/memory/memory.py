"""The memory: candidates of which every piece was read before are assembled, not compiled.

What is remembered are the methods of modules, by all that their graphs depend on. Parameters,
buffers, attributes, layers and what is shared are taken from the module at hand each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from nas_core.uncollected import uncollected
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.assembly.members import assemble
from nas_engine_graph.frontend.conversion import check, is_whole, translated
from nas_engine_graph.frontend.layers.layers import is_layer
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.shadow import has_simple_signature
from nas_engine_graph.frontend.source.methods import empty, opened
from nas_engine_graph.frontend.source.places import located
from nas_engine_graph.frontend.stored import has_forward
from nas_engine_graph.frontend.world import Path, Tree, World
from nas_engine_graph.ir import Function, Graph, Invoke, Layer, Read, Write, verify, walk
from nas_engine_graph.memory.layers import Layers
from nas_engine_graph.memory.reading import UnreadableError, reading_of
from nas_engine_graph.memory.structure import Key, Schema, Structure, UnknownError

__all__ = ["Memory"]

_MOST = 50_000
_OPAQUE: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Method:
    """A method, the free functions that it calls, and what it needs of the modules around it."""

    function: Function
    free: dict[str, Function]
    sources: dict[str, Callable[..., Any]]
    called: tuple[tuple[Path, str], ...]
    attributes: tuple[tuple[Path, str], ...]


class Memory:
    """Converts as ``convert`` does, and reads with TorchScript only what is new.

    >>> from torch import nn
    >>> from nas_engine_graph import convert
    >>> memory = Memory()
    >>> nets = [nn.Sequential(nn.Linear(4, width), nn.ReLU()) for width in (2, 3)]
    >>> [memory.convert(net) == convert(net) for net in nets], memory.compiled
    ([True, True], 1)
    """

    def __init__(self) -> None:
        self.compiled = 0
        self._methods: dict[tuple[Key, str], _Method] = {}
        self._schemas: dict[Key, Schema] = {}
        self._layers = Layers()

    def convert(self, module: nn.Module) -> Graph:
        """The graph of a module.

        Raises:
            UnsupportedModuleError: conversion would change what the module means.
        """
        with located(module), uncollected():
            tree = self._recalled(module)
            if tree is None and self._methods and _stands_alone(module):
                self._learn(module)
                tree = self._recalled(module)
            return verify(assemble(tree or self._compiled(module)))

    def _compiled(self, module: nn.Module) -> Tree:
        self.compiled += 1
        world = translated(module)
        self._remember(world)
        tree = _Tree(module, self._layers)
        tree.functions, tree.attributes = world.functions, world.attributes
        return tree

    def _learn(self, module: nn.Module) -> None:
        """Read the pieces of a module that are new, the inner ones first."""
        structure = self._structure()
        for piece in reversed(_pieces(module)):
            try:
                if piece is module or self._knows(piece, structure):
                    continue
                self._compiled(nn.Sequential(piece) if _is_opaque(piece) else piece)
            # Reading the whole tells what is wrong, in words of the whole.
            except UnsupportedModuleError:
                return

    def _knows(self, piece: nn.Module, structure: Structure) -> bool:
        try:
            structure.schema(piece)
            owner = (structure.of(piece), ())
        except UnknownError:
            return False
        except UnreadableError:
            return True  # Reading it once more would not help.
        return _is_opaque(piece) or not has_forward(piece) or (owner, "forward") in self._methods

    # ------------------------------------------------------------------ recall

    def _recalled(self, module: nn.Module) -> Tree | None:
        """The tree with the methods of all its modules; None if not all are known."""
        check(module, is_whole)
        tree, structure = _Tree(module, self._layers), self._structure()
        sources: dict[str, Callable[..., Any]] = {}
        try:
            around = _around(module, structure)
            tree.start()
            while tree.wanted:
                path, name = tree.wanted.pop()
                if tree.layer(owner := tree.module(path)):
                    continue
                found = self._methods[(structure.of(owner), around), name]
                if any(sources.setdefault(x, f) is not f for x, f in found.sources.items()):
                    return None  # Which of two functions gets the name depends on the whole model.
                tree.take(path, found)
        except (LookupError, UnreadableError):
            return None
        return tree

    def _structure(self) -> Structure:
        known: dict[int, bool] = {}

        def opaque(module: nn.Module) -> bool:
            if id(module) not in known:
                known[id(module)] = _is_opaque(module)
            return known[id(module)]

        return Structure(opaque, self._known_schema)

    def _known_schema(self, structure: Key) -> Schema:
        try:
            return self._schemas[structure]
        except KeyError:
            raise UnknownError(structure) from None

    # ------------------------------------------------------------------ remember

    def _remember(self, world: World) -> None:
        if world.hidden is world.whole:  # TorchScript looked into layers: nobody knows for what.
            return
        if len(self._methods) > _MOST:
            self._methods.clear()
            self._schemas.clear()
        structure = self._structure()
        # Children before those who call them.
        for path in reversed(list(_seen(world))):
            try:
                found = structure.of(world.module(path))
            except (UnknownError, UnreadableError):
                continue
            if has_forward(world.module(path)):
                self._schemas.setdefault(found, _schema(world.scripted(path)))
        try:
            around = _around(world.root, structure)
        except (UnknownError, UnreadableError):
            return
        for (path, name), (function, free) in world.translated.items():
            owner = world.module(path)
            try:
                found = structure.of(owner)
            except (UnknownError, UnreadableError):
                continue
            covered = _covers(owner, name) and not _leaves(function)
            if covered and (sources := _sources(world, free)) is not None:
                made = _method(world, path, function, free, sources)
                self._methods[(found, around), name] = made


class _Tree(Tree):
    """The modules of a candidate, with methods from memory."""

    def __init__(self, root: nn.Module, layers: Layers) -> None:
        super().__init__(root, is_whole)
        self._layers = layers
        self._whether: dict[int, bool] = {}

    def layer(self, module: nn.Module) -> bool:
        if id(module) not in self._whether:
            self._whether[id(module)] = super().layer(module)
        return self._whether[id(module)]

    def recover(self, module: nn.Module) -> Layer:
        return self._layers.recover(module)

    def take(self, path: Path, method: _Method) -> None:
        """Let the module at this path have the method."""
        self.functions[path][method.function.name] = method.function
        self.functions[path].update(method.free)
        for relative, kind in method.attributes:
            owner = self.canonical((*path, *relative[:-1]))
            self.attributes.setdefault(owner, {})[relative[-1]] = kind
        for relative, name in method.called:
            if not self.layer(self.module((*path, *relative))):
                self.want((*path, *relative), name)


def _is_opaque(module: nn.Module) -> bool:
    return is_whole(module) or _is_opaque_class(type(module), module)


def _is_opaque_class(cls: type[nn.Module], module: nn.Module) -> bool:
    if cls not in _OPAQUE:
        _OPAQUE[cls] = is_layer(module) and has_simple_signature(module)
    return _OPAQUE[cls]


def _pieces(root: nn.Module) -> list[nn.Module]:
    """The modules that TorchScript knows, each once: those that it reads, and their layers."""
    found: dict[int, nn.Module] = {}
    pending = [root]
    while pending:
        module = pending.pop()
        if id(module) not in found:
            found[id(module)] = module
            if not _is_opaque(module):
                pending += [child for child in module._modules.values() if child is not None]
    return list(found.values())


def _seen(world: World) -> Iterator[Path]:
    """The modules that TorchScript knows: those that it read, and the layers that they hold."""
    for name, _ in world.root.named_modules():
        path = tuple(name.split(".")) if name else ()
        above = [world.module(path[:i]) for i in range(len(path))]
        if not any(map(_is_opaque, above)):
            yield path


def _schema(scripted: Any) -> Schema:
    """That of its forward; of one with overloads, as recurrent layers have, of all of them."""
    names = sorted(n for n in scripted._method_names() if n.partition("__")[0] == "forward")
    schemas = [scripted._get_method(name).schema for name in names]
    arguments = [
        (a.name, str(a.type), a.has_default_value() or a.kwarg_only)
        for schema in schemas
        for a in schema.arguments[1:]
    ]
    returns = [str(r.type) for schema in schemas for r in schema.returns]
    return Schema(tuple(arguments), ", ".join(returns))


def _around(root: nn.Module, structure: Structure) -> Key:
    """What a method may depend on outside of its module."""
    return () if _stands_alone(root) else tuple(map(structure.of, _pieces(root)))


def _stands_alone(root: nn.Module) -> bool:
    """Whether no attribute is set by a method: then it would be no constant in any other."""
    modules = [module for module in _pieces(root) if not _is_opaque(module)]
    stored: set[str] = set()
    try:
        for cls in {type(module) for module in modules}:
            stored |= reading_of(cls).stored if not is_of_torch(cls) else set()
    except UnreadableError:
        return False
    # What is empty stays so where no method of any module fills it.
    if (bare := empty(modules)) and bare & opened({type(module) for module in modules}):
        return False
    return not (stored and any(_holds(module, stored) for module in modules))


def _holds(module: nn.Module, names: set[str]) -> bool:
    """Whether one of the names is an attribute, or a tensor that is not there."""
    absent = [
        name
        for tensors in (module._parameters, module._buffers)
        for name, tensor in tensors.items()
        if tensor is None
    ]
    own = [name for name in vars(module) if name != "training"]
    classes = [name for name in names if not callable(getattr(type(module), name, print))]
    return bool(classes) or not names.isdisjoint([*own, *absent])


def _covers(module: nn.Module, method: str) -> bool:
    """Whether the reading of its class is one of this method, too."""
    if "forward" in vars(module) or method in vars(module):
        return False
    cls = type(module)
    return is_of_torch(cls) or method in reading_of(cls).methods


def _leaves(function: Function) -> bool:
    """Whether a method calls one that stays as it is, of which no reading tells what it uses."""
    operations = (node.operation for node in walk(function.body))
    return any(isinstance(o, Invoke) and "." in o.method for o in operations)


def _sources(world: World, free: dict[str, Function]) -> dict[str, Callable[..., Any]] | None:
    """The functions behind the local names, if each has the name that it would have alone."""
    names = {local: world.python.get(name) for name, local in world.local_names.items()}
    local = [function.name for function in free.values()]
    found = {name: python for name in local if (python := names.get(name)) is not None}
    alone = all(python.__name__ == name for name, python in found.items())
    return found if alone and len(found) == len(free) else None


def _method(
    world: World,
    path: Path,
    function: Function,
    free: dict[str, Function],
    sources: dict[str, Callable[..., Any]],
) -> _Method:
    called: list[tuple[Path, str]] = []
    attributes: list[tuple[Path, str]] = []
    for node in walk(function.body):
        match node.operation:
            case Invoke(relative, name):
                called.append((relative, name))
            case Read(relative) | Write(relative):
                owner = world.attributes.get(world.canonical((*path, *relative[:-1])), {})
                if relative[-1] in owner:
                    attributes.append((relative, owner[relative[-1]]))
    return _Method(function, free, sources, tuple(called), tuple(attributes))
