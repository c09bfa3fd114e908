"""Random small programs: straight lines, values of several types, views, in-place writes, containers, objects, branches, loops."""

import itertools
import linecache
from typing import Any

import torch
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


_UNARY = ("{a}.sin()", "-{a}", "{a}.abs()", "F.relu({a})", "{a}.t().t()", "{a}.clone()", "self.linear({a})",
          "self.drop({a})", "{a}.cumsum(0)", "{a}.flip(1)", "helper({a})", "self.method({a}, n)")  # fmt: skip
_BINARY = ("{a} + {b}", "{a} * {b}", "{a} - {b} * 2", "torch.maximum({a}, {b})",
           "torch.where({a} > 0, {a}, {b})", "torch.stack([{a}, {b}]).mean(0)")  # fmt: skip
_IN_PLACE = ("{a}.add_({c})", "{a}.mul_({c})", "{a}[0] = {c}", "{a}[:, 1] = {b}[:, 0]", "{a} += {b}",
             "{a}[{b} > 0] = {c}", "{a}[1:, ::2] += {c}", "{a}.t()[0].fill_({c})", "v = {a}[1]\nv.sub_({c})",
             "{a}.clamp_(-3, 3)", "{a}[n % 3] *= {c}")  # fmt: skip
_LISTS = ("items.append({a})", "items[0] = {a}", "{a} = items[-1] + {c}", "items = items + [{a}]",
          "other = items\nother.append({b})", "{a} = items.pop() * {c}\nitems.append({a})",
          "self.total += n", "self.seen.add_({a}.detach().sum())")  # fmt: skip
_SCALARS = ("n += 1", "n = n * 2 % 7", "n = max(n - 1, 0)", "n = len(items)", "n = {a}.size(0) + n")
_MIXED = ("m = 0", "m = 0.5", "m = n * {c}", "m = {a}.sum()", "m += {a}.detach().mean()", "m = m * 2",
          "{b} = {a} * m", "m = n > 1 and {c}", "m = n or {c}", "m = {c} if n > 2 else n", "m -= 1",
          "q = m\nm *= 2\n{a} = {a} + q", "m = n if {a}.sum() > 0 else {c}", "m = 1 - m", "m = True",
          "n += int(m > 1)")  # fmt: skip
_OBJECTS = ("box.value = {a}", "{a} = box.value + {c}", "box.count += n", "n = box.count % 7", "box.items.append({a})",
            "other_box = box", "box = Box({a}, n)", "box.scale(float({c}))", "{a} = box.scaled(float({c})) + {b}", "boxes.append(box)",
            "box = boxes[-1]", "boxes[0].count += 1", "box.value.add_({c})", "self.box.count += n", "n += len(box)",
            "self.box.value = {a}.detach()", "{b} = {b} + self.box.value", "box = box + boxes[0]", "box = renewed(box, n)",
            "self.box.scale(float({c}))", "n = box.doubled", "boxes = boxes + [renewed(box, 2)]", "box.items = items",
            "other_box = boxes[0]\nbox.value, other_box.value = other_box.value, box.value")  # fmt: skip
_CONDITIONS = ("{a}.sum() > 0", "n > 2", "self.training", "n % 2 == 0 and {a}.mean() < {c}", "not self.flag",
               "len(items) > 2 or n == 1", "{a}.size(0) == 3", "self.flag",
               "box is boxes[0]", "box.count > 2", "len(box) > len(boxes)")  # fmt: skip
_FORMS = {"write": _IN_PLACE, "list": _LISTS, "scalar": _SCALARS, "mixed": _MIXED,
          "object": _OBJECTS}  # fmt: skip
_NAMES = ("a", "b", "c_")


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


@st.composite
def _statement(draw: Any, depth: int, loop: bool) -> str:
    names = {"a": draw(st.sampled_from(_NAMES)), "b": draw(st.sampled_from(_NAMES)),
             "c": draw(st.sampled_from(("1", "2.5", "-1", "0.5")))}  # fmt: skip
    kinds = ["unary", "binary", "write", "list", "scalar", "mixed", "object"] + (
        ["if", "for", "while"] if depth else []
    )
    kinds += ["break", "continue"] if loop else []
    kind = draw(st.sampled_from(kinds))
    target = draw(st.sampled_from(_NAMES))
    if kind in ("unary", "binary"):
        form = draw(st.sampled_from(_UNARY if kind == "unary" else _BINARY))
        return f"{target} = {form.format(**names)}"
    if kind in _FORMS:
        forms = _FORMS[kind]
        return draw(st.sampled_from(forms)).format(**names)
    if kind in ("break", "continue"):
        return f"if {draw(st.sampled_from(_CONDITIONS)).format(**names)}:\n    {kind}"
    body = _indent(draw(_block(depth - 1, loop or kind != "if")))
    if kind == "if":
        condition = draw(st.sampled_from(_CONDITIONS)).format(**names)
        other = _indent(draw(_block(depth - 1, loop)))
        return f"if {condition}:\n{body}\nelse:\n{other}"
    if kind == "for":
        counted = draw(
            st.sampled_from(
                ("range(3)", "range(1, 6, 2)", "range(n % 4)", "[1, 5]", "range(2, 0, -1)")
            )
        )
        return f"for i in {counted}:\n    n = n + i\n{body}"
    return f"k{depth} = 0\nwhile k{depth} < 3 and n < 50:\n    k{depth} += 1\n{body}"


@st.composite
def _block(draw: Any, depth: int, loop: bool) -> str:
    return "\n".join(draw(st.lists(_statement(depth, loop), min_size=1, max_size=4)))


@st.composite
def programs(draw: Any) -> str:
    """The source of a module class ``Program``."""
    body = "\n".join(draw(st.lists(_statement(2, False), min_size=2, max_size=8)))
    flag = draw(st.booleans())
    early = draw(
        st.sampled_from(
            ("", "if n > 20:\n    return a, b, c_, items, n, self.total, m, box, boxes\n")
        )
    )
    return f"""
def helper(x):
    y = x.clone()
    y[0] = y[0] * 2
    return y


def renewed(box: Box, n: int):
    if n > 2:
        return Box(box.value * 2, n)
    box.count = n
    return box


class Program(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.drop = nn.Dropout(0.5)
        self.flag = {flag}
        self.total = 0
        self.box = Box(torch.zeros(3, 3), 1)
        self.register_buffer("seen", torch.zeros(()))

    def method(self, x, n: int):
        if n > 3:
            return x * n
        return self.linear(x) + self.total

    def forward(self, x, y):
        n = x.size(1) - 1
        a, b, c_ = x * 1, y * 1, x + y
        items = [a, b]
        m = 0
        box = Box(a, n)
        boxes = [box]
{_indent(_indent(body))}
{_indent(_indent(early))}
        x.add_(1)
        return a, b, c_, items, n, self.total, m, box, boxes
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
        "__name__": "programs",
    }
    exec(compile(source, file, "exec", dont_inherit=True), scope)
    cls: type[nn.Module] = scope["Program"]
    return cls
