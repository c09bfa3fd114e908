"""The text form, read back: a small recursive-descent parser."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir.graph import (
    Absent,
    Attribute,
    Block,
    Buffer,
    Function,
    Graph,
    Layer,
    Member,
    Node,
    Parameter,
    Parametrization,
    Reset,
    Tie,
    Value,
)
from nas_engine_graph.ir.operation import (
    Builtin,
    Call,
    If,
    Invoke,
    Local,
    Loop,
    Operation,
    Operator,
    Raise,
    Read,
    With,
    Write,
)
from nas_engine_graph.ir.value import (
    Const,
    Data,
    Device,
    Dtype,
    Fill,
    Layout,
    MemoryFormat,
    Normal,
    Object,
    Operand,
    Ref,
    Size,
    Symbol,
)

__all__ = ["parse", "parse_block"]

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<text>'(?:[^'\\]|\\.)*')|(?P<arrow>->)"""
    r"""|(?P<number>-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)(?![\w.]))"""
    r"""|(?P<value>%\w+)|(?P<word>[A-Za-z_][\w.]*)|(?P<mark>[(){}\[\],:=])"""
)
_WORDS: dict[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    "inf": float("inf"),
    "nan": float("nan"),
}
_RECORDS: dict[str, Callable[..., Any]] = {
    "Symbol": Symbol, "Dtype": Dtype, "Device": Device, "Layout": Layout,
    "MemoryFormat": MemoryFormat, "complex": complex, "Size": Size, "Fill": Fill, "Normal": Normal,
    "OrderedDict": OrderedDict, "Parameter": Parameter, "Buffer": Buffer,
    "Object": lambda target, fields: Object(target, tuple(fields.items())),
    "Data": lambda dtype, shape, content, *more: Data(
        dtype, shape, b"" if content == "empty" else bytes.fromhex(content), *more
    ),
}  # fmt: skip
_DOTS = 2  # Of an operator: after its namespace and its name.


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def _tokens(text: str) -> list[_Token]:
    found, position, line = [], 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidGraphError(
                (f"line {line}: {text[position : position + 20]!r} is no token",)
            )
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_Token(kind, match[0], line))
        line += match[0].count("\n")
        position = match.end()
    return [*found, _Token("end", "", line)]


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    # ------------------------------------------------------------------ tokens

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self, text: str | None = None, kind: str | None = None) -> str:
        token = self.next
        if (text is not None and token.text != text) or (kind is not None and token.kind != kind):
            wanted = repr(text) if text else f"a {kind}"
            raise InvalidGraphError((f"line {token.line}: {token.text!r} where {wanted} belongs",))
        self.at += 1
        return token.text

    def maybe(self, text: str) -> bool:
        if self.next.text == text and self.next.kind in ("word", "mark"):
            self.at += 1
            return True
        return False

    def string(self) -> str:
        return str(json.loads(self.take(kind="string")))

    def listed(self, end: str, item: Callable[[], Any]) -> list[Any]:
        found = []
        while not self.maybe(end):
            found.append(item())
            if self.next.text != end:
                self.take(",")
        return found

    # ------------------------------------------------------------------ values

    def value(self) -> Any:
        token = self.next
        self.at += 1
        match token.kind, token.text:
            case "string", text:
                return json.loads(text)
            case "text", text:
                return text[1:-1]
            case "number", text:
                return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
            case "mark", "(":
                return tuple(self.listed(")", self.value))
            case "mark", "[":
                return self.listed("]", self.value)
            case "mark", "{":
                return dict(self.listed("}", self._pair))
            case "word", word if word in _WORDS:
                return _WORDS[word]
            case "word", word if word in _RECORDS:
                self.take("(")
                return _RECORDS[word](*self.listed(")", self.value))
            case "word", _:
                self.at -= 1
                return self.layer()
        raise InvalidGraphError((f"line {token.line}: {token.text!r} is no value",))

    def _pair(self) -> tuple[Any, Any]:
        key = self.value()
        self.take(":")
        return key, self.value()

    def _named(self) -> tuple[str | None, Any]:
        following = self.tokens[self.at + 1]
        if self.next.kind == "word" and following.text == "=":
            name = self.take()
            self.take("=")
            return name, self.value()
        return None, self.value()

    def _arguments(self) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]:
        self.take("(")
        found = self.listed(")", self._named)
        args = tuple(value for name, value in found if name is None)
        return args, tuple((name, value) for name, value in found if name is not None)

    def layer(self) -> Layer:
        target = self.take(kind="word")
        args, kwargs = self._arguments()
        made = Layer(target, args, kwargs)
        while self.next.text in ("label", "set", "with", "frozen", "in", "strides", "evaluating"):
            match self.take():
                case "label":
                    made = replace(made, label=self.string())
                case "set":
                    made = replace(made, settings=self._arguments()[1])
                case "with":
                    name = self.take(kind="word")
                    (tensor, *rest), words = self._arguments()
                    added = Parametrization(name, tensor, tuple(rest), words)
                    made = replace(made, parametrizations=(*made.parametrizations, added))
                case "frozen":
                    made = replace(made, frozen=self.value())
                case "in":
                    made = replace(made, memory_format=self.value())
                case "strides":
                    made = replace(made, strides=self.value())
                case _:
                    made = replace(made, evaluating=True)
        return made

    # ------------------------------------------------------------------ nodes

    def typed(self) -> Value:
        name = self.take(kind="value")[1:]
        return Value(name, self.string()) if self.maybe(":") else Value(name)

    def operand(self) -> Operand:
        if self.next.kind == "value":
            return Ref(self.take()[1:])
        return Const(self.value())

    def _word(self) -> tuple[str | None, Operand]:
        if self.next.kind == "word" and self.tokens[self.at + 1].text == "=":
            name = self.take()
            self.take("=")
            return name, self.operand()
        return None, self.operand()

    def _path(self) -> tuple[str, ...]:
        if self.next.text == "[":
            return tuple(self.value())
        text = self.string()
        return tuple(text.split(".")) if text else ()

    def operation(self) -> Operation:
        line, word = self.next.line, self.take(kind="word")
        match word:
            case "builtin":
                return Builtin(self.take(kind="word"))
            case "call":
                return Call(self.take(kind="word"))
            case "local":
                return Local(self.take(kind="word"))
            case "invoke":
                path = self._path()
                return Invoke(path, self.take() if self.next.kind == "word" else "forward")
            case "read":
                return Read(self._path())
            case "write":
                return Write(self._path())
            case "if":
                return If()
            case "loop":
                return Loop()
            case "with":
                return With(self.take() if self.next.kind == "word" else "")
            case "raise":
                return Raise(self.take(kind="word"))
        if word.count(".") != _DOTS:
            text = f"line {line}: {word!r} where an operation belongs, such as aten.add.Tensor"
            raise InvalidGraphError((text,))
        return Operator(word)

    def node(self) -> Node:
        outputs: list[Value] = []
        while self.next.kind == "value":
            outputs.append(self.typed())
            if not self.maybe(","):
                self.take("=")
                break
        operation = self.operation()
        self.take("(")
        words = self.listed(")", self._word)
        label = self.string() if self.maybe("label") else None
        blocks = []
        while self.maybe("{"):
            blocks.append(self.block())
        inputs = tuple(operand for name, operand in words if name is None)
        keywords = tuple((name, operand) for name, operand in words if name is not None)
        return Node(operation, inputs, keywords, tuple(outputs), tuple(blocks), label)

    def block(self) -> Block:
        parameters: list[Value] = []
        if self.maybe("take"):
            parameters.append(self.typed())
            while self.maybe(","):
                parameters.append(self.typed())
        nodes = []
        while not self.maybe("give"):
            nodes.append(self.node())
        return Block(tuple(parameters), tuple(nodes), tuple(self.listed("}", self.operand)))

    # ------------------------------------------------------------------ graphs

    def function(self, free: bool) -> Function:
        name = self.take(kind="word")
        self.take("(")
        parameters = tuple(self.listed(")", self.typed))
        self.take("->")
        returns = self.string()
        defaults = self.value() if self.maybe("defaults") else ()
        exported = self.maybe("exported")
        self.take("{")
        body = replace(self.block(), parameters=parameters)
        return Function(name, body, returns, defaults, free, exported)

    def tensor(self) -> tuple[tuple[int, ...], Any, str]:
        self.take(":")
        dtype = self.take(kind="word")
        shape = self.value()
        self.take("=")
        return shape, self.value(), dtype

    def _laid(self) -> dict[str, Any]:
        """How a tensor lies in memory, and what is set on it."""
        found = {w: self.value() if self.maybe(w) else None for w in ("strides", "memory")}
        return {**found, "settings": self._arguments()[1] if self.maybe("set") else ()}

    def member(self, kind: str) -> tuple[str, Member]:
        name = self.string()
        match kind:
            case "parameter":
                made = Parameter(*self.tensor(), requires_grad=not self.maybe("frozen"))
                return name, replace(made, **self._laid())
            case "buffer":
                kept = Buffer(*self.tensor(), persistent=not self.maybe("transient"))
                return name, replace(kept, **self._laid())
            case "attribute":
                self.take(":")
                annotated = self.string()
                self.take("=")
                return name, Attribute(self.value(), annotated)
            case "absent":
                self.take(":")
                return name, Absent(self.string())
        self.take("=")
        return name, (self.layer() if kind == "layer" else self.graph())

    def reset(self) -> Reset:
        name = self.string()
        self.take("=")
        value = self.value()
        self.take("on")
        method = self.take(kind="word")
        mode = next((mode for mode in (True, False) if self.maybe(str(mode))), None)
        return Reset(method, name, value, mode)

    def graph(self) -> Graph:
        self.take("graph")
        made = Graph(self.take(kind="word"), kind=self.take(kind="word"))
        if self.maybe("label"):
            made = replace(made, label=self.string())
        made = replace(made, evaluating=self.maybe("evaluating"))
        made = replace(made, training=not self.maybe("untrained"))
        self.take("{")
        members: list[tuple[str, Member]] = []
        functions: list[Function] = []
        ties: list[Tie] = []
        pinned: list[tuple[str, ...]] = []
        turned: list[tuple[str, ...]] = []
        resets: list[Reset] = []
        while not self.maybe("}"):
            word = self.take(kind="word")
            match word:
                case "method" | "function":
                    functions.append(self.function(word == "function"))
                case "tie":
                    tie = Tie(
                        self.value(), self.value(), self.value() if self.maybe("view") else None
                    )
                    settings = self._arguments()[1] if self.maybe("set") else ()
                    ties.append(replace(tie, settings=settings))
                case "pinned":
                    pinned.append(self.value())
                case "turned":
                    turned.append(self.value())
                case "reset":
                    resets.append(self.reset())
                case "versioned":
                    made = replace(made, versioned=True)
                case _:
                    members.append(self.member(word))
        return replace(
            made,
            members=tuple(members),
            functions=tuple(functions),
            ties=tuple(ties),
            pinned=tuple(pinned),
            turned=tuple(turned),
            resets=tuple(resets),
        )


def parse(text: str) -> Graph:
    """The graph that the text form describes.

    Raises:
        InvalidGraphError: the text is not of the form; with its line.

    >>> print(parse('graph Twice torch.nn.Module { method forward(%x) -> "Tensor" {'
    ...             '%y = aten.mul.Tensor(%x, 2) give %y } }'))
    graph Twice torch.nn.Module {
      method forward(%x) -> "Tensor" {
        %y = aten.mul.Tensor(%x, 2)
        give %y
      }
    }
    """
    parser = _Parser(text)
    made = parser.graph()
    parser.take(kind="end")
    return made


def parse_block(text: str) -> Block:
    """The block that a fragment of the text form describes: what it takes, its nodes, its results.

    Raises:
        InvalidGraphError: the text is not of the form; with its line.

    >>> parse_block("take %x %y = aten.mul.Tensor(%x, 2) give %y").results
    (Ref(name='y'),)
    """
    parser = _Parser(f"{text}\n}}")
    made = parser.block()
    parser.take(kind="end")
    return made
