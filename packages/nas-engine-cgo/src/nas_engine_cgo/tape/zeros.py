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
        if (product := _zero(tape, call)) is not None:
            products[product] = call
        calls.append(_adding(call, products))
    return calls


def _zero(tape: Tape, call: Call) -> Value | None:
    """The product of a tensor and zero that differs from the tensor in nothing but its numbers.

    Both stay as they are once they are made.
    """
    match call:
        case Call(name="mul.Tensor", args=[Value() as x, int() | float() as factor]):
            (product,) = call.outputs
            if factor == 0 and type(factor) is not bool and product and _alike(x, product):
                fixed = tape.written.isdisjoint((x.storage, product.storage))
                return product if fixed else None
    return None


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
