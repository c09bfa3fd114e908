"""Functions that are told dimensions: in a stack every dimension is one further on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_engine_cgo.kinds.fused import Fused, Operand, bound

__all__ = [
    "along",
    "concatenate",
    "cut",
    "expand",
    "flatten",
    "getitem",
    "lay_out",
    "move",
    "permute",
    "reduce",
    "repeat",
    "reshape",
    "squeeze",
    "swap",
    "turn",
    "unflatten",
    "unsqueeze",
]


def _moved(dimension: Any, rank: int) -> Any:
    """The dimension of a stack that is this one of a member's value."""
    if isinstance(dimension, (tuple, list)):
        return tuple(_moved(each, rank) for each in dimension)
    return dimension % rank + 1 if rank else 1


def reduce(step: Fused) -> None:
    """Write a reduction or a function along one dimension: ``mean``, ``softmax``, ``max``, ..."""
    (x,) = step.operands
    named = {name: value for name, value in step.kwargs.items() if name != "input"}
    rest = list(step.args[1:])
    dimension = named.pop("dim", -1 if step.call.name == "glu" else None)
    if rest:
        dimension = rest.pop(0)
    text = step.packs.text
    function = text.function(step.call.function)  # type: ignore[arg-type]

    def call(name: str, dim: Any) -> str:
        return text.called(function, (x, dim, *rest), named, step.spell({id(x): name}))

    if dimension is None or dimension in ((), []):
        flat = step.stack(x) if x.rank == 1 else step.line(f"{step.stack(x)}.flatten(1)")
        if step.call.name in ("max", "min"):  # Along a dimension they give indices, too.
            step.results(f"torch.a{step.call.name}({flat}, 1)", "stack")
        else:
            step.results(call(flat, 1), "stack")
    elif step.layout(x) == "channel" and _beyond_channels(dimension, x.rank):
        step.results(call(step.seen_whole(x), dimension), "channel")
    else:
        step.results(call(step.stack(x), _moved(dimension, x.rank)), "stack")


def _beyond_channels(dimension: Any, rank: int) -> bool:
    each = dimension if isinstance(dimension, (tuple, list)) else (dimension,)
    return all(d % rank >= 2 for d in each)


def flatten(step: Fused) -> None:
    """Write ``flatten``; channels of one member stay together."""
    given = bound(step.args, step.kwargs, input=None, start_dim=0, end_dim=-1)
    x: Operand = given["input"]
    start, end = given["start_dim"] % max(x.rank, 1), given["end_dim"] % max(x.rank, 1)
    if step.layout(x) == "channel" and start >= 1:
        step.results(f"{step.seen_whole(x)}.flatten({start}, {end})", "channel")
    else:
        step.results(f"{step.stack(x)}.flatten({start + 1}, {end + 1})", "stack")


def _sizes(values: Sequence[Any]) -> tuple[Any, ...]:
    """Sizes given one by one or as one tuple."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        return tuple(values[0])
    return tuple(values)


def reshape(step: Fused) -> None:
    """Write ``reshape`` and ``view``."""
    (x,) = step.operands
    shape = _sizes(step.args[1:] or tuple(step.kwargs.values()))
    step.results(f"{step.stack(x)}.reshape({(step.n, *shape)!r})", "stack")


def permute(step: Fused) -> None:
    """Write ``permute``."""
    (x,) = step.operands
    order = _sizes(step.args[1:] or tuple(step.kwargs.values()))
    step.results(f"{step.stack(x)}.permute({(0, *_moved(order, x.rank))!r})", "stack")


def swap(step: Fused) -> None:
    """Write ``transpose``."""
    (x,) = step.operands
    a, b = _moved(tuple(step.args[1:]) or tuple(step.kwargs.values())[-2:], x.rank)
    step.results(f"{step.stack(x)}.transpose({a}, {b})", "stack")


def unsqueeze(step: Fused) -> None:
    """Write ``unsqueeze``."""
    given = bound(step.args, step.kwargs, input=None, dim=0)
    x: Operand = given["input"]
    step.results(f"{step.stack(x)}.unsqueeze({_moved(given['dim'], x.rank + 1)})", "stack")


def turn(step: Fused) -> None:
    """Write ``t()``, ``T`` and ``mT`` of matrices."""
    (x,) = step.operands
    step.results(f"{step.stack(x)}.transpose(1, 2)", "stack")


def move(step: Fused) -> None:
    """Write ``movedim``."""
    given = bound(step.args, step.kwargs, input=None, source=None, destination=None)
    x: Operand = given["input"]
    a, b = (_moved(given[name], x.rank) for name in ("source", "destination"))
    step.results(f"{step.stack(x)}.movedim({a!r}, {b!r})", "stack")


def squeeze(step: Fused) -> None:
    """Write ``squeeze``."""
    given = bound(step.args, step.kwargs, input=None, dim=None)
    x: Operand = given["input"]
    wanted = range(x.rank) if given["dim"] is None else given["dim"]
    each = wanted if isinstance(wanted, (range, tuple, list)) else (wanted,)
    ones = tuple(d % x.rank + 1 for d in each if x.facts.shape[d] == 1)
    step.results(f"{step.stack(x)}.squeeze({ones!r})", "stack")


def unflatten(step: Fused) -> None:
    """Write ``unflatten``."""
    given = bound(step.args, step.kwargs, input=None, dim=None, sizes=None)
    x: Operand = given["input"]
    sizes = tuple(given["sizes"])
    step.results(f"{step.stack(x)}.unflatten({_moved(given['dim'], x.rank)}, {sizes!r})", "stack")


def _led(step: Fused, x: Operand, rank: int) -> str:
    """A stack of values with dimensions put before theirs, up to this rank."""
    missing = rank - x.rank
    name = step.stack(x)
    return f"{name}[{', '.join([':', *['None'] * missing])}]" if missing else name


def expand(step: Fused) -> None:
    """Write ``expand`` and ``broadcast_to``."""
    (x,) = step.operands
    shape = _sizes(step.args[1:] or tuple(step.kwargs.values()))
    step.results(f"{_led(step, x, len(shape))}.expand({(step.n, *shape)!r})", "stack")


def repeat(step: Fused) -> None:
    """Write ``repeat``."""
    (x,) = step.operands
    times = _sizes(step.args[1:] or tuple(step.kwargs.values()))
    step.results(f"{_led(step, x, len(times))}.repeat({(1, *times)!r})", "stack")


def along(step: Fused) -> None:
    """Write functions whose second argument is a dimension: ``narrow``, ``select``, ``flip``."""
    x, *rest = step.args
    others = dict(step.kwargs)
    name = "dims" if step.call.name == "flip" else "dim"
    dimensions = others.pop(name) if name in others else rest.pop(0)
    if step.call.name == "flip" and rest:  # Given one by one.
        dimensions, rest = (dimensions, *rest), []
    text = step.packs.text
    function = text.function(step.call.function)  # type: ignore[arg-type]
    args = (x, _moved(dimensions, x.rank), *rest)
    call = text.called(function, args, others, step.spell({id(x): step.stack(x)}))
    step.results(call, "stack")


def cut(step: Fused) -> None:
    """Write ``chunk``, ``split`` and ``unbind``, which give several pieces."""
    x, *rest = step.args
    others = dict(step.kwargs)
    if step.call.name == "unbind":
        dimension, rest = (rest[0] if rest else others.pop("dim", 0)), []
    else:
        dimension = rest.pop(1) if len(rest) > 1 else others.pop("dim", 0)
    text = step.packs.text
    function = text.function(step.call.function)  # type: ignore[arg-type]
    others["dim"] = _moved(dimension, x.rank)
    call = text.called(function, (x, *rest), others, step.spell({id(x): step.stack(x)}))
    step.results(f"{call}[0]" if len(step.call.outputs) == 1 else call, "stack")


def getitem(step: Fused) -> None:
    """Write indexing by numbers, slices, ``None`` and ``...``."""
    x, index = step.args
    index = index if isinstance(index, tuple) else (index,)
    items = step.packs.text.value((slice(None), *index), lambda _: None)
    step.results(f"{step.stack(x)}[{items}]", "stack")


def lay_out(step: Fused) -> None:
    """Write the call that lays a value out in memory, one member after the other."""
    x, stride = step.args
    last = sum((size - 1) * each for size, each in zip(x.facts.shape, stride, strict=True))
    step.results(f"in_order({step.stack(x)}, {(last + 1, *stride)!r})", "stack")


def concatenate(step: Fused) -> None:
    """Write ``cat`` and ``stack``."""
    given = bound(step.args, step.kwargs, tensors=None, dim=0)
    parts: list[Operand] = list(given["tensors"])
    rank = parts[0].rank + (step.call.name == "stack")
    dimension = given["dim"] % rank
    joins = step.call.name != "stack"
    if joins and dimension == 1 and step.layout(*parts) == "channel":
        unfolded = [f"{step.channel(part)}.unflatten(1, ({step.n}, -1))" for part in parts]
        step.results(f"torch.cat(({', '.join(unfolded)},), 2).flatten(1, 2)", "channel")
        return
    if joins and dimension > 1 and step.layout(*parts) == "channel":
        names = ", ".join(step.channel(part) for part in parts)
        step.results(f"torch.cat(({names},), {dimension})", "channel")
        return
    function = "torch.cat" if joins else "torch.stack"
    names = ", ".join(step.stack(part) for part in parts)
    step.results(f"{function}(({names},), {dimension + 1})", "stack")
