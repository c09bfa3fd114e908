"""Matrix products of several members as one batched product."""

from __future__ import annotations

import string
from collections.abc import Sequence

from nas_engine_cgo.kernels import FEW
from nas_engine_cgo.kinds.fused import Fused, Operand, bound

__all__ = ["baddbmm", "einsum", "linear", "matmul"]


def linear(step: Fused) -> None:
    """Write ``linear`` as a batched product with stacked weights."""
    given = bound(step.args, step.kwargs, input=None, weight=None, bias=None)
    x: Operand = given["input"]
    if step.packs.exact:
        _exact(step, x, given["weight"], given["bias"])
        return
    few = given["weight"].facts.shape[0] < FEW
    weight = step.tensor(given["weight"], "stack" if few else "matrix")
    bias = None if given["bias"] is None else step.tensor(given["bias"], "bias")
    name = step.stack(x)
    match x.rank:
        case 1:
            flat = step.line(f"{name}[:, None]")
        case 2:
            flat = name
        case _:
            flat = step.line(f"{name}.flatten(1, -2)")
    if few:
        product = f"few_outputs({flat}, {weight}, {bias})"
    elif bias is None:
        product = f"torch.bmm({flat}, {weight})"
    else:
        product = f"torch.baddbmm({bias}, {flat}, {weight})"
    match x.rank:
        case 1:
            product += "[:, 0]"
        case 2:
            pass
        case _:
            product += f".unflatten(1, {name}.shape[1:-1])"
    step.results(product, "stack")


def _exact(step: Fused, x: Operand, weight: Operand, bias: Operand | None) -> None:
    """Write ``linear`` so that bits count."""
    names = [step.stack(each) for each in (x, weight)]
    names.append("None" if bias is None else step.stack(bias))
    parts = "" if step.ways is None else f", {tuple(map(bool, step.ways))!r}"
    step.results(f"member_linear({', '.join(names)}{parts})", "stack")


def matmul(step: Fused) -> None:
    """Write ``matmul`` of matrices or stacks of such, and of such by a vector."""
    a, b = step.operands
    first, second = (b, a) if step.call.name == "__rmatmul__" else (a, b)
    left, right = step.stack(first), step.stack(second)
    if second.rank == 1:
        product = f"torch.bmm({left}.flatten(1, -2), {right}[..., None])[..., 0]"
        product = f"{product}.unflatten(1, {left}.shape[1:-1])"
    elif first.rank > 2 and second.rank == 2:  # One product for all rows, as alone.
        product = f"torch.bmm({left}.flatten(1, -2), {right}).unflatten(1, {left}.shape[1:-1])"
    elif first.rank > 2 and first.facts.shape[:-2] == second.facts.shape[:-2]:
        product = f"torch.bmm({_flat(step, first)}, {_flat(step, second)})"
        product = f"{product}.unflatten(0, {left}.shape[:-2])"
    else:
        rank = max(a.rank, b.rank)
        product = f"torch.matmul({_padded(left, first, rank)}, {_padded(right, second, rank)})"
    step.results(product, "stack")


def _padded(name: str, x: Operand, rank: int) -> str:
    """A stack with dimensions put before those of its values, up to this rank."""
    missing = rank - x.rank
    return f"{name}[{', '.join([':', *['None'] * missing])}]" if missing else name


def baddbmm(step: Fused) -> None:
    """Write ``baddbmm``: members are more samples."""
    added, first, second = step.operands
    sizes = f"({step.n}, {step.stack(first)}.shape[1], -1, -1)"
    more = step.line(f"{step.stack(added)}.expand({sizes}).flatten(0, 1)")
    product = f"torch.baddbmm({more}, {_flat(step, first)}, {_flat(step, second)})"
    step.results(f"{product}.unflatten(0, ({step.n}, -1))", "stack")


def _flat(step: Fused, x: Operand) -> str:
    """The matrices of all samples of all members, with rows or columns first in memory as alone.

    By that kernels are chosen, and it is the faster way to copy them.
    """
    shape, strides = x.facts.shape, x.facts.stride
    name = step.stack(x)
    dense = ".contiguous()" if step.packs.exact else ""
    # Samples that are not one dimension alone are copied there, too.
    if x.facts.crosswise and strides[-2] == 1 and _are_joined(shape[:-2], strides[:-2]):
        return f"{name}.mT.flatten(0, -3){dense}.mT"
    return f"{name}.flatten(0, -3){dense}"


def _are_joined(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether dimensions lie in memory as one."""
    return all(strides[i] == strides[i + 1] * shape[i + 1] for i in range(len(shape) - 1))


def einsum(step: Fused) -> None:
    """Write ``einsum``: one more letter says which member."""
    equation, *operands = step.args
    given, _, made = equation.replace(" ", "").partition("->")
    letter = next(each for each in string.ascii_letters if each not in equation)
    alone = [step.shared(x) for x in operands]
    if all(alone):
        alone[0] = False
    terms, names = [], []
    for x, term, own in zip(operands, given.split(","), alone, strict=True):
        terms.append(term if own else letter + term)
        names.append(step.own(x) if own else step.stack(x))
    whole = f"{','.join(terms)}->{letter}{made}"
    step.results(f"torch.einsum({whole!r}, {', '.join(names)})", "stack")
