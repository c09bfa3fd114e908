"""Graphs as classes: one for every different structure, children before those who use them."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass

from nas_engine_graph.backend.literal import Imports, annotation, call, initial, literal, parameter
from nas_engine_graph.backend.overrides import overrides
from nas_engine_graph.backend.paths import attribute, inside, member_path
from nas_engine_graph.backend.symbols import symbols_of
from nas_engine_graph.backend.texts import lines_of
from nas_engine_graph.backend.ties import is_parameter, tied, unregistered
from nas_engine_graph.ir import (
    Absent,
    Attribute,
    Buffer,
    Function,
    Graph,
    Layer,
    Member,
    Parameter,
    Tie,
    Write,
    walk,
)
from nas_engine_graph.ir.placeless import graphs, written
from nas_engine_graph.reserved import RESERVED

__all__ = ["Classes"]

_REGISTER = {"parameter": "register_parameter", "module": "register_module"}
_CONTAINERS = {
    "torch.nn.Sequential": "list", "torch.nn.ModuleList": "list", "torch.nn.ModuleDict": "dict",
    "torch.nn.ParameterList": "list", "torch.nn.ParameterDict": "dict",
}  # fmt: skip
_PARAMETERS = ("torch.nn.ParameterList", "torch.nn.ParameterDict")
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class _Made:
    name: str
    lines: tuple[str, ...]


class Classes:
    """Collects the classes and free functions of one source."""

    def __init__(self, root: Graph) -> None:
        self.root = root
        local = {f.name for graph in graphs(root) for f in graph.functions if f.free}
        self.imports = Imports(RESERVED | local)
        # All names of the user's are known before any variable is named.
        for name in symbols_of(root):
            self.imports.symbol(name)
        self.classes: dict[tuple[str, str], _Made] = {}
        self.functions: dict[str, tuple[str, ...]] = {}
        self.names: set[str] = set(RESERVED)
        self._numbers: dict[str, int] = {}
        self.written = written(root)
        self._locals = local
        self.names |= self._locals | set(self.imports.names)

    def lines(self) -> Iterator[str]:
        """All definitions, those that are used before those that use them."""
        self.name_of(self.root)
        for made in self.functions.values():
            yield from ("", "", *made)
        for made_class in self.classes.values():
            yield from ("", "", *made_class.lines)

    def name_of(self, graph: Graph) -> str:
        """The class of a graph, written when it is first asked for."""
        found = self.classes.get((graph.name, graph.digest))
        if found is None:
            lines = tuple(self._body(graph))
            name = self._fresh(graph.name)
            base = self.imports.symbol(graph.kind)
            found = _Made(name, (f"class {name}({base}):", *lines))
            self.classes[graph.name, graph.digest] = found
        return found.name

    def class_of(self, graph: Graph) -> str:
        """The class that is written for a graph, or the dotted name of the container that it is."""
        inlined = graph is not self.root and self._inlines(graph) and not graph.evaluating
        return graph.kind if inlined else self.name_of(graph)

    def _fresh(self, name: str) -> str:
        name = name if name.isidentifier() else "Module"
        candidate, number = name, self._numbers.get(name, 0)
        while candidate in self.names:
            number += 1
            candidate = f"{name}_{number}"
        self._numbers[name] = number
        self.names.add(candidate)
        return candidate

    def _body(self, graph: Graph) -> Iterator[str]:
        nodes = (node for function in graph.functions for node in walk(function.body))
        filled = {n.operation.path for n in nodes if isinstance(n.operation, Write)}
        for name, member in graph.members:
            if isinstance(member, Attribute) and name.isidentifier():
                kind = annotation(member.type, self.imports)
                if kind not in ("", type(member.value).__name__):
                    yield f"{_INDENT}{name}: {kind}"
            elif isinstance(member, Absent) and (name,) in filled:
                yield f"{_INDENT}{name}: {annotation('Optional[Tensor]', self.imports)}"
        yield f"{_INDENT}def __init__(self) -> None:"
        for line in self._constructor(graph):
            yield f"{_INDENT * 2}{line}"
        for function in graph.functions:
            if function.free:
                self._free(function)
                continue
            if graph.kind != "torch.nn.Module":
                continue
            yield ""
            yield from (f"{_INDENT}{line}" for line in self._text(function, graph))
        for line in overrides(graph, self.imports):
            yield f"{_INDENT}{line}" if line else ""

    def _free(self, function: Function) -> None:
        if function.name not in self.functions:
            self.functions[function.name] = self._text(function, None)

    def _text(self, function: Function, graph: Graph | None) -> tuple[str, ...]:
        return lines_of(function, graph, self.imports, self.written, frozenset(self._locals))

    # ------------------------------------------------------------------ constructors

    def _constructor(self, graph: Graph) -> Iterator[str]:
        yield "super().__init__()"
        for name, member in graph.members:
            if graph.kind != "torch.nn.Module":
                yield from self._item(graph, name, member)
            else:
                yield from self._register(graph, name, member)
        for tie in graph.ties:
            yield tied(graph, tie)
            yield from self._settings(member_path(graph, tie.target), tie)
        if graph.evaluating or (graph.turned and not graph.training):
            yield "self.eval()"
        for path in graph.turned:
            yield f"{member_path(graph, path)}.training = {not graph.training}"

    def _register(self, graph: Graph, name: str, member: Member) -> Iterator[str]:
        if not _plain(name) and isinstance(member, Graph | Layer):
            yield f'self.add_module("{name}", {self.expression(member)})'
            return
        match member:
            case Parameter():
                yield f"self.{name} = {parameter(member, self.imports)}"
                yield from self._settings(f"self.{name}", member)
            case Buffer():
                value = initial(member, self.imports)
                transient = "" if member.persistent else ", persistent=False"
                yield f'self.register_buffer("{name}", {value}{transient})'
                yield from self._settings(f"self.{name}", member)
            case Attribute(value) if is_parameter(value):
                yield unregistered("self", name, literal(value, self.imports))
            case Attribute(value):
                yield f"self.{name} = {literal(value, self.imports)}"
            case Absent("buffer"):
                yield f'self.register_buffer("{name}", None)'
            case Absent("transient buffer"):
                yield f'self.register_buffer("{name}", None, persistent=False)'
            case Absent(kind):
                yield f'self.{_REGISTER[kind]}("{name}", None)'
            case Layer() | Graph():
                yield from self._assign(f"self.{name}", member)

    def _assign(self, target: str, member: Layer | Graph) -> Iterator[str]:
        if isinstance(member, Layer) and _is_adjusted(member):
            yield from self._adjusted(target, member)
            return
        yield f"{target} = {self.expression(member)}"

    def _inlines(self, graph: Graph) -> bool:
        """Whether one expression makes the whole container."""
        kind = _CONTAINERS.get(graph.kind)
        if kind is None or graph.pinned or graph.turned or graph.resets or graph.versioned:
            return False
        if kind == "list" and not graph.is_numbered and graph.kind != "torch.nn.Sequential":
            return False
        if graph.kind in _PARAMETERS:
            return all(isinstance(m, Parameter) and not m.settings for _, m in graph.members)
        for _, member in graph.members:
            if isinstance(member, Layer):
                if _is_adjusted(member):
                    return False
            elif not isinstance(member, Graph):
                return False
        return True

    def _item(self, graph: Graph, name: str, member: Member) -> Iterator[str]:
        """Registers one member of a container that no expression can make."""
        here = member_path(graph, (name,))
        match member:
            case Parameter():
                yield _appended(graph, name, parameter(member, self.imports))
                yield from self._settings(here, member)
            case Layer() if _is_adjusted(member):
                yield f'self.add_module("{name}", {call(member, self.imports)})'
                yield from self._adjustments(here, member)
            case Layer() | Graph():
                yield f'self.add_module("{name}", {self.expression(member)})'
            case Absent("parameter"):
                yield _appended(graph, name, "torch.empty(0)")  # A tie takes its place.
            case _:
                yield f'self.register_module("{name}", None)'

    def _adjusted(self, target: str, layer: Layer) -> Iterator[str]:
        yield f"{target} = {call(layer, self.imports)}"
        yield from self._adjustments(target, layer)

    def _adjustments(self, target: str, layer: Layer) -> Iterator[str]:
        for p in layer.parametrizations:
            words = [literal(a, self.imports) for a in p.args]
            words += [f"{name}={literal(value, self.imports)}" for name, value in p.kwargs]
            if p.function.endswith("register_parametrization"):
                words.append("unsafe=True")
            made = f"{self.imports.symbol(p.function)}({target}, {p.tensor!r}, {', '.join(words)})"
            yield made
        if layer.evaluating:
            yield f"{target}.eval()"
        yield from self._settings(target, layer)
        for name in layer.frozen:
            yield f"{inside(target, name)}.requires_grad_(False)"
        if layer.memory_format:
            yield f"{target}.to(memory_format={literal(layer.memory_format, self.imports)})"
        for name, strides in layer.strides:
            data = f"{inside(target, name)}.data"
            made = f"torch.empty_strided({data}.shape, {strides}, dtype={data}.dtype)"
            yield f"{data} = {made}.copy_({data})"

    def _settings(self, target: str, member: Layer | Parameter | Buffer | Tie) -> Iterator[str]:
        for name, value in member.settings:
            owner, _, last = name.rpartition(".")
            owner, text = inside(target, owner), literal(value, self.imports)
            if last == "training":
                yield f"{owner}.train({text})"
                continue
            plain = last.isidentifier() and not keyword.iskeyword(last)
            yield f"{owner}.{last} = {text}" if plain else f"setattr({owner}, {last!r}, {text})"

    def expression(self, member: Layer | Graph) -> str:
        """An expression that makes the module."""
        match member:
            case Layer():
                return call(member, self.imports) + (".eval()" if member.evaluating else "")
            case Graph(kind="torch.nn.Module"):
                return f"{self.name_of(member)}()"
            case Graph():
                return self._container(member)

    def _made(self, member: Member) -> str:
        if isinstance(member, Parameter):
            return parameter(member, self.imports)
        assert isinstance(member, Layer | Graph)
        return self.expression(member)

    def _container(self, graph: Graph) -> str:
        if not self._inlines(graph) or graph.evaluating:
            return f"{self.name_of(graph)}()"
        kind = self.imports.symbol(graph.kind)
        made = [(name, self._made(member)) for name, member in graph.members]
        texts = ", ".join(text for _, text in made)
        if _CONTAINERS[graph.kind] == "dict":
            return f"{kind}({{{', '.join(f'{n!r}: {text}' for n, text in made)}}})"
        if graph.kind != "torch.nn.Sequential":
            return f"{kind}([{texts}])"
        if graph.is_numbered:
            return f"{kind}({texts})"
        self.imports.modules.add("collections")
        pairs = ", ".join(f"({n!r}, {text})" for n, text in made)
        return f"{kind}(collections.OrderedDict([{pairs}]))"


def _is_adjusted(layer: Layer) -> bool:
    """Whether more has to be done to the layer than to construct it."""
    formed = layer.memory_format or layer.strides
    return bool(layer.settings or layer.frozen or layer.parametrizations or formed)


def _appended(graph: Graph, name: str, made: str) -> str:
    """The statement that adds a parameter to a list or dict, which counts them."""
    is_list = graph.kind == "torch.nn.ParameterList"
    return f"self.append({made})" if is_list else f"self[{name!r}] = {made}"


def _plain(name: str) -> bool:
    return attribute("self", name).startswith("self.")
