"""A function of the IR as lines of Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from nas_engine_graph.backend.heads import Heads
from nas_engine_graph.backend.lines import marked
from nas_engine_graph.backend.literal import annotation, literal
from nas_engine_graph.backend.naming import proceed_name
from nas_engine_graph.backend.paths import member_path
from nas_engine_graph.backend.spelling import AUGMENTED
from nas_engine_graph.ir import (
    Block,
    Builtin,
    Call,
    Const,
    If,
    Loop,
    Node,
    Operand,
    Raise,
    Ref,
    With,
    Write,
)

__all__ = ["Writer"]

_INDENT = "    "
_EMPTY = (Builtin("list"), Builtin("dict"), Call("collections.OrderedDict"))
_NARROW = ("bool", "int", "float", "number", "str", "Tensor")
_WIDE = ("int", "float", "str", "Tensor")
_MIXED = re.compile(r"\b(Any|Union)\b")
_MAY_BE_NONE = ("None", "Optional", "Union")
"""Types that TorchScript finds out by itself of a variable that is None at first."""


class Writer(Heads):
    """Writes one function."""

    _scopes: tuple[set[str], ...] = ()
    """The variables that are defined, in each of the blocks around the next line."""

    def lines(self) -> list[str]:
        """The definition of the function."""
        head = [] if self.function.free else ["self"]
        values = self.function.body.parameters
        defaults = self.function.defaults
        for index, value in enumerate(values):
            position = index - (len(values) - len(defaults))
            default = f" = {literal(defaults[position], self.imports)}" if position >= 0 else ""
            kind = annotation(value.type, self.imports)
            head.append(f"{value.name}{f': {kind}' if kind else ''}{default}")
        self.imports.hidden = frozenset(value.name for value in values)
        kind = annotation(self.function.returns, self.imports)
        returned = f" -> {kind}" if kind else ""
        with self._scope():
            self._scopes[-1].update(value.name for value in values)
            body = self._returning(self.function.body)
        self.imports.hidden = frozenset()
        return [
            *(["@torch.jit.export"] if self.function.exported else []),
            f"def {self.function.name}({', '.join(head)}){returned}:",
            *(f"{_INDENT}{line}" for line in body or ["pass"]),
        ]

    def _returning(self, block: Block) -> list[str]:
        """A block that returns its result; where this is of one type or another, inside of arms."""
        last = block.nodes[-1] if block.nodes else None
        if last is not None and self._is_mixed(last, block.results):
            *before, _ = block.nodes
            head, arms = self.block(replace(block, nodes=tuple(before))), []
            for arm in last.blocks:
                with self._scope():
                    arms.append(self._returning(arm) or ["return None"])
            condition = self.condition(last.inputs[0])
            then, other = arms
            return [*head, f"if {condition}:", *_indented(then), *_otherwise(other)]
        lines = self.block(block)
        if block.results and not _ends(block):
            results = ", ".join(self.text(r) for r in block.results)
            silent = results == "None" and self.function.returns in ("", "NoneType")
            lines += [] if silent else [f"return {results}"]
        return lines

    def _is_mixed(self, node: Node, results: tuple[Operand, ...]) -> bool:
        """Whether a branch gives the results, as a variable that TorchScript has no type for."""
        names = tuple(Ref(value.name) for value in node.outputs)
        mixed = all(_MIXED.search(value.type) for value in node.outputs)
        return isinstance(node.operation, If) and len(names) == 1 and names == results and mixed

    @contextmanager
    def _scope(self, beside: set[str] | None = None) -> Iterator[None]:
        """A block; ``beside`` collects what several define, of which none sees the others."""
        self._scopes += (set(),)
        yield
        *around, inner = self._scopes
        self._scopes = tuple(around)
        if beside is not None:
            beside |= inner
        elif around:  # TorchScript defines what all arms define.
            around[-1] |= inner

    def _declared(self, name: str, kind: str, text: str) -> str:
        """An assignment that names its type: TorchScript declares each variable once."""
        if kind and any(name in scope for scope in self._scopes[:-1]):
            text, kind = self._of_type(kind, text), ""
        self._scopes[-1].add(name)
        kind = annotation(kind, self.imports)
        return f"{name}{f': {kind}' if kind else ''} = {text}"

    def _of_type(self, kind: str, text: str) -> str:
        """An expression of which TorchScript is told the type; a wider one it has of items only."""
        if kind.startswith(("Optional", "Union")) and text != "None":
            many = annotation(f"List[{kind}]", self.imports)
            return f"torch.jit.annotate({many}, [{text}])[0]" if many else text
        kind = annotation(kind, self.imports)
        return f"torch.jit.annotate({kind}, {text})" if kind else text

    def block(self, block: Block, done: Sequence[Node] = ()) -> list[str]:
        found: list[str] = []
        for node in block.nodes:
            if node not in done and not self.is_inlined(node):
                found += marked(self.statement(node), node.place)
        return found

    def statement(self, node: Node) -> list[str]:
        match node.operation:
            case If():
                return self._branch(node)
            case Loop():
                return self._loop(node)
            case With(target):
                return self._with(node, target)
            case Raise(exception):
                return [f"raise {self.imports.symbol(exception)}({self.arguments(node)})"]
            case Write(path):
                return [f"{member_path(self.graph, path)} = {self.text(node.inputs[0])}"]
            case _:
                return self._assignment(node)

    def _assignment(self, node: Node) -> list[str]:
        if (
            isinstance(node.operation, Builtin)
            and node.operation.name in AUGMENTED
            and node.outputs
        ):
            return self._augmented(node, AUGMENTED[node.operation.name])
        text, _ = self.expression(node)
        if not any(value.name in self.names.used for value in node.outputs):
            return [text]
        targets = [self.target(value.name) for value in node.outputs]
        self._scopes[-1].update(() if _is_untyped(node) else targets)
        if _is_untyped(node):
            return [self._declared(targets[0], node.outputs[0].type, text)]
        if node.operation == Builtin("unpack") and len(targets) == 1:
            return [f"({targets[0]},) = {text}"]
        return [f"{', '.join(targets)} = {text}"]

    def _augmented(self, node: Node, sign: str) -> list[str]:
        """An assignment that sets the variable of a number anew, and changes a tensor in place."""
        name = node.outputs[0].name
        target = self.target(name)
        value, other = map(self.text, node.inputs)
        self._scopes[-1].add(target)
        first = [] if value == target else [f"{target} = {value}"]
        return [*first, f"{target} {sign} {other}"]

    def _moves(self, targets: Sequence[str], sources: Sequence[Operand]) -> list[str]:
        """All assignments at once: none sees the effect of another."""
        pairs: list[tuple[str, str, str]] = []
        constants: list[str] = []
        for target, source in zip(targets, sources, strict=True):
            if not self.names.is_read(target):
                continue
            name, text = self.names[target], self.text(source)
            if source == Const(None) and self.kinds.get(target, "").startswith("Optional"):
                constants.append(self._declared(name, self.kinds[target], "None"))
            elif source == Const(None) and (typed := self._nothing(target)):
                pairs.append((name, typed, ""))
            elif name != text:
                pairs.append((name, text, self._other_type(target, source)))
        match pairs:
            case []:
                return constants
            case [(name, text, kind)] if kind:
                return [self._declared(name, kind, text), *constants]
        right = [self._of_type(kind, text) for _, text, kind in pairs]
        left = [name for name, *_ in pairs]
        self._scopes[-1].update(left)
        return [f"{', '.join(left)} = {', '.join(right)}", *constants]

    def _nothing(self, target: str) -> str:
        """None for a variable that nobody reads then: TorchScript is told of what type it is."""
        kind = annotation(self.kinds.get(target, ""), self.imports)
        if not kind or kind.startswith(_MAY_BE_NONE):
            return ""
        return f"torch.jit.annotate({kind}, None)"

    def _other_type(self, target: str, source: Operand) -> str:
        """The type of a variable, if what it is set to is of a narrower one; empty otherwise."""
        wide = self.kinds.get(target, "")
        if wide.startswith("Union"):
            return wide  # What is asked for its type is of a narrower one then.
        if isinstance(source, Ref) and source.name in self.asked and wide.startswith("Optional"):
            return wide
        if isinstance(source, Const):
            narrow = type(source.value).__name__
        else:
            narrow = self.kinds.get(source.name, wide)
        return wide if wide != narrow and wide in _WIDE and narrow in _NARROW else ""

    def _branch(self, node: Node) -> list[str]:
        outputs = [value.name for value in node.outputs]
        if (chosen := self._chosen(node)) is not None:
            self._scopes[-1].add(self.names[outputs[0]])
            return [f"{self.names[outputs[0]]} = {chosen}"]
        arms, defined = [], set[str]()
        for block in node.blocks:
            with self._scope(defined):
                lines = self.block(block)
                arms.append(lines if _ends(block) else lines + self._moves(outputs, block.results))
        self._scopes[-1].update(defined)
        then, other = arms
        if not then and not other:
            return []
        if not then:
            return [f"if not {self.tight_condition(node.inputs[0])}:", *_indented(other)]
        found = [f"if {self.condition(node.inputs[0])}:", *_indented(then)]
        return found + (_otherwise(other) if other else [])

    def _chosen(self, node: Node) -> str | None:
        """A branch that only chooses one of two numbers, of which one is an integer."""
        match [(block.nodes, block.results) for block in node.blocks]:
            case [((), (Const(value=first),)), ((), (Const(value=second),))]:
                if {type(first), type(second)} == {int, float}:
                    condition, (one, other) = node.inputs[0], (b.results[0] for b in node.blocks)
                    return f"{self.text(one)} if {self.text(condition)} else {self.text(other)}"
        return None

    def _with(self, node: Node, target: str) -> list[str]:
        (block,) = node.blocks
        outputs = [value.name for value in node.outputs]
        made = f"{self.imports.symbol(target)}({self.arguments(node)})" if target else ""
        with self._scope():
            for value in block.parameters:
                made = self.text(node.inputs[0])
                if value.name in self.names.used:
                    self._scopes[-1].add(self.names[value.name])
                    made += f" as {self.names[value.name]}"
            body = [*self.block(block), *self._moves(outputs, block.results)]
        return [f"with {made}:", *_indented(body or ["pass"])]

    def _loop(self, node: Node) -> list[str]:
        (block,) = node.blocks
        trips, start, *carried = node.inputs
        index, *variables = [value.name for value in block.parameters]
        proceed, *following = block.results
        steady = start == Const(True) and proceed == Const(True)
        go = proceed_name(node)
        targets, first, following = (
            (variables, carried, following)
            if steady
            else ([go, *variables], [start, *carried], [proceed, *following])
        )
        leaves_last = not steady and start == Const(True) and trips != Const(None)
        # A variable of a loop is read by the next trip even if nothing else reads it.
        found = self._moves(targets[leaves_last:], first[leaves_last:])
        with self._scope():
            head = None if trips == Const(None) else self.head(trips, block, start == Const(True))
            self._scopes[-1].update(head.names if head else ())
            body = self.block(block, head.done if head else ())
            body += [] if _ends(block) else self._moves(targets, following)
        body = body or ["pass"]
        if head is None:
            if index in self.names.used:
                found.append(f"{self.names[index]} = 0")
                body.append(f"{self.names[index]} += 1")
            condition = "True" if steady else self.names[go]
            return [*found, f"while {condition}:", *_indented(body)]
        if leaves_last:
            body = [*body, f"if not {self.names[go]}:", f"{_INDENT}break"]
        elif not steady:
            body = [f"if not {self.names[go]}:", f"{_INDENT}break", *body]
        return [*found, f"for {head.targets} in {head.iterated}:", *_indented(body)]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{_INDENT}{line}" for line in lines]


def _otherwise(lines: list[str]) -> list[str]:
    """The other arm of a branch: an ``elif``, if it is nothing but one more branch."""
    head, *rest = lines
    if head.startswith("if ") and all(
        line.startswith((_INDENT, "elif ", "else:")) for line in rest
    ):
        return [f"el{head}", *rest]
    return ["else:", *_indented(lines)]


def _is_untyped(node: Node) -> bool:
    """Whether only an annotation tells the type: of what is empty, or may be of another."""
    empty = not node.inputs and node.operation in _EMPTY
    return empty or node.operation == Builtin("typed")


def _ends(block: Block) -> bool:
    """Whether control never reaches the end of the block."""
    return bool(block.nodes) and isinstance(block.nodes[-1].operation, Raise)
