from typing import Any, Dict, List, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 4))
class ReturnsTuple(nn.Module):
    def forward(self, x):
        return x, (x + 1, [x * 2, x * 3]), 5, "text", None, 2.5, True


@case(x(2, 4))
class ReturnsList(nn.Module):
    def forward(self, x):
        return [x, x * 2]


@case(x(2, 4))
class ReturnsDict(nn.Module):
    def forward(self, x):
        out = {"a": x, "b": x * 2}
        out["c"] = out["a"] + out["b"]
        return out


@case(x(2, 4))
class ReturnsNothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x) -> None:
        self.seen += 1


@case(x(2, 4))
class ReturnsInput(nn.Module):
    def forward(self, x):
        return x


@case([x(2, 4), x(2, 3)])
class TakesList(nn.Module):
    def forward(self, xs: List[Tensor]):
        total = 0
        for x in xs:
            total += x.shape[1]
        return torch.cat(xs, 1), total, xs[0] + 1, len(xs), xs[::-1] if False else xs[1:]


@case((x(2, 4), 3))
class TakesTuple(nn.Module):
    def forward(self, pair: Tuple[Tensor, int]):
        x, n = pair
        return x * n, pair[0]


@case({"a": x(2, 4), "b": x(2, 4)})
class TakesDict(nn.Module):
    def forward(self, xs: Dict[str, Tensor]):
        total = torch.zeros(2, 4)
        for name, x in xs.items():
            total = total + x * len(name)
        for key in xs.keys():
            total = total + xs[key]
        if "c" in xs:
            total = total * 2
        return total, list(xs.keys()), sorted(list(xs.keys()))


@case(x(2, 4), 3, 0.5, True, "b")
class TakesScalars(nn.Module):
    def forward(self, x, n: int, f: float, b: bool, s: str):
        if b and s == "b":
            x = x * n
        return x + f, n + 1, s + "c", s.upper(), f * 2, not b


@case(x(2, 4), None)
class TakesOptional(nn.Module):
    def forward(
        self, x, y: Optional[Tensor], n: Optional[int] = None, sizes: Optional[List[int]] = None
    ):
        if y is None:
            y = torch.zeros_like(x)
        if n is None:
            n = 2
        if sizes is not None:
            x = x.view(sizes)
        return x * n + y


@case(x(2, 4), x(2, 4), n=3, sizes=[2, 4])
def TakesOptionalGiven():
    return TakesOptional()


@case(x(2, 4))
class ListOperations(nn.Module):
    def forward(self, x):
        a = [1, 2, 3]
        a.append(4)
        a.extend([5, 6])
        a.insert(0, 0)
        last = a.pop()
        a.remove(2)
        a.reverse()
        b = a + [7]
        b += [8]
        c = [i * 2 for i in b]
        c.sort()
        d = [0] * 3
        d[1] = 9
        del d[0]
        return (
            a,
            b,
            c,
            d,
            last,
            sum(a),
            max(c),
            min(c),
            len(b),
            7 in b,
            b.index(7),
            b.count(8),
            c[-1],
            b[1:3],
        )


@case(x(2, 4))
class DictOperations(nn.Module):
    def forward(self, x):
        d: Dict[str, int] = {}
        d["a"] = 1
        d["b"] = d["a"] + 1
        d.update({"c": 3})
        got = d.get("z", 7)
        popped = d.pop("a")
        total = 0
        for k, v in d.items():
            total += v
        return d, got, popped, total, len(d), "b" in d, list(d.values())


@case(x(2, 4))
class StringOperations(nn.Module):
    def forward(self, x):
        s = "a-b_c"
        parts = s.split("-")
        t = "/".join(parts)
        n = f"{len(s)}:{s}"
        return (
            parts,
            t,
            n,
            s.replace("a", "z"),
            s.startswith("a"),
            s[0],
            s[1:],
            "b" in s,
            "{} {}".format(1, s),
        )


@case(x(2, 4))
class SizesAsValues(nn.Module):
    def forward(self, x):
        shape = x.shape
        a = x.view(shape[0] * shape[1])
        b = x.reshape(x.size())
        c = list(x.shape)
        c.append(1)
        d = x.reshape(c)
        same = x.shape == b.shape
        e = torch.zeros(x.shape[1:])
        return a, b, d, same, e, len(shape), shape[-1]


@case(x(2, 4))
class SameShape(nn.Module):
    def forward(self, x):
        y = x + 1
        assert x.shape == y.shape
        if list(x.shape) == [2, 4]:
            y = y * 2
        if x.shape[1:] != y.shape[1:]:
            y = y * 3
        return y


@case(x(2, 4), x(2, 4))
class UnpackedResults(nn.Module):
    def forward(self, a, b):
        (c, d), e = (a, b), a + b
        f = [a, b, e]
        g, h, i = f
        return c - d, g * h * i


@case(x(2, 4))
class Comprehensions(nn.Module):
    def forward(self, x):
        a = [x * i for i in range(3)]
        b = [t.sum() for t in a]
        c = [[i + j for j in range(2)] for i in range(2)]
        return torch.stack(b), c


@case(x(2, 4))
class TensorToScalar(nn.Module):
    def forward(self, x):
        n = int(x.abs().sum())
        f = float(x.max())
        b = bool(x.min() > 0)
        i = x[0, 0].item()
        return x * n + f, b, i, x.shape[0] * f, len(x)


@case(x(2, 4))
class ScalarTensors(nn.Module):
    def forward(self, x):
        n = torch.tensor(3)
        return (
            x * n,
            x[: int(n)],
            torch.zeros(int(n)),
            torch.tensor([n, 4]),
            torch.tensor([[1.0, 2], [3, 4]]),
        )


@case(x(2, 4))
class DuplicateOutputs(nn.Module):
    def forward(self, x):
        y = x * 2
        return y, y, [y, y]


@case(x(2, 4))
class NameClashes(nn.Module):
    def forward(self, torch_, F=None):
        self_, nn, Tensor, len_, range_, list = torch_, 2, 3, 4, 5, 6
        return self_ * nn + Tensor + len_ + range_ + list


@case(x(1, 2, 4, 4))
class ComplexNumbers(nn.Module):
    def forward(self, x):
        y = torch.fft.rfft2(x)
        z = torch.view_as_real(y)
        return torch.fft.irfft2(y * 2), z, y.abs(), torch.complex(x, x).real


@case(x(2, 4))
class Gradients(nn.Module):
    def forward(self, x):
        y = x.detach().clone().requires_grad_(True)
        return y * 2, x.requires_grad, x.is_cuda, torch.is_grad_enabled(), x.is_floating_point()


@case(x(2, 3))
class Deep(nn.Module):
    def forward(self, x):
        x = ((x + 1) * (x - 1) / (x * x + 1)) ** 2 - (-(x + 2)) * -x
        return (x > 0).float() * x.sigmoid().log().neg().exp()


@case(x(2, 3))
class KeptSizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.shape = torch.zeros(2, 3).shape
        self.plain = (2, 3)

    def forward(self, x):
        x = x.view(self.shape)
        if self.shape[0] > 2:
            x = x + 1
        joined = torch.Size([4]) + torch.Size([x.size(1)])
        sizes = self.shape, self.shape[1:], x.shape[1:], torch.Size([1, 2]), joined
        return x, sizes, (self.shape[0], self.shape[1]), self.plain, self.shape == x.shape


@case(x(2, 3))
class NamesOfTypes(nn.Module):
    def forward(self, x):
        whole = x.long()
        if x.type() == "torch.FloatTensor":
            whole = whole + 1
        return whole.type(), x.mean().type(), x.type(torch.float64)


@case(x(2, 3))
class GradientsInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        energy = self.linear(x).tanh().sum()
        (first,) = torch.autograd.grad([energy], [x], create_graph=True)
        all_of = torch.autograd.grad([energy], [x], retain_graph=True, allow_unused=True)
        assert first is not None
        return first.pow(2).sum(), all_of
