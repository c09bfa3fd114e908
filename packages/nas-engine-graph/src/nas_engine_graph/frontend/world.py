"""The module tree and its TorchScript twin, and what of them the translation has asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any

import torch._jit_internal as internal
import torch.jit._state as state
from torch import nn

from nas_engine_graph.frontend.isolation import python_functions
from nas_engine_graph.frontend.kinds import Kinds
from nas_engine_graph.frontend.layers.layers import is_layer, recover
from nas_engine_graph.frontend.overriding.overrides import resets_of
from nas_engine_graph.frontend.rewriting.learning import Lesson
from nas_engine_graph.frontend.source.leaving import LeftMethod
from nas_engine_graph.ir import Function, Layer, Write, walk

__all__ = ["Path", "Tree", "World", "exported", "free_key"]

Path = tuple[str, ...]


def free_key(name: str) -> str:
    """What a free function is found by beside methods, one of which may have its name."""
    return f"{name}()"


class Tree:
    """The modules of a root, and what is known of their methods: enough to assemble its graph."""

    def __init__(self, root: nn.Module, whole: Callable[[nn.Module], bool]) -> None:
        self.root, self.whole = root, whole
        self.functions: dict[Path, dict[str, Function]] = {}
        self.attributes: dict[Path, dict[str, str]] = {}
        self.wanted: list[tuple[Path, str]] = []
        self._first: dict[int, Path] = {}
        self._asked: set[tuple[Path, str]] = set()
        for name, module in root.named_modules():
            self._first[id(module)] = tuple(name.split(".")) if name else ()

    def layer(self, module: nn.Module) -> bool:
        """Whether calls of the module stay calls of the whole module."""
        return self.whole(module) or is_layer(module)

    def recover(self, module: nn.Module) -> Layer:
        """The constructor call of a module that stays whole."""
        return recover(module)

    def module(self, path: Path) -> nn.Module:
        found: Any = self.root
        for name in path:
            found = found._modules[name]
        assert isinstance(found, nn.Module)
        return found

    def canonical(self, path: Path) -> Path:
        """The first path of a module that may be registered at several."""
        return self._first[id(self.module(path))]

    def start(self) -> None:
        """Ask for what is called from outside."""
        self.want((), "forward")
        for path, method in self.exports():
            self.want(path, method)

    def exports(self) -> Iterator[tuple[Path, str]]:
        """The exported methods of the modules that are not kept whole."""

        def inside(module: nn.Module, path: Path) -> Iterator[tuple[Path, str]]:
            if path != self._first[id(module)] or self.layer(module):
                return
            yield from ((path, method) for method in exported(module))
            for name, child in module._modules.items():
                if child is not None:
                    yield from inside(child, (*path, name))

        yield from inside(self.root, ())

    def want(self, path: Path, method: str) -> None:
        """Ask for a method to be translated."""
        path = self.canonical(path)
        if (path, method) not in self._asked:
            self._asked.add((path, method))
            self.functions.setdefault(path, {})
            self.wanted.append((path, method))


def exported(module: nn.Module) -> tuple[str, ...]:
    """The methods of a module that are marked ``@torch.jit.export``."""
    cls: Any = type(module)
    return _exported(cls)


@lru_cache(maxsize=4096)
def _exported(cls: Any) -> tuple[str, ...]:
    mark = internal.FunctionModifiers.EXPORT
    members = ((name, getattr(cls, name, None)) for name in dir(cls) if name != "forward")
    return tuple(n for n, m in members if getattr(m, "_torchscript_modifier", None) is mark)


class World(Tree):
    """Everything that outlives the translation of one function."""

    def __init__(
        self,
        root: nn.Module,
        scripted: Any,
        hidden: Callable[[nn.Module], bool],
        whole: Callable[[nn.Module], bool],
        learnt: Sequence[Lesson],
        unread: Mapping[Callable[..., Any], str],
        constant: AbstractSet[str],
        handle: Callable[[Any, Any], None],
    ) -> None:
        super().__init__(root, whole)
        self.constant, self.handle = constant, handle
        self.learnt, self.unread = learnt, unread
        self.hidden = hidden
        self.python = python_functions()
        self.translated: dict[tuple[Path, str], tuple[Function, dict[str, Function]]] = {}
        self.free: dict[str, dict[str, Function]] = {}
        self.local_names: dict[str, str] = {}
        self._scripted: dict[Path, Any] = {(): scripted._c}
        self._kinds: dict[str, Kinds] = {}
        self._types: dict[str, Any] = {}
        self._written: frozenset[str] | None = None
        self._resets: frozenset[str] = frozenset()
        self._taken: set[str] = set()

    def scripted(self, path: Path) -> Any:
        if path not in self._scripted:
            self._scripted[path] = self.scripted(path[:-1]).getattr(path[-1])
        return self._scripted[path]

    def compiled(self, name: str) -> Any:
        """A free function by TorchScript's name for it."""
        return state._python_cu.find_function(name)

    def is_written(self, name: str) -> bool:
        """Whether any method sets an attribute of this name: of whatever module."""
        if self._written is None:
            self._resets = resets_of({type(module) for module in self.root.modules()})
            self._written = self._resets.union(self._writes()) - self.constant
        self._taken |= {name} & self._written
        return name in self._written

    def never_written(self) -> frozenset[str]:
        """The attributes that were taken for set, but only by statements that are left out."""
        if not self._taken:
            return frozenset()
        made = [f for functions in self.functions.values() for f in functions.values()]
        operations = (node.operation for function in made for node in walk(function.body))
        writes = {operation.path[-1] for operation in operations if isinstance(operation, Write)}
        return frozenset(self._taken - writes - self._resets - self.set_by_left)

    @property
    def set_by_left(self) -> frozenset[str]:
        """The attributes that methods set which stay as they are."""
        left = (lesson for lesson in self.learnt if isinstance(lesson, LeftMethod))
        return frozenset(name for method in left for name in method.sets)

    def _paths(self) -> Iterator[Path]:
        """The modules that TorchScript has looked into."""
        for name, _ in self.root.named_modules():
            path = tuple(name.split(".")) if name else ()
            if not any(self.hidden(self.module(path[:i])) for i in range(len(path) + 1)):
                yield path

    def _by_type(self) -> dict[str, Any]:
        if not self._types:
            for path in self._paths():
                scripted = self.scripted(path)
                self._types.setdefault(str(scripted._type()), scripted)
        return self._types

    def _writes(self) -> Iterator[str]:
        yield from self.set_by_left
        for scripted in self._by_type().values():
            for method in scripted._method_names():
                graph = scripted._get_method(method).graph
                yield from (node.s("name") for node in graph.findAllNodes("prim::SetAttr"))

    def kinds(self, key: str, graph: Any) -> Kinds:
        if key not in self._kinds:
            self._kinds[key] = Kinds(graph, self._callee)
        return self._kinds[key]

    def _callee(self, node: Any) -> Kinds | None:
        first = node.inputsAt(0)
        if node.kind() == "prim::CallFunction":
            name = first.type().annotation_str
            return self.kinds(name, self.compiled(name).graph)
        kind, method = first.type().annotation_str, node.s("name")
        scripted = self._by_type().get(kind)
        if scripted is None or not scripted._has_method(method):
            return None
        return self.kinds(f"{kind}.{method}", scripted._get_method(method).graph)
