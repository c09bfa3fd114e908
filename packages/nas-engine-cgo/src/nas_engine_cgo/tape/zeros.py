"""Products with zero, as part of the sums that read them.

``x * 0.0`` is how spaces write that an edge passes on nothing. It can't be left out, since infinite
numbers become none, but what is added to it reads ``x`` itself: ``torch.add(y, x, alpha=0.0)`` has
the same bits, for such a product is not rounded.
"""

from __future__ import annotations

from dataclasses import replace

from nas_engine_cgo.tape.calls import Call, Tape, Value

__all__ = ["with_zeros_added"]


def with_zeros_added(tape: Tape) -> list[Call]:
    """The calls of a tape; products that nobody reads any more are still among them."""
    products: dict[Value, Call] = {}
    calls: list[Call] = []
    for call in tape.calls:
        (*_, output) = call.outputs or [None]
        if output is not None and _is_zero(call, output) and not _written(tape, call, output):
            products[output] = call
        calls.append(_adding(call, products))
    return calls


def _is_zero(call: Call, output: Value) -> bool:
    """Whether it is the product of a tensor and zero, and nothing else than its numbers differs."""
    if call.name != "mul.Tensor" or not isinstance(call.args[0], Value):
        return False
    x, factor = call.args
    return type(factor) in (int, float) and factor == 0 and _alike(x, output)


def _written(tape: Tape, call: Call, output: Value) -> bool:
    return any(value.storage in tape.written for value in (*call.reads, output))


def _adding(call: Call, products: dict[Value, Call]) -> Call:
    """A sum, of which one operand may be a product, with a factor; any other call as it is."""
    if call.name != "add.Tensor" or call.kwargs:
        return call
    for y, product in (call.args, call.args[::-1]):
        if product in products and y is not product:
            x, factor = products[product].args
            if isinstance(y, Value) and _alike(x, y):
                return replace(call, args=[y, x], kwargs={"alpha": factor}, reads=[y, x])
    return call


def _alike(x: Value, y: Value) -> bool:
    return (x.shape, x.dtype, x.order) == (y.shape, y.dtype, y.order)
