"""A node of the IR as an expression of Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeAlias

from nas_engine_graph.backend.literal import Imports, annotation, literal
from nas_engine_graph.backend.logic import arm_of, shortcuts
from nas_engine_graph.backend.naming import Names
from nas_engine_graph.backend.paths import call_on, member_path
from nas_engine_graph.backend.spelling import BUILTINS, INFIX, OPERATORS, operator
from nas_engine_graph.ir import (
    Builtin,
    Call,
    Const,
    Function,
    Graph,
    If,
    Invoke,
    Local,
    Node,
    Operand,
    Operator,
    Read,
    Ref,
    references,
    walk,
)
from nas_engine_graph.ir.narrowing import Narrowing, narrowings
from nas_engine_graph.ir.placeless import placeless, types

__all__ = ["Expressions"]


class Expressions:
    """The expressions of a function; ``graph`` is its module, None for a free function."""

    def __init__(
        self,
        function: Function,
        graph: Graph | None,
        imports: Imports,
        written: frozenset[str],
        taken: Iterable[str],
    ) -> None:
        self.function, self.graph, self.imports = function, graph, imports
        self.kinds = types(function)
        self.narrowings = narrowings(function.body)
        told = (n.told(answer) for n in self.narrowings.values() for answer in (True, False))
        self.asked = frozenset(chain.from_iterable(told))
        self.inlined = placeless(function, written)
        for name in self._narrowed_reads():
            del self.inlined[name]
        self.inlined |= shortcuts(function, self.inlined)
        self.names = Names(
            function, self.leaves, self.is_inlined, taken, self.kinds, self.narrowings
        )

    def _narrowed_reads(self) -> set[str]:
        """Reads of attributes that are used as an answer tells: it tells of variables alone."""
        asking = (n for n in walk(self.function.body) if n.operation in _QUESTIONS)
        asked = Counter(o.name for node in asking for o in node.operands if isinstance(o, Ref))
        used = Counter(references(self.function.body)) - asked
        reads = {name for name, node in self.inlined.items() if isinstance(node.operation, Read)}
        return reads & self.asked & used.keys()

    def is_inlined(self, node: Node) -> bool:
        return len(node.outputs) == 1 and node.outputs[0].name in self.inlined

    def leaves(self, operand: Operand) -> frozenset[str]:
        """The values that must exist as variables to write the operand."""
        if isinstance(operand, Const):
            return frozenset()
        if (node := self.inlined.get(operand.name)) is None:
            asked = self.narrowings.get(operand.name, Narrowing())
            told = (o for node in (*asked.yes, *asked.no) for o in node.operands)
            return frozenset({operand.name}).union(*map(self.leaves, told))
        arm = arm_of(node)
        operands = (*node.operands, *arm[1].results) if arm else node.operands
        return frozenset().union(*map(self.leaves, operands))

    def text(self, operand: Operand) -> str:
        return self._text(operand)[0]

    def tight(self, operand: Operand) -> str:
        """The operand, in parentheses if its neighbours could tear it apart."""
        return _tight(self._text(operand))

    def _text(self, operand: Operand) -> tuple[str, bool]:
        if isinstance(operand, Const):
            text = literal(operand.value, self.imports)
            return text, not text.startswith("-")
        if (node := self.inlined.get(operand.name)) is not None:
            return self.expression(node)
        return self.names[operand.name], True

    def condition(self, operand: Operand) -> str:
        """The operand where only its truth matters."""
        return self._condition(operand)[0]

    def tight_condition(self, operand: Operand) -> str:
        """The same, in parentheses if its neighbours could tear it apart."""
        return _tight(self._condition(operand))

    def _condition(self, operand: Operand) -> tuple[str, bool]:
        """A condition, after the questions that it answers: TorchScript goes by these alone."""
        text, whole = self._text(operand)
        if isinstance(operand, Const) or operand.name in self.inlined:
            return text, whole
        asked = self.narrowings.get(operand.name, Narrowing())
        for word, nodes in (("and", asked.yes), ("or", asked.no)):
            for node in reversed(nodes):
                question, _ = self.expression(node)
                text, whole = f"({question}) {word} {_tight((text, whole))}", False
        return text, whole

    def arguments(self, node: Node) -> str:
        parts = [self.text(operand) for operand in node.inputs]
        return ", ".join([*parts, *(f"{name}={self.text(o)}" for name, o in node.keywords)])

    def expression(self, node: Node) -> tuple[str, bool]:
        """The node as an expression, and whether it holds together without parentheses."""
        match node.operation:
            case Operator(target):
                return operator(
                    target,
                    [self.tight(o) for o in node.inputs],
                    [(name, self.text(o)) for name, o in node.keywords],
                    self.imports,
                )
            case Builtin("trips"):
                return _least([self._count(operand) for operand in node.inputs]), True
            case Builtin(name):
                return self._builtin(name, node)
            case Call(target):
                return f"{self.imports.symbol(target)}({self.arguments(node)})", True
            case Local(name):
                return f"{name}({self.arguments(node)})", True
            case Invoke(path, method) if "." in method:
                words = [member_path(self.graph, path), self.arguments(node)]
                return f"{self.imports.symbol(method)}({', '.join(filter(None, words))})", True
            case Invoke(path, method):
                return f"{call_on(self.graph, path, method)}({self.arguments(node)})", True
            case Read(path):
                return member_path(self.graph, path), True
            case If() if (arm := arm_of(node)) is not None:
                word, block = arm
                first, second = map(self._condition, (node.inputs[0], block.results[0]))
                return f"{_tight(first)} {word} {_tight(second)}", False
            case _:
                raise AssertionError(node.operation)

    def _builtin(self, name: str, node: Node) -> tuple[str, bool]:
        tight = [self.tight(o) for o in node.inputs]
        if name in INFIX and len(tight) == 2:
            return f"{tight[0]} {INFIX[name]} {tight[1]}", False
        if name in BUILTINS:
            whole = "info." in name or name in (
                "getitem",
                "item",
                "list_of",
                "dict_of",
                "range_length",
                "truncdiv",
            )
            return BUILTINS[name].format(*tight), whole
        if name == "warn":
            self.imports.modules.add("warnings")
        if name == "jit_isinstance":
            value, *kinds = node.inputs
            names = [annotation(str(k.value), self.imports) for k in kinds if isinstance(k, Const)]
            return f"torch.jit.isinstance({self.text(value)}, ({', '.join(names)},))", True
        items = [self.text(o) for o in node.inputs]
        if name in _FORMS:
            return _FORMS[name](tight[0] if tight else "", items), True
        kind, _, member = name.partition(".")
        if kind in _OF_OBJECTS:
            return self._of_object(kind, member, node)
        if kind == "attribute":
            return f"{tight[0]}.{member}", True
        if name == "method.tolist":
            kind = annotation(node.outputs[0].type, self.imports)
            return f"torch.jit.annotate({kind}, {tight[0]}.tolist())", True
        if kind == "method":
            rest = [*items[1:], *(f"{key}={self.text(o)}" for key, o in node.keywords)]
            return f"{tight[0]}.{member}({', '.join(rest)})", True
        return f"{name}({', '.join(items)})", True

    def _count(self, operand: Operand) -> str:
        """How many trips a loop makes through something: a number is that of a range."""
        is_number = isinstance(operand, Const) or self.kinds[operand.name] == "int"
        return self.text(operand) if is_number else f"len({self.text(operand)})"

    def _of_object(self, kind: str, member: str, node: Node) -> tuple[str, bool]:
        """What is done to an object of a class of the user's: operators have their signs."""
        tight, items = [self.tight(o) for o in node.inputs], [self.text(o) for o in node.inputs]
        if kind in ("field", "property"):
            return f"{tight[0]}.{member}", True
        if kind == "set_field":
            return f"{tight[0]}.{member} = {items[1]}", True
        if member in OPERATORS and not node.keywords:
            return OPERATORS[member].format(*tight), OPERATORS[member].startswith("{0}[")
        rest = [*items[1:], *(f"{key}={self.text(o)}" for key, o in node.keywords)]
        called = "" if member == "__call__" else f".{member}"
        return f"{tight[0]}{called}({', '.join(rest)})", True


def _least(numbers: Sequence[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"min([{', '.join(numbers)}])"


def _tight(written: tuple[str, bool]) -> str:
    text, whole = written
    return text if whole else f"({text})"


_QUESTIONS = frozenset(map(Builtin, ("is", "is_not", "isinstance", "jit_isinstance")))
_OF_OBJECTS = frozenset({"call", "field", "property", "set_field"})
_Form: TypeAlias = Callable[[str, Sequence[str]], str]
"""Of the text of the first operand, in parentheses if need be, and of the texts of all."""


def _tuple(_: str, items: Sequence[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _dict(_: str, items: Sequence[str]) -> str:
    pairs = zip(items[::2], items[1::2], strict=True)
    return f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"


def _slice(owner: str, items: Sequence[str]) -> str:
    start, stop, step = ("" if item in _OPEN else item for item in items[1:])
    return f"{owner}[{start}:{stop}" + (f":{step}]" if step and step != "1" else "]")


def _places(items: Sequence[str]) -> str:
    return ", ".join(":" if item == "None" else item for item in items) or "..."


_OPEN = ("None", str(2**63 - 1))
_FORMS: dict[str, _Form] = {
    "iadd": lambda owner, items: f"{owner} += {items[1]}",
    "imul": lambda owner, items: f"{owner} *= {items[1]}",
    "list": lambda _, items: f"[{', '.join(items)}]",
    "tuple": _tuple,
    "dict": _dict,
    "slice": _slice,
    "index": lambda owner, items: f"{owner}[{_places(items[1:])}]",
    "assign": lambda owner, items: f"{owner}[{_places(items[2:])}] = {items[1]}",
    "format": lambda owner, items: f"{owner}.format({', '.join(items[1:])})",
    "warn": lambda _, items: f"warnings.warn({', stacklevel='.join(i for i in items if i != '2')})",
}
