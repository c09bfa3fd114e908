"""Matrix products of several members as one batched product."""

from __future__ import annotations

import string

from nas_engine_cgo.kinds.fused import Fused, Operand, bound

__all__ = ["einsum", "linear", "matmul"]


def linear(step: Fused) -> None:
    """Write ``linear`` as ``baddbmm`` over stacked weights."""
    given = bound(step.args, step.kwargs, input=None, weight=None, bias=None)
    x: Operand = given["input"]
    if step.packs.exact:
        _exact(step, x, given["weight"], given["bias"])
        return
    weight = step.tensor(given["weight"], "matrix")
    bias = None if given["bias"] is None else step.tensor(given["bias"], "bias")
    name = step.stack(x)
    match x.rank:
        case 1:
            flat = step.line(f"{name}[:, None]")
        case 2:
            flat = name
        case _:
            flat = step.line(f"{name}.flatten(1, -2)")
    product = f"torch.bmm({flat}, {weight})"
    if bias is not None:
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
    parts = "" if step.apart is None else f", {step.apart!r}"
    step.results(f"member_linear({', '.join(names)}{parts})", "stack")


def matmul(step: Fused) -> None:
    """Write ``matmul`` of matrices or stacks of such."""
    a, b = step.operands
    rank = max(a.rank, b.rank)

    def padded(x: Operand) -> str:
        name, missing = step.stack(x), rank - x.rank
        return f"{name}[{', '.join([':', *['None'] * missing])}]" if missing else name

    first, second = (b, a) if step.call.name == "__rmatmul__" else (a, b)
    step.results(f"torch.matmul({padded(first)}, {padded(second)})", "stack")


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
