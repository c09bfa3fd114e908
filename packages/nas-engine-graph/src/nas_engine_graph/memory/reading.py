"""What the methods of a class may learn of its instances, read from their source.

The graph of a method depends on no more than that: on attributes that it names, and on children as
far as it looks into them. Whatever the source does not show plainly counts as looked into.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from torch import nn

__all__ = ["Reading", "UnreadableError", "reading_of"]

_ITERATION = frozenset({"children", "values"})
_PAIRS = frozenset({"items", "named_children"})
_WALKS = frozenset(dir(nn.Module)) - {"forward", "training"}
_DYNAMIC = frozenset({"__getattr__", "__getattribute__"})
# Python calls these, compiled code never does.
_SILENT = frozenset(
    {"__init__", "__new__", "__init_subclass__", "__class_getitem__", "__repr__", "__str__",
     "__setattr__", "__delattr__", "__dir__", "__getstate__", "__setstate__", "__reduce__",
     "__reduce_ex__", "__copy__", "__deepcopy__", "__del__", "__post_init__", "extra_repr"}
)  # fmt: skip

Origin = tuple[str, int]
"""A child by its name, or what iterating over it as often as the number says comes to."""


class UnreadableError(ValueError):
    """A method has no source."""


@dataclass(frozen=True)
class Reading:
    """What the methods of one class may learn.

    Attributes:
        methods: those that were read; others are only run by the constructor.
        names: of attributes, of its own and of others.
        stored: the attributes that a method sets.
        keywords: the names of arguments in calls.
        opened: the children that are looked into, not just called or iterated over.
        iterated: the children whose items are called, and those whose items' items are, ...
        walks: whether the module itself is handed on or iterated over.
        variables: what finds the values of the global and enclosing variables.
    """

    methods: frozenset[str]
    names: frozenset[str]
    stored: frozenset[str]
    keywords: frozenset[str]
    opened: frozenset[str]
    iterated: frozenset[Origin]
    walks: bool
    variables: tuple[_Variables, ...]


@dataclass(frozen=True, eq=False)
class _Variables:
    """The variables of one function, and where their values are."""

    names: tuple[str, ...]
    scope: Mapping[str, Any]
    cells: Mapping[str, types.CellType]

    def values(self) -> Iterator[tuple[str, Any]]:
        for name in self.names:
            if name in self.cells:
                try:
                    yield name, self.cells[name].cell_contents
                except ValueError:  # Still empty.
                    continue
            elif name in self.scope:
                yield name, self.scope[name]


@dataclass
class _Uses(ast.NodeVisitor):
    """Follows the children of ``owner`` through one method."""

    owner: str
    opened: set[str] = field(default_factory=set)
    iterated: set[Origin] = field(default_factory=set)
    walks: bool = False
    bound: dict[str, set[Origin]] = field(default_factory=dict)

    def read(self, tree: ast.AST) -> None:
        before = -1
        while before != (before := sum(map(len, self.bound.values()))):
            for node in ast.walk(tree):
                if isinstance(node, ast.For | ast.comprehension):
                    self._bind(node.target, node.iter)
        self.visit(tree)

    def origins(self, node: ast.expr) -> set[Origin]:
        match node:
            case ast.Attribute(ast.Name(name), attribute) if name == self.owner:
                return {(attribute, 0)}
            case ast.Name(name):
                return self.bound.get(name, set())
            case ast.Subscript(inner):
                return {(name, depth + 1) for name, depth in self.origins(inner)}
            case _:
                return set()

    def _container(self, node: ast.expr) -> ast.expr:
        """What a loop runs over, without the call that only asks for its items."""
        match node:
            case ast.Call(ast.Attribute(inner, name), [], []) if name in _ITERATION | _PAIRS:
                return inner if self.origins(inner) else node
            case _:
                return node

    def _sources(self, target: ast.expr, run: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
        """Which variable takes the items of what."""
        match run, target:
            case ast.Call(ast.Name("enumerate"), [inner, *_]), ast.Tuple([_, second]):
                yield from self._sources(second, inner)
            case ast.Call(ast.Name("zip"), runs), ast.Tuple(targets) if len(runs) == len(targets):
                for inner, one in zip(runs, targets, strict=True):
                    yield from self._sources(one, inner)
            case ast.Call(ast.Attribute(inner, name), [], []), ast.Tuple([_, second]) if (
                name in _PAIRS and self.origins(inner)
            ):
                yield second, inner
            case _:
                yield target, self._container(run)

    def _bind(self, target: ast.expr, run: ast.expr) -> None:
        for one, container in self._sources(target, run):
            items = {(name, depth + 1) for name, depth in self.origins(container)}
            if isinstance(one, ast.Name):
                # Deeper than any model: a variable that is bound to its own items.
                items = {(name, min(depth, 20)) for name, depth in items}
                self.bound.setdefault(one.id, set()).update(items)
            else:
                self.opened |= {name for name, _ in items}

    def _iterate(self, node: ast.expr) -> None:
        self.iterated |= self.origins(node)
        self._parts(node)

    def _parts(self, node: ast.expr) -> None:
        """Visit what is inside an expression that stands for a child."""
        match node:
            case ast.Subscript(inner, index):
                self._iterate(inner)
                self.visit(index)
            case ast.Attribute(ast.Name(name), attribute) if name == self.owner:
                self.walks |= attribute in _WALKS
            case ast.Name(name):
                self.walks |= name == self.owner
            case _:
                self.visit(node)

    def _loop(self, target: ast.expr, run: ast.expr) -> None:
        pairs = list(self._sources(target, run))
        if run is pairs[0][1] and not self.origins(run):
            self.visit(run)
            return
        for _, container in pairs:
            if self.origins(container):
                self._iterate(container)
            else:
                self.visit(container)
        if isinstance(run, ast.Call) and isinstance(run.func, ast.Name):
            for extra in run.args[len(pairs) :]:
                self.visit(extra)

    def visit_For(self, node: ast.For) -> None:
        self._loop(node.target, node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._loop(node.target, node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(ast.Name("len"), [inner], []) if self.origins(inner):
                self._iterate(inner)
                return
        if self.origins(node.func):
            self._parts(node.func)
        else:
            self.visit(node.func)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.visit(argument)

    def visit_Compare(self, node: ast.Compare) -> None:
        match node:
            case ast.Compare(left, [ast.Is() | ast.IsNot()], [ast.Constant(None)]):
                self._parts(left)
            case _:
                self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == self.owner:
            if isinstance(node.ctx, ast.Load):
                self.opened.add(node.attr)
                self.walks |= node.attr in _WALKS
            return
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.opened |= {name for name, _ in self.origins(node)}
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.opened |= {name for name, _ in self.bound.get(node.id, ())}
            self.walks |= node.id == self.owner


def _functions(cls: type) -> Iterator[tuple[str, types.FunctionType, bool]]:
    """The functions of a class and of those it inherits from, and whether they take an instance."""
    for base in cls.__mro__:
        if base.__module__.startswith("torch.") or base is object:
            continue
        for name, member in vars(base).items():
            bound = not isinstance(member, staticmethod)
            found = [member.fget, member.fset] if isinstance(member, property) else [member]
            for function in filter(None, found):
                plain: Any = inspect.unwrap(getattr(function, "__func__", function))
                if inspect.isfunction(plain):
                    yield name, plain, bound


def _attributes(function: types.FunctionType) -> frozenset[str]:
    return frozenset(n.attr for n in ast.walk(_tree(function)) if isinstance(n, ast.Attribute))


def _methods(cls: type) -> list[tuple[str, types.FunctionType, bool]]:
    """What TorchScript may read: all but what only the constructor runs, or nobody."""
    found = [f for f in _functions(cls) if f[0] not in _SILENT]
    setup: set[str] = set()
    for name, function, _ in _functions(cls):
        setup |= _attributes(function) if name == "__init__" else set()
    waiting = [name for name, _, _ in found if name not in setup]
    wanted = set(waiting)
    while waiting:
        name = waiting.pop()
        for other, function, _ in found:
            if other == name:
                new = _attributes(function) - wanted
                wanted |= new
                waiting += new
    return [f for f in found if f[0] in wanted]


@lru_cache(maxsize=4096)
def _tree(function: types.FunctionType) -> ast.AST:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError) as error:
        raise UnreadableError(function.__qualname__) from error


def _variables(function: types.FunctionType, seen: set[Any]) -> Iterator[_Variables]:
    """The variables of a function, and of those of the user's that it may call."""
    if function in seen:
        return
    seen.add(function)
    names = {n.id for n in ast.walk(_tree(function)) if isinstance(n, ast.Name)}
    free = function.__code__.co_freevars
    cells = dict(zip(free, function.__closure__ or (), strict=True))
    used = tuple(sorted(n for n in names if n in function.__globals__ or n in cells))
    found = _Variables(used, function.__globals__, cells)
    yield found
    for _, value in found.values():
        inner = inspect.unwrap(value) if callable(value) else value
        if inspect.isfunction(inner) and not str(inner.__module__).startswith("torch."):
            yield from _variables(inner, seen)


def reading_of(cls: type[nn.Module]) -> Reading:
    """What the methods of a class may learn.

    Raises:
        UnreadableError: one of them has no source, or attributes are made as they are asked for.
    """
    read: Any = _read
    found: Reading = read(cls)
    return found


@lru_cache(maxsize=4096)
def _read(cls: Any) -> Reading:
    names: set[str] = set()
    stored: set[str] = set()
    keywords: set[str] = set()
    opened: set[str] = set()
    iterated: set[Origin] = set()
    walks, seen = False, set[Any]()
    variables: list[_Variables] = []
    methods = _methods(cls)
    if any(name in _DYNAMIC for name, _, _ in methods):
        raise UnreadableError(cls.__qualname__)
    for _, function, bound in methods:
        tree = _tree(function)
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=name, ctx=context):
                    names.add(name)
                    if not isinstance(context, ast.Load):
                        stored.add(name)
                case ast.Constant(str(text)):
                    names |= {text} if text.isidentifier() else set()
                case ast.keyword(arg=str(name)):
                    keywords.add(name)
        arguments = inspect.getfullargspec(function).args
        uses = _Uses(arguments[0] if bound and arguments else "")
        uses.read(tree)
        opened |= uses.opened
        iterated |= uses.iterated
        walks |= uses.walks
        variables += _variables(function, seen)
    return Reading(
        frozenset(name for name, _, _ in methods) | {"forward"},
        frozenset(names),
        frozenset(stored),
        frozenset(keywords),
        frozenset(opened),
        frozenset(iterated),
        walks,
        tuple(variables),
    )
