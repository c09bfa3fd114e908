"""Random small programs: values of many types, views, in-place writes, containers, objects, branches, loops, early ends."""

import itertools
import linecache
import re
from typing import Any, NamedTuple, Optional

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


class Point(NamedTuple):
    value: Tensor
    count: int


_UNARY = ("{a}.sin()", "-{a}", "{a}.abs()", "F.relu({a})", "{a}.t().t()", "{a}.clone()", "self.linear({a})",
          "self.drop({a})", "{a}.cumsum(0)", "{a}.flip(1)", "helper({a})", "self.method({a}, n)",
          "helper(helper({a}))", "self.inner({a}, n)[0]", "self.layers[1]({a})", "looped({a}, n, ok)",
          "{a} * r", "torch.tanh({a})[:, :3]")  # fmt: skip
_BINARY = ("{a} + {b}", "{a} * {b}", "{a} - {b} * 2", "torch.maximum({a}, {b})",
           "torch.where({a} > 0, {a}, {b})", "torch.stack([{a}, {b}]).mean(0)")  # fmt: skip
_IN_PLACE = ("{a}.add_({c})", "{a}.mul_({c})", "{a}[0] = {c}", "{a}[:, 1] = {b}[:, 0]", "{a} += {b}",
             "{a}[{b} > 0] = {c}", "{a}[1:, ::2] += {c}", "{a}.t()[0].fill_({c})", "v = {a}[1]\nv.sub_({c})",
             "{a}.clamp_(-3, 3)", "{a}[n % 3] *= {c}")  # fmt: skip
_LISTS = ("items.append({a})", "items[0] = {a}", "{a} = items[-1] + {c}", "items = items + [{a}]",
          "other = items\nother.append({b})", "{a} = items.pop() * {c}\nitems.append({a})",
          "self.total += n", "self.seen.add_({a}.detach().sum())", "items.reverse()", "items = items[1:] + items[:1]",
          "{a} = torch.stack(items).sum(0)", "for t in items[:2]:\n    {a} = {a} + t", "for layer in self.layers:\n    {a} = layer({a})",
          "for j, layer in enumerate(self.layers):\n    {a} = layer({a}) * j\n    n = n + j", "items = [t * 2 for t in items]",
          "for t, k in zip(items[:2], numbers):\n    {a} = {a} * k + t", "items.insert(0, {a})", "items.append({b})\ndel items[0]", "items.extend([{a}, {b}])")  # fmt: skip
_SCALARS = ("n += 1", "n = n * 2 % 7", "n = max(n - 1, 0)", "n = len(items)", "n = {a}.size(0) + n",
            "n = n // 2 + n % 3", "r = r * 0.5 + n", "r = float(n) / 2", "r = r ** 2 % 7", "n = int(r) % 5",
            "r = max(r, 0.5)", "r = -r", "r = n / 2", "r, n = float(n), int(r) % 7", "n, r = abs(n), abs(r)",
            "numbers.append(n)", "n = sum(numbers) % 7", "numbers = [2 * k % 9 for k in numbers]", "numbers.sort()",
            "n = numbers[-1]", "numbers[0] += 1", "numbers.insert(0, n)", "n = n if ok else len(numbers)",
            "for k in numbers[:2]:\n    n = (n + k) % 9", "n += {a}.dim() - 1", "{a}, n = both({a}, n)")  # fmt: skip
_TEXTS = ("s += 'x'", "s = s[-3:] + 'y'", "s = str(n)", "s = s.upper()", "n = len(s)", "s = 'ab' if n > 2 else s",
          "ok = s == 'x'", "ok = 'x' in s", "s = s + s[:1]", "s = '{{}}-{{}}'.format(n, s[:2])", "ok = n > 2", "ok = not ok",
          "ok = ok and n > 1", "ok = ok or bool({a}.sum() > 0)", "ok = (n > 1) == ok", "n += int(ok)",
          "ok = {a}.size(1) == 3 and not ok", "s = f'{{n}}{{s[:1]}}'", "s, ok = 'z', s != 'z'", "s = '{{}}'.format(r)", "s = str(r)[:3]", "n = s.find('y') + 2", "s = s.replace('x', 'yy')[:4]")  # fmt: skip
_TUPLES = ("pair = ({a}, n)", "{a} = pair[0] + {c}", "n = pair[1] % 5", "{a}, n = pair", "pair = (pair[0] * 2, pair[1] + 1)",
           "pair = ({b}, n) if n > 2 else pair", "first, second = pair\npair = (first + second, n)", "point = Point({a}, n)",
           "{a} = point.value + {c}", "n = point.count % 7", "point = moved(point, n)", "value, count = point\n{a} = value * count",
           "point = Point(point.value * 2, point.count)", "pair = (point.value, point.count)", "point.value.add_({c})")  # fmt: skip
_DICTS = ("table['k'] = {a}", "{a} = table['k'] * {c}", "table[str(n % 3)] = {a}", "n = len(table)", "table = {{'k': {a}}}",
          "if '1' in table:\n    {a} = table['1'] + {b}", "for name, v in table.items():\n    {a} = {a} + v", "table.update({{'1': {b}}})",
          "n = len(list(table.keys()))", "{a} = table.get('2', {b})", "for v in table.values():\n    v.add_({c})",
          "{a} = table.pop('1', {b})", "table['k'].mul_({c})", "for key in table:\n    s = key")  # fmt: skip
_OPTIONALS = ("o = {a}", "o = None", "if o is not None:\n    {a} = {a} + o", "{b} = {a} if o is None else o", "{a} = optional({a}, o)",
              "if o is None:\n    o = {a}\n{b} = {b} + o", "o = maybe({a}, n)", "ok = o is None", "o = maybe({a}, n) if ok else o",
              "if o is not None and n > 1:\n    o = o * 2", "if o is not None:\n    o.add_({c})\nelse:\n    o = {b}",
              "w = maybe({b}, n)\nif w is not None:\n    {a} = w")  # fmt: skip
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
               "box is boxes[0]", "ok", "o is None", "o is not None and n > 1", "s == 'x'", "not ok or r > 1", "len(table) > 2",
               "'1' in table", "point.count > pair[1]", "ok != (n > 2)", "r < n < 5", "box.count > 2", "len(box) > len(boxes)")  # fmt: skip
_FORMS = {"write": _IN_PLACE, "list": _LISTS, "scalar": _SCALARS, "mixed": _MIXED,
          "object": _OBJECTS, "text": _TEXTS, "tuple": _TUPLES, "dict": _DICTS, "optional": _OPTIONALS}  # fmt: skip
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
    kinds = ["unary", "binary", *_FORMS]
    kinds += ["if", "if", "for", "for", "while", "with"] if depth else []
    kinds += ["break", "continue", "return"] if loop else []
    kind = draw(st.sampled_from(kinds))
    target = draw(st.sampled_from(_NAMES))
    if kind in ("unary", "binary"):
        form = draw(st.sampled_from(_UNARY if kind == "unary" else _BINARY))
        return f"{target} = {form.format(**names)}"
    if kind in _FORMS:
        forms = _FORMS[kind]
        return draw(st.sampled_from(forms)).format(**names)
    if kind in ("break", "continue", "return"):
        return f"if {draw(st.sampled_from(_CONDITIONS)).format(**names)}:\n    {kind}"
    if kind == "with":
        # TorchScript fails on what is returned there under a condition.
        body = draw(_block(depth - 1, loop)).replace("return", "break")
        return f"with torch.no_grad():\n{_indent(body)}"
    body = _indent(draw(_block(depth - 1, loop or kind != "if")))
    if kind == "if":
        condition = draw(st.sampled_from(_CONDITIONS)).format(**names)
        other = _indent(draw(_block(depth - 1, loop)))
        return f"if {condition}:\n{body}\nelse:\n{other}"
    if kind == "for":
        counted = draw(
            st.sampled_from(
                (
                    "range(3)",
                    "range(1, 6, 2)",
                    "range(n % 4)",
                    "[1, 5]",
                    "range(2, 0, -1)",
                    "numbers[:3]",
                    "range(n, n + 2)",
                )
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
    early = draw(st.sampled_from(("", "if n > 20:\n    return\n")))
    # It has one type for all that is returned.
    results = _RESULTS.format(m="float(m)" if "return" in body else "m")
    body, early = (
        re.sub(r"\breturn$", f"return {results}", t, flags=re.MULTILINE) for t in (body, early)
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


def both(x, n: int):
    if n > 2:
        return x * 2, n - 1
    return x, n + 1


def looped(x, n: int, ok: bool):
    total, count = x, 0.5
    for i in range(n % 5):
        if ok and i > 2:
            return total * count
        for j in range(i):
            if j > 1:
                continue
            total = total + j
        count = count + i
    return total - count


def maybe(x, n: int) -> Optional[Tensor]:
    if n > 2:
        return x
    return None


def optional(x, o: Optional[Tensor] = None):
    if o is None:
        return x
    x, o = o, x * 2
    return x + o


def moved(point: Point, n: int) -> Point:
    if n > 3:
        return point
    return Point(point.value + 1, point.count + n)


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
        "Optional": Optional,
        "Tensor": Tensor,
        "__name__": "programs",
    }
    exec(compile(source, file, "exec", dont_inherit=True), scope)
    cls: type[nn.Module] = scope["Program"]
    return cls
