"""Expressions of constants, which TorchScript folds by rules of its own: Python's have to hold."""

import linecache

import pytest
import torch
from torch import nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.testing import assert_same_behaviour

EXPRESSIONS = """
str(1.0); f"{1.0}"; f"{2}"; "%d" % 3; "%s-%s" % (1, 2); "{} {}".format(True, 2.0); round(2.5)
round(-0.5); round(3.14159, 2); max(1, 2.0); max(2, 1.0); min(1, 2); abs(-3); abs(-3.0); 7 // 2
-7 // 2; 7.0 // 2; 7 % -3; -7 % 3; -7.5 % 2; 7 / 2; int(-3.7); int(3.0); float(3); bool(0); 1 << 4
5 & 3; 5 ^ 1; not 0; 1 == 1.0; "a" < "b"; "ab" * 2; "abc"[1]; len("abc"); ord("a"); chr(97)
hex(255); bin(5); oct(8); "a".upper(); "a b".split(); "-".join(["a", "b"]); math.pi; math.sqrt(4)
math.floor(2.5); math.ceil(2.1); math.log(1.0); math.pow(2, 3); math.gcd(4, 6); math.isnan(1.0)
math.inf; math.floor(-2); math.fabs(-2); divmod(7, 2); divmod(-7.5, 2); sorted([3, 1, 2])
sum([1, 2]); any([True, False]); (1, 2)[0]; (1, 2) == (1, 2); (1, 2) + (3,); [1, 2] == [1, 2]
[1] * 3; 1 if True else 2; 1 and 2; 0 or 3; 0 and 3; 1 < 2 < 3; 1e20; float("inf"); int("3")
str(True); str(3); 1j; 3 // 0.5; 2 ** 3; 2 ** -1; (-2) ** 2; 2 ** 0.5; 2.0 ** 3; pow(2, 3); n ** 2
2 ** n; m ** n; (n + 1) ** 2; -n ** 2; n ** n ** 2; 1 + 2 ** n; (2 ** n, 1); 2 ** n == 4
2 ** n // 3; 2 ** n % 3; 2 ** n / 2; round(2 ** n); str(2 ** n); max(2 ** n, 3); abs(-2 ** n)
int(2 ** n); float(2 ** n); f ** 2; self.k ** 2; 2 ** self.k; x.shape[0] ** n; x.size(0) ** 2
torch.full((2,), 2 ** n); x * 2 ** n; x ** n; x ** self.k; n ** x; torch.tensor(2 ** n)
math.sqrt(2 ** n); 10 ** n; True ** 2; x.dim() == 2 and n > 1; round(0.5); 1_000; 2 ** 62; 7 // -2
-7 % -3; 1.5 // 0.5; 5 % 2.5; "a" + "b"; "a" == "b"; n is not None; isinstance(n, int)
list(range(3)); {"a": 1}["a"]; torch.float32; torch.device("cpu"); x.dtype; x.shape; x.numel() / 2
torch.zeros(2, dtype=torch.int32).dtype; torch.channels_last; torch.strided; x.layout
torch.finfo(torch.float32).eps; n and m; n or m
x.shape + (n,); x.shape == (2, 4); x.shape == [2, 4]
"""


def module(expression: str, number: int) -> nn.Module:
    source = f"""
class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.k = 3

    def forward(self, x):
        n = 1
        n = n + 1
        m = 3
        f = 1.5
        v = {expression}
        w = v
        return {expression}, w
"""
    file = f"<constant {number}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope = {"nn": nn, "torch": torch, "math": __import__("math"), "__name__": "constants"}
    exec(compile(source, file, "exec", dont_inherit=True), scope)
    made: nn.Module = scope["Constant"]()
    return made


@pytest.mark.parametrize(
    ("number", "expression"),
    [(n, part.strip()) for n, part in enumerate(EXPRESSIONS.strip().replace("\n", ";").split(";"))],
)
def test_constants_are_those_of_python(number: int, expression: str) -> None:
    original = module(expression, number)
    try:
        twin = convert(original).instantiate()
    except UnsupportedModuleError:
        return
    assert_same_behaviour(original, twin, torch.rand(2, 4))


def test_most_are_converted() -> None:
    expressions = ("2 ** n", "max(2, 1.0)", "round(-0.5)", "str(1.0)", "torch.float32", "n and m")
    for number, expression in enumerate(expressions, 10_000):
        convert(module(expression, number))


class Tail(nn.Module):
    """Calls a method that cuts an attribute, which instances have of several types."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.layer = nn.Linear(4, 4)

    def tail(self) -> tuple[int]:
        return self.sizes[1:]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int]]:
        return self.layer(x), self.tail()


class Tails(nn.Module):
    def __init__(self, *sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.first, self.second = (Tail(each) for each in sizes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int], tuple[int]]:
        x, first = self.first(x)
        x, second = self.second(x)
        return x, first, second


@pytest.mark.parametrize("turned", [False, True])
def test_one_attribute_may_be_a_size_and_a_tuple(turned: bool) -> None:
    sizes = (2, 3), torch.Size((5, 6))
    original = Tails(*reversed(sizes)) if turned else Tails(*sizes)
    twin = convert(original).instantiate()
    assert_same_behaviour(original, twin, torch.rand(2, 4))
