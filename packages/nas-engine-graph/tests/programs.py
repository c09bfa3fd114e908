"""Random small programs: values of many types, views, in-place writes, containers, objects, branches, loops, early ends."""

import itertools
import linecache
import math
import re
from typing import Any, NamedTuple, Optional

import torch
from forms import BINARY, CONDITIONS, FORMS, ROUNDS, UNARY
from helpers import HELPERS, METHODS
from hypothesis import strategies as st
from torch import Tensor, nn

_COUNTER = itertools.count()


class Box:
    """What programs hold: they have it under the name by which generated source imports it."""

    def __init__(self, value: Tensor, count: int) -> None:
        self.value = value
        self.count = count
        self.items: list[Tensor] = []

    def scale(self, by: float) -> None:
        self.value = self.value * by
        self.count = (self.count + 1) % 5

    def scaled(self, by: float) -> Tensor:
        return self.value * by + self.count

    @property
    def doubled(self) -> int:
        return self.count * 2 % 9

    def __len__(self) -> int:
        return len(self.items)

    def __add__(self, other: "Box") -> "Box":
        return Box(self.value + other.value, max(self.count, other.count))


class Point(NamedTuple):
    value: Tensor
    count: int


_NAMES = ("a", "b", "c_")
_RESULTS = (
    "a, b, c_, items, n, self.total, {m}, box, boxes, s, ok, r, numbers, pair, point, table, o"
)


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


@st.composite
def _statement(draw: Any, depth: int, loop: bool) -> str:
    names = {"a": draw(st.sampled_from(_NAMES)), "b": draw(st.sampled_from(_NAMES)),
             "c": draw(st.sampled_from(("1", "2.5", "-1", "0.5")))}  # fmt: skip
    kinds = ["unary", "binary", *FORMS]
    kinds += ["if", "if", "for", "for", "while", "with"] if depth else []
    kinds += ["break", "continue", "return"] if loop else []
    kind = draw(st.sampled_from(kinds))
    target = draw(st.sampled_from(_NAMES))
    if kind in ("unary", "binary"):
        form = draw(st.sampled_from(UNARY if kind == "unary" else BINARY))
        return f"{target} = {form.format(**names)}"
    if kind in FORMS:
        forms = FORMS[kind]
        return draw(st.sampled_from(forms)).format(**names)
    if kind in ("break", "continue", "return"):
        return f"if {draw(st.sampled_from(CONDITIONS)).format(**names)}:\n    {kind}"
    if kind == "with":
        # TorchScript fails on what is returned there under a condition.
        body = draw(_block(depth - 1, loop)).replace("return", "break")
        return f"with torch.no_grad():\n{_indent(body)}"
    body = _indent(draw(_block(depth - 1, loop or kind != "if")))
    if kind == "if":
        condition = draw(st.sampled_from(CONDITIONS)).format(**names)
        other = _indent(draw(_block(depth - 1, loop)))
        return f"if {condition}:\n{body}\nelse:\n{other}"
    if kind == "for":
        rounds = draw(st.sampled_from(ROUNDS)).format(**names)
        return f"for {rounds}:\n    n = n + i\n{body}"
    if draw(st.booleans()):
        return f"k{depth} = 0\nwhile True:\n    k{depth} += 1\n    if k{depth} > 3:\n        break\n{body}"
    return f"k{depth} = 0\nwhile k{depth} < 3 and n < 50:\n    k{depth} += 1\n{body}"


@st.composite
def _block(draw: Any, depth: int, loop: bool) -> str:
    return "\n".join(draw(st.lists(_statement(depth, loop), min_size=1, max_size=4)))


@st.composite
def programs(draw: Any) -> str:
    """The source of a module class ``Program``."""
    body = "\n".join(draw(st.lists(_statement(2, False), min_size=2, max_size=8)))
    flag = draw(st.booleans())
    early = draw(st.sampled_from(("", "if n > 20:\n    return\n")))
    # It has one type for all that is returned.
    results = _RESULTS.format(m="float(m)" if "return" in body else "m")
    body, early = (
        re.sub(r"\breturn$", f"return {results}", t, flags=re.MULTILINE) for t in (body, early)
    )
    return f"""
{HELPERS}

class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.calls = 0

    def forward(self, x, n: int):
        self.calls += 1
        while n < 4:
            n += 1
            if n == 3 and self.calls > 1:
                return self.linear(x), n
            x = x * 0.5
        return x, self.calls


class Program(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.drop = nn.Dropout(0.5)
        self.flag = {flag}
        self.total = 0
        self.box = Box(torch.zeros(3, 3), 1)
        self.inner = Inner()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Tanh()])
        self.last = torch.zeros(3, 3)
        self.register_buffer("seen", torch.zeros(()))

{METHODS}
    def forward(self, x, y):
        n = x.size(1) - 1
        a, b, c_ = x * 1, y * 1, x + y
        items = [a, b]
        m = 0
        box = Box(a, n)
        boxes = [box]
        s, ok, r, numbers = "x", False, 0.5, [1, 2]
        pair, point, table = (a, n), Point(b, n), {{"k": c_}}
        o: Optional[Tensor] = None
{_indent(_indent(body))}
{_indent(_indent(early))}
        x.add_(1)
        return {results}
"""


def load(source: str) -> type[nn.Module]:
    """The class of a program; its source can be read back, as TorchScript needs."""
    file = f"<program {next(_COUNTER)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {
        "torch": torch,
        "nn": nn,
        "F": torch.nn.functional,
        "Box": Box,
        "Point": Point,
        "Dict": dict,
        "List": list,
        "Optional": Optional,
        "math": math,
        "Tensor": Tensor,
        "__name__": "programs",
    }
    exec(compile(source, file, "exec", dont_inherit=True), scope)
    cls: type[nn.Module] = scope["Program"]
    return cls
