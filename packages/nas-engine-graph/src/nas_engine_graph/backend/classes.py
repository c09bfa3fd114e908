"""Graphs as classes: one for every different structure, children before those who use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nas_engine_graph.backend.literal import Imports, annotation, call, initial, literal
from nas_engine_graph.backend.naming import RESERVED
from nas_engine_graph.backend.paths import attribute, member_path
from nas_engine_graph.backend.statements import Writer
from nas_engine_graph.ir import (
    Absent,
    Attribute,
    Buffer,
    Function,
    Graph,
    Invoke,
    Layer,
    Member,
    Parameter,
    Write,
)
from nas_engine_graph.ir.effects import walk

__all__ = ["Classes"]

_REGISTER = {"parameter": "register_parameter", "module": "register_module"}
_CONTAINERS = {"torch.nn.Sequential": "list", "torch.nn.ModuleList": "list", "torch.nn.ModuleDict": "dict"}
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class _Made:
    name: str
    lines: tuple[str, ...]


class Classes:
    """Collects the classes and free functions of one source."""

    def __init__(self, root: Graph) -> None:
        self.root = root
        self.imports = Imports()
        self.classes: dict[tuple[str, str], _Made] = {}
        self.functions: dict[str, tuple[str, ...]] = {}
        self.names: set[str] = set(RESERVED)
        self.written = frozenset(_written(root))
        self._locals = {f.name for graph in _graphs(root) for f in graph.functions if f.free}
        self.names |= self._locals

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
            found = _Made(name, (f"class {name}(nn.Module):", *lines))
            self.classes[graph.name, graph.digest] = found
        return found.name

    def _fresh(self, name: str) -> str:
        name = name if name.isidentifier() else "Module"
        candidate, number = name, 0
        while candidate in self.names:
            number += 1
            candidate = f"{name}_{number}"
        self.names.add(candidate)
        return candidate

    def _body(self, graph: Graph) -> Iterator[str]:
        for name, member in graph.members:
            if isinstance(member, Attribute) and name.isidentifier():
                if kind := annotation(member.type, self.imports):
                    if kind not in ("int", "float", "bool", "str"):
                        yield f"{_INDENT}{name}: {kind}"
        yield f"{_INDENT}def __init__(self) -> None:"
        for line in self._constructor(graph):
            yield f"{_INDENT * 2}{line}"
        for function in graph.functions:
            if function.free:
                self._free(function)
                continue
            writer = Writer(function, graph, self.imports, self.written, self._taken())
            yield ""
            yield from (f"{_INDENT}{line}" for line in writer.lines())
        if graph.pinned:
            yield from (f"{_INDENT}{line}" for line in _train(graph))

    def _taken(self) -> set[str]:
        return self._locals | {m.split(".")[0] for m in self.imports.modules}

    def _free(self, function: Function) -> None:
        if function.name not in self.functions:
            writer = Writer(function, None, self.imports, self.written, self._taken())
            self.functions[function.name] = tuple(writer.lines())

    # ------------------------------------------------------------------ constructors

    def _constructor(self, graph: Graph) -> Iterator[str]:
        yield "super().__init__()"
        for name, member in graph.members:
            yield from self._register(graph, name, member)
        for tie in graph.ties:
            owner = member_path(graph, tie.target[:-1])
            target, source = attribute(owner, tie.target[-1]), member_path(graph, tie.source)
            if target.startswith("getattr"):
                yield f'setattr({owner}, "{tie.target[-1]}", {source})'
            else:
                yield f"{target} = {source}"
        if graph.evaluating:
            yield "self.eval()"

    def _register(self, graph: Graph, name: str, member: Member) -> Iterator[str]:
        if not _plain(name) and isinstance(member, Graph | Layer):
            yield f'self.add_module("{name}", {self.expression(member)})'
            return
        match member:
            case Parameter(shape, init, dtype, requires_grad):
                value = initial(init, shape, dtype, self.imports)
                frozen = "" if requires_grad else ", requires_grad=False"
                yield f"self.{name} = nn.Parameter({value}{frozen})"
            case Buffer(shape, init, dtype, persistent):
                value = initial(init, shape, dtype, self.imports)
                transient = "" if persistent else ", persistent=False"
                yield f'self.register_buffer("{name}", {value}{transient})'
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
        if isinstance(member, Graph) and not self._inlines(member):
            if member.kind != "torch.nn.Module":
                yield from self._piecewise(target, member)
                return
        if isinstance(member, Layer) and (member.settings or member.frozen or member.parametrizations):
            yield from self._adjusted(target, member)
            return
        yield f"{target} = {self.expression(member)}"

    def _inlines(self, graph: Graph) -> bool:
        """Whether one expression makes the whole container."""
        kind = _CONTAINERS.get(graph.kind)
        names = [name for name, _ in graph.members]
        if kind is None or (kind == "list" and names != [str(i) for i in range(len(names))]):
            if graph.kind != "torch.nn.Sequential":
                return False
        for _, member in graph.members:
            if isinstance(member, Layer):
                if member.settings or member.frozen or member.parametrizations:
                    return False
            elif not isinstance(member, Graph):
                return False
            elif member.kind != "torch.nn.Module" and not self._inlines(member):
                return False
        return True

    def _piecewise(self, target: str, graph: Graph) -> Iterator[str]:
        yield f"{target} = {self.imports.symbol(graph.kind)}()"
        for name, member in graph.members:
            here = member_path(graph, (name,)).replace("self", target, 1)
            match member:
                case Parameter(shape, init, dtype, requires_grad):
                    value = initial(init, shape, dtype, self.imports)
                    frozen = "" if requires_grad else ", requires_grad=False"
                    yield f'{target}.register_parameter("{name}", nn.Parameter({value}{frozen}))'
                case Layer() if member.settings or member.frozen or member.parametrizations:
                    yield f'{target}.add_module("{name}", {call(member, self.imports)})'
                    yield from self._adjustments(here, member)
                case Graph() if member.kind != "torch.nn.Module" and not self._inlines(member):
                    yield f'{target}.add_module("{name}", {self.imports.symbol(member.kind)}())'
                    yield from list(self._piecewise(here, member))[1:]
                case Layer() | Graph():
                    yield f'{target}.add_module("{name}", {self.expression(member)})'
                case Absent("parameter"):
                    yield f'{target}.register_parameter("{name}", None)'
                case _:
                    yield f'{target}.register_module("{name}", None)'
        if graph.evaluating:
            yield f"{target}.eval()"

    def _adjusted(self, target: str, layer: Layer) -> Iterator[str]:
        yield f"{target} = {call(layer, self.imports)}"
        yield from self._adjustments(target, layer)

    def _adjustments(self, target: str, layer: Layer) -> Iterator[str]:
        for name, value in layer.settings:
            yield f"{target}.{name} = {literal(value, self.imports)}"
        for p in layer.parametrizations:
            words = [literal(a, self.imports) for a in p.args]
            words += [f"{name}={literal(value, self.imports)}" for name, value in p.kwargs]
            if p.function.endswith("register_parametrization"):
                words.append("unsafe=True")
            made = f"{self.imports.symbol(p.function)}({target}, {p.tensor!r}, {', '.join(words)})"
            yield made
        for name in layer.frozen:
            yield f"{target}.{name}.requires_grad_(False)"
        if layer.evaluating:
            yield f"{target}.eval()"

    def expression(self, member: Layer | Graph) -> str:
        """An expression that makes the module."""
        match member:
            case Layer():
                return call(member, self.imports) + (".eval()" if member.evaluating else "")
            case Graph(kind="torch.nn.Module"):
                return f"{self.name_of(member)}()"
            case Graph():
                return self._container(member) + (".eval()" if member.evaluating else "")

    def _container(self, graph: Graph) -> str:
        if not self._inlines(graph):
            return f"{self.name_of(graph)}()"
        kind = self.imports.symbol(graph.kind)
        made = [(n, self.expression(m)) for n, m in graph.members if isinstance(m, Graph | Layer)]
        texts = ", ".join(text for _, text in made)
        if graph.kind == "torch.nn.ModuleDict":
            return f"{kind}({{{', '.join(f'{n!r}: {text}' for n, text in made)}}})"
        if graph.kind == "torch.nn.ModuleList":
            return f"{kind}([{texts}])"
        if [n for n, _ in made] == [str(i) for i in range(len(made))]:
            return f"{kind}({texts})"
        self.imports.modules.add("collections")
        pairs = ", ".join(f"({n!r}, {text})" for n, text in made)
        return f"{kind}(collections.OrderedDict([{pairs}]))"


def _plain(name: str) -> bool:
    return attribute("self", name).startswith("self.")


def _train(graph: Graph) -> list[str]:
    return [
        "",
        'def train(self, mode: bool = True) -> "nn.Module":',
        f"{_INDENT}super().train(mode)",
        *(f"{_INDENT}{member_path(graph, path)}.eval()" for path in graph.pinned),
        f"{_INDENT}return self",
    ]


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for _, member in graph.members:
        if isinstance(member, Graph):
            yield from _graphs(member)


def _written(root: Graph) -> Iterator[str]:
    """Names that any method sets: reading them must stay where it is."""
    for graph in _graphs(root):
        for function in graph.functions:
            for node in walk(function.body):
                if isinstance(node.operation, Write):
                    yield node.operation.path[-1]
                if isinstance(node.operation, Invoke) and node.operation.method == "train":
                    yield "training"
